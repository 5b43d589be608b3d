//! Writes a million synthetic rows of pseudo-labels, reads them back and chooses among them.
//!
//! ```text
//! cargo run --release -p mentor-train --example pseudo_label_bench -- 1000000
//! ```
#![allow(clippy::print_stdout, reason = "it prints its result")]

use std::error::Error;
use std::time::Instant;

use mentor_metrics::pseudo_labels::LabelKind;
use mentor_train::pseudo_labels::{
    Balance, LabelSet, LabelsHeader, LabelsWriter, SelectionOptions, Selector, Shard,
};

const NUM_CLASSES: usize = 10;

/// Largest resident memory so far, in MiB, where the system says.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

fn main() -> Result<(), Box<dyn Error>> {
    let num_rows: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let folder = std::env::temp_dir().join(format!("pseudo-label-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(Shard::WHOLE.file_name());
    let header = LabelsHeader {
        teacher_blake3: "synthetic".to_owned(),
        images_blake3: "synthetic".to_owned(),
        classes: (0..NUM_CLASSES).map(|class| class.to_string()).collect(),
        round: 1,
        temperature: 1.0,
    };
    let start = Instant::now();
    let mut writer = LabelsWriter::create(&path, header, Shard::WHOLE)?;
    let mut state = 1_u64;
    for index in 0..num_rows {
        let mut scores = [0.0; NUM_CLASSES];
        scores.fill_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 21) as f32
        });
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&index.to_le_bytes());
        writer.push(&format!("unlabelled/{index:08}.png"), &hash, &scores)?;
    }
    let bytes = writer.finish()?.num_bytes;
    println!(
        "write   {:6.2} s, {} MB, peak {:?} MiB",
        start.elapsed().as_secs_f64(),
        bytes / 1_000_000,
        peak_mib()
    );
    let start = Instant::now();
    let labels = LabelSet::open(&path)?;
    println!("verify  {:6.2} s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let options = SelectionOptions {
        kind: LabelKind::Soft { top_k: None },
        threshold: 0.3,
        temperature: 1.0,
        balance: Some(Balance { per_class: 5000, max_copies: 5 }),
    };
    let mut selector = Selector::new(options, NUM_CLASSES)?;
    for row in labels.rows() {
        let row = row?;
        selector.push(&row.id, &row.scores)?;
    }
    let statistics = selector.finish().statistics;
    println!("choose  {:6.2} s, peak {:?} MiB", start.elapsed().as_secs_f64(), peak_mib());
    println!("{} of {} rows chosen", statistics.num_chosen, statistics.num_seen);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
