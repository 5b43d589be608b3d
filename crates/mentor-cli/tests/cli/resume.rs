//! A run that was interrupted ends in the same weights, bit for bit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fixtures::image_folder;
use crate::{assert_fails, json, mentor, stderr, stdout};

/// Two epochs of 324 updates each, a checkpoint after every update.
const TRAIN: &str =
    "train --data digits --model linear --epochs 2 --batch-size 4 --set training.checkpoint_secs=0 --out run";
const STEPS_PER_EPOCH: u64 = 324;

/// Starts `mentor train` and waits until it has done some updates.
fn start(dir: &Path) -> Child {
    start_until(dir, TRAIN, "run")
}

/// Starts `mentor` with these arguments, and waits until the run in `run` has done some updates.
fn start_until(dir: &Path, arguments: &str, run: &str) -> Child {
    let run = dir.join(run);
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("mentor"))
        .current_dir(dir)
        .args(arguments.split_whitespace())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while newest_step(&run) < 20 {
        assert!(child.try_wait().unwrap().is_none(), "training ended before it could be stopped");
        assert!(Instant::now() < deadline, "no checkpoint was written");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(run.join("checkpoints")) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    paths.sort();
    paths
}

fn newest_step(run: &Path) -> u64 {
    let newest = checkpoints(run).pop();
    newest.map_or(0, |path| {
        path.file_stem().unwrap().to_str().unwrap().trim_start_matches("step-").parse().unwrap()
    })
}

fn weights(run: &Path) -> String {
    let summary = fs::read_to_string(run.join("summary.json")).unwrap();
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
    assert_eq!(summary["weights_blake3"], weights(&dir.path().join("run")));
    weights(&dir.path().join("run"))
}

#[test]
fn a_killed_run_ends_in_the_same_weights_also_with_a_damaged_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start(dir.path());
    child.kill().unwrap();
    child.wait().unwrap();
    let step = newest_step(&dir.path().join("run"));
    assert!(
        step < STEPS_PER_EPOCH && !dir.path().join("run/summary.json").exists(),
        "killed too late: {step}"
    );

    let newest = checkpoints(&dir.path().join("run")).pop().unwrap();
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() - 1]).unwrap();
    let output = mentor(dir.path(), TRAIN);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("damaged checkpoint passed over"), "{}", stderr(&output));
    assert!(stderr(&output).contains(&format!("continues after update {}", step - 1)), "{}", stderr(&output));
    assert!(stdout(&output).contains("report.html") && dir.path().join("run/report.html").exists());
    assert_eq!(weights(&dir.path().join("run")), uninterrupted());

    let again = mentor(dir.path(), TRAIN);
    assert!(again.status.success() && stderr(&again).contains("already complete"), "{}", stderr(&again));
}

#[test]
fn when_no_checkpoint_is_intact_nothing_is_trained() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start(dir.path());
    child.kill().unwrap();
    child.wait().unwrap();
    for path in checkpoints(&dir.path().join("run")) {
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
        assert_eq!(weights(&dir.path().join("run")), expected, "{signal}");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_while_images_are_read_ends_at_once_and_nothing_is_written() {
    use std::os::unix::process::ExitStatusExt;
    let dir = tempfile::tempdir().unwrap();
    let large = dir.path().join("large.png");
    image::GrayImage::new(3000, 3000).save(&large).unwrap();
    for class in ["a", "b"] {
        fs::create_dir_all(dir.path().join("data").join(class)).unwrap();
        for index in 0..400 {
            fs::hard_link(&large, dir.path().join(format!("data/{class}/{index}.png"))).unwrap();
        }
    }
    let command = "train --data data --keep-duplicates --model linear --epochs 1 --out run";
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("mentor"))
        .args(command.split(' '))
        .current_dir(dir.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let sent = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let status = child.wait().unwrap();
    assert!(sent.elapsed() < Duration::from_secs(4), "{:?}", sent.elapsed());
    // On a machine that is very busy the signal may come before anybody watches for it.
    assert!(status.code() == Some(130) || status.signal() == Some(2), "{status:?}");
    assert!(!dir.path().join("run").exists());
}

/// A student of one pass over 324 updates, after a baseline of as many, with a checkpoint after every update.
const DISTILL: &str = "distill --teacher big --data digits --model mlp:8 --epochs 1 --batch-size 4 --augment \
                       shift --set training.checkpoint_secs=0 --out small";

#[test]
fn a_killed_distillation_ends_in_the_same_student_and_the_same_baseline() {
    let dir = tempfile::tempdir().unwrap();
    let teacher = mentor(dir.path(), "train --data digits --model mlp:16 --epochs 2 --out big");
    assert!(teacher.status.success(), "{}", stderr(&teacher));
    let whole =
        mentor(dir.path(), &DISTILL.replace("--out small", "--out whole").replace("secs=0", "secs=60"));
    assert!(whole.status.success(), "{}", stderr(&whole));

    // Once in the baseline, once in the student.
    for run in ["small/baseline", "small"] {
        let mut child = start_until(dir.path(), DISTILL, run);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!dir.path().join(run).join("summary.json").exists(), "{run} was killed too late");
    }
    let output = mentor(dir.path(), DISTILL);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("continues after update"), "{}", stderr(&output));
    for run in ["", "baseline"] {
        let [small, whole] = ["small", "whole"].map(|out| weights(&dir.path().join(out).join(run)));
        assert_eq!(small, whole, "{run}");
    }
}

#[test]
fn a_complete_run_asked_again_looks_at_the_data_that_is_there_now() {
    let dir = tempfile::tempdir().unwrap();
    let [first, other, empty] = ["first", "other", "empty"].map(|name| dir.path().join(name));
    for (place, classes) in [(&first, ["cat", "dog"]), (&other, ["emu", "fox"])] {
        image_folder(&place.join("data"), &classes);
    }
    fs::create_dir(&empty).unwrap();
    let train = format!("train data --model linear --epochs 1 --out {}", dir.path().join("run").display());
    assert!(mentor(&first, &train).status.success());
    let again = mentor(&first, &train);
    assert!(again.status.success() && stderr(&again).contains("already complete"), "{}", stderr(&again));
    // The same words name other data in another folder, and none in a third.
    assert_fails(&mentor(&other, &train), 3, "the data has changed");
    let gone = mentor(&empty, &train);
    assert!(gone.status.success() && stderr(&gone).contains("already complete"), "{}", stderr(&gone));
    // One image more in the place of training.
    fs::copy(other.join("data/emu/img0.png"), first.join("data/cat/more.png")).unwrap();
    assert_fails(&mentor(&first, &train), 3, "the data has changed");
    fs::remove_file(first.join("data/cat/more.png")).unwrap();
    assert!(mentor(&first, &train).status.success());
}
