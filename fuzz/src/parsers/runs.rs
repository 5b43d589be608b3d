//! What a run directory holds beside its weights.

use std::fs;

use mentor_report::RunReport;
use mentor_run::{Config, RunDir};

use super::place::{folder, put};

/// A configuration, and its first line as an assignment of `--set`. What is read can be written and read
/// again.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let assignments: Vec<String> = text.lines().take(1).map(str::to_owned).collect();
    for config in [Config::from_toml(text, "config.toml", &[]), Config::from_toml("", "", &assignments)] {
        let Ok(config) = config else { continue };
        let again = Config::from_toml(&config.to_toml(), "config.toml", &[]).expect("what mentor wrote");
        assert_eq!(again.to_toml(), config.to_toml());
    }
}

/// A log: reading, and continuing it after any number of updates.
pub fn metrics(bytes: &[u8]) {
    let place = folder("metrics", |place| put(&place.join("config.toml"), b""));
    put(&place.join("metrics.jsonl"), bytes);
    let run = RunDir::open(&place).expect("it has a configuration");
    let log = run.metrics_log().expect("damaged lines are counted");
    run.metrics_writer(u64::MAX).expect("a log decides nothing");
    let again = run.metrics_log().expect("what mentor wrote");
    assert_eq!((again.lines.len(), again.num_damaged), (log.lines.len(), 0));
}

/// The JSON files that a report reads, each with a run's own.
const RECORDS: [(&str, &[u8]); 7] = [
    ("summary.json", include_bytes!("../../seeds/record/summary")),
    ("model.json", include_bytes!("../../seeds/record/model")),
    ("analysis.json", include_bytes!("../../seeds/record/analysis")),
    ("embeddings.json", include_bytes!("../../seeds/record/embeddings")),
    ("distillation.json", include_bytes!("../../seeds/record/distillation")),
    ("embedding-fidelity.json", include_bytes!("../../seeds/record/embedding-fidelity")),
    ("self_training.json", include_bytes!("../../seeds/record/self_training")),
];

/// A JSON file of a run; the first byte chooses which.
pub fn record(bytes: &[u8]) {
    let Some((&kind, content)) = bytes.split_first() else { return };
    let (name, _) = RECORDS[usize::from(kind) % RECORDS.len()];
    let place = folder("record", |place| put(&place.join("config.toml"), b""));
    put(&place.join(name), content);
    let run = RunDir::open(&place).expect("it has a configuration");
    match name {
        "summary.json" => drop(run.summary()),
        "model.json" => drop(run.calibration()),
        "analysis.json" => drop(run.analysis()),
        "embeddings.json" => drop(run.embedding_analysis()),
        "distillation.json" => drop(run.distillation()),
        "embedding-fidelity.json" => drop(run.embedding_fidelity()),
        _ => drop(run.self_training()),
    }
}

/// The report of a run of which one JSON file is this one, or the log if the first byte is beyond them.
pub fn report(bytes: &[u8]) {
    let Some((&kind, content)) = bytes.split_first() else { return };
    let place = folder("report", |place| {
        put(&place.join("config.toml"), include_bytes!("../../seeds/config/classifier"));
        put(&place.join("metrics.jsonl"), include_bytes!("../../seeds/metrics/classifier"));
        for (name, seed) in RECORDS {
            put(&place.join(name), &seed[1..]);
        }
    });
    let path = place.join(match RECORDS.get(usize::from(kind) % (RECORDS.len() + 1)) {
        Some((name, _)) => name,
        None => "metrics.jsonl",
    });
    let own = fs::read(&path).expect("a file of the run");
    put(&path, content);
    if let Ok(run) = RunReport::read(&place) {
        let page = mentor_report::render(&[run]);
        assert!(page.ends_with("</html>\n"), "the page is whole");
    }
    put(&path, &own);
}
