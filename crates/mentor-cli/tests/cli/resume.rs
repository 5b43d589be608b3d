//! A run that was interrupted ends in the same weights, bit for bit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{assert_fails, json, mentor, stderr, stdout};

/// Two epochs of 324 updates each, a checkpoint after every update.
const TRAIN: &str =
    "train --data digits --model linear --epochs 2 --batch-size 4 --set training.checkpoint_secs=0 --out run";
const STEPS_PER_EPOCH: u64 = 324;

/// Starts `mentor train` and waits until it has done some updates.
fn start(dir: &Path) -> Child {
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("mentor"))
        .current_dir(dir)
        .args(TRAIN.split_whitespace())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while newest_step(dir) < 20 {
        assert!(child.try_wait().unwrap().is_none(), "training ended before it could be stopped");
        assert!(Instant::now() < deadline, "no checkpoint was written");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn checkpoints(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir.join("run/checkpoints")) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    paths.sort();
    paths
}

fn newest_step(dir: &Path) -> u64 {
    let newest = checkpoints(dir).pop();
    newest.map_or(0, |path| {
        path.file_stem().unwrap().to_str().unwrap().trim_start_matches("step-").parse().unwrap()
    })
}

fn weights(dir: &Path) -> String {
    let summary = fs::read_to_string(dir.join("run/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    summary["weights_blake3"].as_str().unwrap().to_owned()
}

/// The weights of a run that nobody interrupted.
fn uninterrupted() -> String {
    let dir = tempfile::tempdir().unwrap();
    let command = TRAIN.replace("checkpoint_secs=0", "checkpoint_secs=60");
    let output = mentor(dir.path(), &format!("{command} --json"));
    let summary = json(&output);
    for key in
        ["val_accuracy", "steps", "epochs", "wall_secs", "weights_blake3", "data_blake3", "num_zero_weights"]
    {
        assert!(!summary[key].is_null(), "summary.json has no {key}");
    }
    assert_eq!(summary["steps"].as_u64(), Some(2 * STEPS_PER_EPOCH));
    assert_eq!(summary["weights_blake3"], weights(dir.path()));
    weights(dir.path())
}

#[test]
fn a_killed_run_ends_in_the_same_weights_also_with_a_damaged_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start(dir.path());
    child.kill().unwrap();
    child.wait().unwrap();
    let step = newest_step(dir.path());
    assert!(
        step < STEPS_PER_EPOCH && !dir.path().join("run/summary.json").exists(),
        "killed too late: {step}"
    );

    let newest = checkpoints(dir.path()).pop().unwrap();
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() - 1]).unwrap();
    let output = mentor(dir.path(), TRAIN);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("damaged checkpoint passed over"), "{}", stderr(&output));
    assert!(stderr(&output).contains(&format!("continues after update {}", step - 1)), "{}", stderr(&output));
    assert!(stdout(&output).contains("report.html") && dir.path().join("run/report.html").exists());
    assert_eq!(weights(dir.path()), uninterrupted());

    let again = mentor(dir.path(), TRAIN);
    assert!(again.status.success() && stderr(&again).contains("already complete"), "{}", stderr(&again));
}

#[test]
fn when_no_checkpoint_is_intact_nothing_is_trained() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start(dir.path());
    child.kill().unwrap();
    child.wait().unwrap();
    for path in checkpoints(dir.path()) {
        fs::write(path, "damaged").unwrap();
    }
    assert_fails(&mentor(dir.path(), TRAIN), 1, "all checkpoints are damaged");
    assert!(!dir.path().join("run/summary.json").exists());
}

#[cfg(unix)]
#[test]
fn a_signal_writes_a_checkpoint_and_the_same_command_continues() {
    let expected = uninterrupted();
    for (signal, status) in [("-INT", 130), ("-TERM", 143)] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = start(dir.path());
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(child.wait().unwrap().code(), Some(status), "{signal}");
        assert!(!dir.path().join("run/summary.json").exists());
        let output = mentor(dir.path(), TRAIN);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stderr(&output).contains("continues after update"), "{}", stderr(&output));
        assert_eq!(weights(dir.path()), expected, "{signal}");
    }
}
