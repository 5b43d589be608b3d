//! Linear classifiers to a proven gap, on the command line.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{assert_fails, json, mentor, stderr, stdout};

const TRAIN: &str = "train --data digits --model linear --loss softmax --l2 1e-3 --gap 1e-4 --out run";

#[test]
fn a_run_to_a_gap_says_how_near_it_is_and_every_command_takes_it() {
    let dir = tempfile::tempdir().unwrap();
    let output = mentor(dir.path(), TRAIN);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(
        text.contains("optimum") && text.contains(" % of it (objective ") && !text.contains("epoch"),
        "{text}"
    );
    assert!(stderr(&output).contains("iteration     1  objective "), "{}", stderr(&output));

    let summary = json(&mentor(dir.path(), &format!("{TRAIN} --json")));
    let number = |key: &str| summary[key].as_f64().unwrap_or_else(|| panic!("summary.json has no {key}"));
    assert_eq!(
        (summary["certified"].as_bool(), summary["reason"].as_str()),
        (Some(true), Some("gap reached"))
    );
    assert!(number("relative_gap") <= 1e-4 && number("gap") >= number("primal") - number("dual"));
    assert_eq!(number("num_iterations"), number("steps"));
    let bound = |end: &str| summary["val_accuracy_interval"][end].as_f64().unwrap();
    assert!(bound("low") < number("val_accuracy") && number("val_accuracy") < bound("high"));

    let evaluation = json(&mentor(dir.path(), "eval run --json"));
    assert!(evaluation["accuracy"].as_f64().unwrap() > 0.9, "{evaluation}");
    assert!(mentor(dir.path(), "calibrate run").status.success());
    let report = fs::read_to_string(dir.path().join("run/report.html")).unwrap();
    assert!(report.contains("Objective and lower bound") && report.contains("Relative gap"));
}

#[test]
fn what_has_no_optimum_or_no_proof_is_refused_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let fails = |more: &str, what: &str, help: &str| {
        let output = mentor(dir.path(), &format!("train --data digits --out none {more}"));
        assert_fails(&output, 2, what);
        assert!(stderr(&output).contains(help), "{}", stderr(&output));
        assert!(!dir.path().join("none").exists());
    };
    fails("--gap 0", "gap is 0, and must be a finite number greater than 0", "help:");
    fails("--gap -1", "gap is -1", "help:");
    fails("--gap nan", "gap is NaN", "help:");
    fails("--gap 1e-3 --model cnn", "that of cnn is not convex: choose --model linear", "help:");
    fails("--gap 1e-3", "there is no optimum: the classes are separable", "set --l2, such as to 1e-6");
    fails("--gap 1e-3 --loss svm --l1 1e-3", "choose --loss softmax, or --l2 instead", "help:");
    fails("--gap 1e-3 --optimizer gd", "leave --optimizer out, or set --certify in place of --gap", "help:");
    fails("--certify", "set --l2, such as to 1e-6", "help:");
    fails("--optimizer auto", "needs --gap", "help:");
}

#[test]
fn other_linear_runs_are_certified_at_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let run = "train --data digits --loss svm --l2 1e-2 --epochs 3 --certify --out run";
    let output = mentor(dir.path(), run);
    assert!(stdout(&output).contains("optimum          within "), "{}{}", stdout(&output), stderr(&output));
    let summary = json(&mentor(dir.path(), &format!("{run} --json")));
    assert_eq!(
        (summary["certified"].as_bool(), summary["reason"].as_str()),
        (Some(true), Some("bound found"))
    );
    assert_eq!(summary["epochs"].as_u64(), Some(3));
}

/// Starts a long run, and waits until its solver has made an iteration.
fn start(dir: &Path, arguments: &str) -> std::process::Child {
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("mentor"))
        .current_dir(dir)
        .args(arguments.split_whitespace())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let lines = || fs::read_to_string(dir.join("run/metrics.jsonl")).map_or(0, |text| text.lines().count());
    while lines() == 0 {
        assert!(child.try_wait().unwrap().is_none(), "training ended before it could be stopped");
        assert!(Instant::now() < deadline, "no iteration was made");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

#[test]
fn an_interrupted_solver_exits_as_other_runs_and_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    // A gap that rounding forbids keeps the solver busy.
    let run = "train --data digits --l1 1e-5 --gap 1e-17 --max-iterations 400 --out run";
    let child = start(dir.path(), run);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(stderr(&output).contains("begins anew, and ends in the same weights"), "{}", stderr(&output));
    assert!(!dir.path().join("run/summary.json").exists());
    let again = mentor(dir.path(), &format!("{run} --json"));
    let summary = json(&again);
    assert!(stderr(&again).contains("the solver begins anew"), "{}", stderr(&again));
    assert!(stderr(&again).contains("warning: a gap of 1e-17 is not proven"), "{}", stderr(&again));
    assert_eq!(summary["certified"].as_bool(), Some(false));
    let whole = json(&mentor(dir.path(), &run.replace("--out run", "--out whole --json")));
    assert_eq!(summary["weights_blake3"], whole["weights_blake3"]);
}

#[test]
fn a_path_shows_what_it_tried_and_leaves_a_certified_run() {
    let dir = tempfile::tempdir().unwrap();
    let run = "path --data digits --l2 1e-4..1 --steps 4 --folds 3 --out run";
    let output = mentor(dir.path(), run);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let rows: Vec<&str> = text.lines().filter(|line| line.contains("e-") || line.contains("e0")).collect();
    assert!(rows[0].trim_start().starts_with("1.00e0") && text.contains("chosen"), "{text}");
    let path: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(dir.path().join("run/path.json")).unwrap()).unwrap();
    assert_eq!(path["points"].as_array().unwrap().len(), 4);
    for point in path["points"].as_array().unwrap() {
        let losses: Vec<f64> =
            point["fold_losses"].as_array().unwrap().iter().map(|loss| loss.as_f64().unwrap()).collect();
        let mean = losses.iter().sum::<f64>() / 3.0;
        assert!(losses.len() == 3 && (mean - point["val_loss"].as_f64().unwrap()).abs() < 1e-12);
    }
    assert!(stderr(&output).contains("12 of 12 models: the last with l2 "), "{}", stderr(&output));
    let summary = json(&mentor(dir.path(), &format!("{run} --json")));
    let chosen = path["chosen"].as_u64().unwrap() as usize;
    assert_eq!(
        (summary["certified"].as_bool(), &summary["chosen_l2"]),
        (Some(true), &path["points"][chosen]["l2"])
    );
    assert!(mentor(dir.path(), "eval run").status.success());
    let report = |run: &str| fs::read_to_string(dir.path().join(run).join("report.html")).unwrap();
    let sizes = "Weights that are not 0";
    assert!(report("run").contains("Validation loss over λ") && !report("run").contains(sizes));
    let sparse = "path --data digits --l1 1e-3..1e-2 --steps 2 --folds 2 --out sparse";
    assert!(mentor(dir.path(), sparse).status.success() && report("sparse").contains(sizes));

    let auto = json(&mentor(dir.path(), "train --data digits --l2 auto --gap 1e-3 --out auto --json"));
    assert!(auto["certified"].as_bool().unwrap() && auto["chosen_l2"].as_f64().unwrap() > 0.0, "{auto}");
    for (more, what) in
        [("--l2 1..1e-3", "from 1 to 0.001"), ("--folds 1", "folds is 1"), ("--l2 x", "is no number")]
    {
        let output = mentor(dir.path(), &format!("path --data digits --out none {more}"));
        assert_fails(&output, 2, what);
    }
}
