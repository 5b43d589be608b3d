//! A run of a stranger, unpacked from an archive: what it can do, and what it cannot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::fixtures::image_folder;
use crate::{assert_fails, mentor, stderr};

const TRAIN: &str =
    "train --data digits --model linear --epochs 2 -q --set training.checkpoint_secs=0 --out run";

/// A complete run of a linear classifier in `run`.
fn run(dir: &Path) -> PathBuf {
    let output = mentor(dir, TRAIN);
    assert!(output.status.success(), "{}", stderr(&output));
    dir.join("run")
}

/// The files and folders below, without the numbers that differ from run to run.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        names.push(entry.unwrap().file_name().into_string().unwrap());
    }
    names.sort();
    names
}

#[cfg(unix)]
mod places {
    use std::os::unix::fs::symlink;

    use super::*;

    fn pipe(path: &Path) {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    #[test]
    fn nothing_outside_of_a_run_is_written_by_way_of_its_links() {
        let dir = tempfile::tempdir().unwrap();
        let run = run(dir.path());
        let outside = dir.path().join("outside");
        fs::write(&outside, "precious").unwrap();
        let link = |name: &str| {
            let _ = fs::remove_file(run.join(name));
            symlink("../outside", run.join(name)).unwrap();
        };
        link("report.html");
        assert!(mentor(dir.path(), "report run").status.success());
        for name in [
            "metrics.jsonl",
            "metrics.jsonl.tmp",
            "model.json.tmp",
            "quarantine.txt",
            ".lock",
            "config.toml.tmp",
        ] {
            link(name);
        }
        link("model.json");
        fs::remove_file(run.join("summary.json")).unwrap();
        assert_fails(&mentor(dir.path(), "calibrate run"), 1, "run/model.json: is a link");
        assert_fails(&mentor(dir.path(), TRAIN), 1, "run/.lock: is a link");
        fs::remove_file(run.join(".lock")).unwrap();
        let output = mentor(dir.path(), TRAIN);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stderr(&output).contains("metrics.jsonl: is a link"), "{}", stderr(&output));
        assert_eq!(fs::read_to_string(&outside).unwrap(), "precious");
        assert!(!run.join("model.json").is_symlink() && !run.join("metrics.jsonl").is_symlink());
    }

    #[test]
    fn nothing_outside_of_a_run_is_written_by_way_of_its_folders() {
        let dir = tempfile::tempdir().unwrap();
        let run = run(dir.path());
        let outside = dir.path().join("outside");
        fs::rename(run.join("checkpoints"), &outside).unwrap();
        symlink("../outside", run.join("checkpoints")).unwrap();
        fs::remove_file(run.join("summary.json")).unwrap();
        let before = names(&outside);
        assert_fails(&mentor(dir.path(), TRAIN), 1, "run/checkpoints: is a link");
        assert_eq!(names(&outside), before);

        // The same of the stages of other recipes.
        let distil = "distill --teacher run --data digits --model linear --epochs 1 -q --out student";
        fs::remove_file(run.join("checkpoints")).unwrap();
        assert!(mentor(dir.path(), TRAIN).status.success());
        assert!(mentor(dir.path(), distil).status.success());
        let student = dir.path().join("student");
        fs::remove_file(student.join("summary.json")).unwrap();
        fs::remove_dir_all(student.join("baseline")).unwrap();
        fs::create_dir(dir.path().join("empty")).unwrap();
        symlink("../empty", student.join("baseline")).unwrap();
        assert_fails(&mentor(dir.path(), distil), 1, "student/baseline: is a link");
        fs::write(dir.path().join("victim"), "precious").unwrap();
        fs::remove_file(student.join("baseline")).unwrap();
        fs::remove_file(student.join("teacher-1.cache")).unwrap();
        symlink("../victim", student.join("teacher-1.cache.partial")).unwrap();
        let output = mentor(dir.path(), distil);
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(fs::read_to_string(dir.path().join("victim")).unwrap(), "precious");
        assert!(names(&dir.path().join("empty")).is_empty());

        let self_train =
            "self-train --data digits --labels-per-class 5 --model mlp:8 --epochs 1 --rounds 1 -q --out s";
        fs::create_dir_all(dir.path().join("s")).unwrap();
        assert!(mentor(dir.path(), self_train).status.success());
        let s = dir.path().join("s");
        fs::remove_file(s.join("summary.json")).unwrap();
        fs::remove_dir_all(s.join("round-1")).unwrap();
        symlink("../empty", s.join("round-1")).unwrap();
        assert_fails(&mentor(dir.path(), self_train), 1, "s/round-1: is a link");
        assert!(names(&dir.path().join("empty")).is_empty());
    }

    #[test]
    fn a_pipe_or_a_folder_in_the_place_of_a_file_ends_a_command_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let run = run(dir.path());
        for name in [
            "config.toml",
            "summary.json",
            "model.json",
            "model.safetensors",
            "analysis.json",
            "metrics.jsonl",
        ] {
            let (path, kept) = (run.join(name), run.join("kept"));
            fs::rename(&path, &kept).unwrap();
            for (make, what) in [
                (pipe as fn(&Path), "is no plain file"),
                (|path: &Path| fs::create_dir(path).unwrap(), "is a folder"),
            ] {
                make(&path);
                let report = mentor(dir.path(), "report run");
                if name == "model.safetensors" {
                    assert!(report.status.success(), "{}", stderr(&report));
                    assert_fails(&mentor(dir.path(), "eval run"), 1, what);
                } else {
                    assert_fails(&report, 1, what);
                }
                let _ = fs::remove_file(&path);
                let _ = fs::remove_dir(&path);
            }
            fs::rename(&kept, &path).unwrap();
        }
        assert!(mentor(dir.path(), "eval run").status.success());
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let run = run(dir.path());
        for (name, command) in [
            ("config.toml", "report run"),
            ("analysis.json", "report run"),
            ("metrics.jsonl", "report run"),
            ("model.json", "eval run"),
            ("model.safetensors", "eval run"),
        ] {
            let kept = fs::read(run.join(name)).unwrap();
            // Sparse: it takes no place.
            let file = fs::OpenOptions::new().write(true).open(run.join(name)).unwrap();
            file.set_len(1 << 40).unwrap();
            assert_fails(&mentor(dir.path(), command), 1, "has 1099511627776 bytes");
            fs::write(run.join(name), kept).unwrap();
        }
    }

    #[test]
    fn what_a_killed_report_left_behind_goes_with_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path());
        fs::create_dir(dir.path().join("o")).unwrap();
        for name in ["o/r.html.123.tmp", "o/r.html.123-0.tmp", "run/report.html.9.tmp"] {
            fs::write(dir.path().join(name), "half").unwrap();
        }
        assert!(mentor(dir.path(), "report run --out o/r.html").status.success());
        assert!(mentor(dir.path(), "report run").status.success());
        assert_eq!(names(&dir.path().join("o")), ["r.html"]);
        assert!(!names(&dir.path().join("run")).iter().any(|name| name.ends_with(".tmp")));
    }
}

#[test]
fn the_newest_checkpoint_may_be_anything_while_an_older_one_is_intact() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    let weights = |run: &Path| fs::read(run.join("model.safetensors")).unwrap();
    let (expected, folder) = (weights(&run), run.join("checkpoints"));
    fs::remove_file(run.join("summary.json")).unwrap();
    let newest = folder.join(names(&folder).pop().unwrap());
    fs::remove_file(&newest).unwrap();
    fs::create_dir(&newest).unwrap();
    let copy = folder.join(names(&folder).remove(0));
    fs::copy(&copy, folder.join("my-backup.safetensors")).unwrap();
    fs::copy(&copy, folder.join("x1.safetensors")).unwrap();
    let lines = fs::read(run.join("metrics.jsonl")).unwrap();
    fs::write(run.join("metrics.jsonl"), [&lines[..200], &[0; 64], &lines[264..]].concat()).unwrap();
    let output = mentor(dir.path(), TRAIN);
    assert!(output.status.success(), "{}", stderr(&output));
    for said in ["checkpoint passed over", "is a folder", "metrics.jsonl: 1 damaged line is left out"] {
        assert!(stderr(&output).contains(said), "{said}: {}", stderr(&output));
    }
    assert_eq!(weights(&run), expected);
    let left = names(&folder);
    assert_eq!(
        left.iter().filter(|name| name.starts_with("step-") && name.ends_with(".safetensors")).count(),
        2
    );
    assert!(
        left.contains(&"my-backup.safetensors".to_owned()) && left.contains(&"x1.safetensors".to_owned())
    );
}

#[test]
fn a_damaged_teacher_cache_is_computed_again_and_said_so() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path());
    let distil =
        "distill --teacher run --data digits --model linear --epochs 1 --no-baseline -q --out student";
    assert!(mentor(dir.path(), distil).status.success());
    let student = dir.path().join("student");
    let cache = student.join("teacher-1.cache");
    let whole = fs::read(&cache).unwrap();
    let weights = fs::read(student.join("model.safetensors")).unwrap();
    let mut flipped = whole.clone();
    flipped[40] ^= 1;
    for damaged in [Some(flipped), Some(Vec::new()), Some(whole[..whole.len() / 2].to_vec()), None] {
        fs::remove_file(student.join("summary.json")).unwrap();
        fs::remove_file(&cache).unwrap();
        match &damaged {
            Some(bytes) => fs::write(&cache, bytes).unwrap(),
            None => fs::create_dir(&cache).unwrap(),
        }
        let output = mentor(dir.path(), distil);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stderr(&output).contains("teacher-1.cache: ") && stderr(&output).contains("computed again"));
        assert_eq!(fs::read(&cache).unwrap(), whole);
        assert_eq!(fs::read(student.join("model.safetensors")).unwrap(), weights);
    }
}

#[test]
fn a_missing_file_of_a_complete_run_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    for (name, command) in [("model.json", "eval run"), ("model.safetensors", "eval run")] {
        let kept = fs::read(run.join(name)).unwrap();
        fs::remove_file(run.join(name)).unwrap();
        assert_fails(&mentor(dir.path(), command), 1, &format!("run/{name}: is missing"));
        fs::write(run.join(name), kept).unwrap();
    }
    fs::remove_file(run.join("analysis.json")).unwrap();
    assert!(mentor(dir.path(), "report run").status.success());
    let html = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(html.contains("analysis.json is missing"));
    fs::remove_file(run.join("summary.json")).unwrap();
    fs::remove_file(run.join("model.json")).unwrap();
    assert_fails(&mentor(dir.path(), "eval run"), 2, "is not complete");
}

#[test]
fn the_same_data_by_another_name_or_in_another_place_continues_the_run_and_other_data_does_not() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("data"), &["cat", "dog"]);
    image_folder(&dir.path().join("other"), &["cat", "dog"]);
    fs::remove_file(dir.path().join("other/cat/img1.png")).unwrap();
    let train =
        |data: &str| mentor(dir.path(), &format!("train --data {data} --model linear --epochs 1 --out run"));
    assert!(train("data").status.success());
    let absolute = dir.path().join("data").display().to_string();
    for data in ["./data", "data/", "other/../data", &absolute] {
        let again = train(data);
        assert!(
            again.status.success() && stderr(&again).contains("already complete"),
            "{data}: {}",
            stderr(&again)
        );
    }
    assert_fails(&train("other"), 2, "another run, which differs in data.source");
    fs::rename(dir.path().join("data"), dir.path().join("moved")).unwrap();
    assert_fails(&mentor(dir.path(), "eval run"), 3, "data: no such file");
    assert!(stderr(&mentor(dir.path(), "eval run")).contains("name the data with --data"));
    assert!(mentor(dir.path(), "eval run --data moved").status.success());
    let moved = train("moved");
    assert!(moved.status.success() && stderr(&moved).contains("already complete"), "{}", stderr(&moved));
    assert!(fs::read_to_string(dir.path().join("run/config.toml")).unwrap().contains("source = \"moved\""));
    assert_fails(&train("other"), 2, "another run, which differs in data.source");
    // A run that was cut off goes on too, and only with the same data.
    fs::remove_file(dir.path().join("run/summary.json")).unwrap();
    assert_fails(&train("other"), 2, "another run, which differs in data.source");
    fs::rename(dir.path().join("moved"), dir.path().join("back")).unwrap();
    assert!(train("back").status.success());
}

#[test]
fn a_student_knows_its_teacher_by_its_weights() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path());
    let distil = |teacher: &str| {
        let plain = "--data digits --model linear --epochs 1 --no-baseline --out student";
        mentor(dir.path(), &format!("distill --teacher {teacher} {plain}"))
    };
    assert!(distil("run").status.success());
    let weights = fs::read(dir.path().join("student/model.safetensors")).unwrap();
    assert!(stderr(&distil("./run/")).contains("already complete"));
    fs::rename(dir.path().join("run"), dir.path().join("teacher")).unwrap();
    let moved = distil("teacher");
    assert!(moved.status.success(), "{}", stderr(&moved));
    assert_eq!(fs::read(dir.path().join("student/model.safetensors")).unwrap(), weights);
    assert!(mentor(dir.path(), &TRAIN.replace("run", "else --seed 3")).status.success());
    assert_fails(&distil("else"), 2, "differs in distill.teachers");
    assert_eq!(fs::read(dir.path().join("student/model.safetensors")).unwrap(), weights);
}

#[test]
fn a_value_that_no_f32_holds_begins_no_run() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path());
    for arguments in [
        "distill --teacher run --hard-weight 1e300",
        "distill --teacher run --soft-weight 1e-320",
        "train --learning-rate 1e300",
        "train --learning-rate 1e-320",
        "train --l2 1e300",
        "train --loss svm --margin 1e300",
        "train --loss triplet --margin 1e-320",
        "train --momentum 0.99999999999",
        "train --clip-norm 1e300",
        "self-train --labels-per-class 5 --ratio 1e300",
    ] {
        let output = mentor(dir.path(), &format!("{arguments} --data digits --epochs 1 --out new"));
        assert_fails(&output, 2, "32 bits");
        assert!(!dir.path().join("new").exists(), "{arguments}");
    }
}

#[test]
fn a_model_file_that_was_changed_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    image_folder(&dir.path().join("pictures"), &["a"]);
    let path = run.join("model.json");
    let whole: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let summary = fs::read_to_string(run.join("summary.json")).unwrap();
    let mut old: Value = serde_json::from_str(&summary).unwrap();
    assert!(old.as_object_mut().unwrap().remove("model_blake3").unwrap().is_string());
    for (at, value, what) in [
        ("/classes", json!(["0", "1"]), "names 2 classes"),
        ("/classes", json!([]), "names 0 classes"),
        ("/preprocessing/format/height", json!(16), "its images are [1, 16, 8]"),
        ("/preprocessing/mean", json!([]), "0 means"),
        ("/preprocessing/std/0", json!(0.0), "normalised"),
        ("/loss/name", json!("focal"), "loss \"focal\" is not one of a classifier"),
        ("/loss/name", json!("triplet"), "the loss triplet does not state all its parameters"),
        ("/format", json!(9), "it has format 9"),
    ] {
        let mut changed = whole.clone();
        *changed.pointer_mut(at).unwrap() = value;
        fs::write(&path, changed.to_string()).unwrap();
        for (text, what) in [(old.to_string(), what), (summary.clone(), "")] {
            fs::write(run.join("summary.json"), text).unwrap();
            for command in ["predict run pictures", "eval run"] {
                assert_fails(&mentor(dir.path(), command), 1, what);
            }
        }
    }
    // Names of the same number: only the hash knows. A run of an older mentor has none.
    let mut changed = whole.clone();
    changed["classes"][0] = json!("zero");
    fs::write(&path, changed.to_string()).unwrap();
    assert_fails(&mentor(dir.path(), "predict run pictures"), 1, "not the one that summary.json names");
    fs::write(run.join("summary.json"), old.to_string()).unwrap();
    assert!(mentor(dir.path(), "predict run pictures").status.success());
    // Calibration is not part of it.
    fs::write(&path, whole.to_string()).unwrap();
    fs::write(run.join("summary.json"), &summary).unwrap();
    assert!(mentor(dir.path(), "calibrate run").status.success());
    assert!(mentor(dir.path(), "predict run pictures").status.success());
}
