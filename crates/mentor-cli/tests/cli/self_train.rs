//! Self-training from the command line: results, a kill, shards, and bad input in one clear line.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::fixtures::image_folder;
use crate::{assert_fails, json, mentor, stderr, stdout};

const DIGITS: &str = "self-train --data digits --labels-per-class 25 --model mlp:16 --noise-dropout 0.1 \
                      --epochs 3 --batch-size 64 --rounds 2 --out run";

/// Labelled cats and dogs in `data`, and in `loose` other images without labels.
fn folders(dir: &Path) {
    image_folder(&dir.join("data"), &["cat", "dog"]);
    fs::create_dir(dir.join("loose")).unwrap();
    for index in 0..24_u32 {
        let picture = image::GrayImage::from_fn(8, 8, |x, y| {
            let bright = (x < 4) == (index % 2 == 0);
            let noise = ((x * 5 + y * 3 + index * 17) % 37) as u8;
            image::Luma([if bright { 190 + noise } else { 2 * noise }])
        });
        picture.save(dir.join("loose").join(format!("{index}.png"))).unwrap();
    }
}

const FOLDERS: &str = "self-train --data data --unlabelled loose --model mlp:8 --noise-augment shift \
                       --noise-dropout 0 --epochs 4 --batch-size 8 --rounds 1 --out run";

#[test]
fn one_command_gives_a_student_with_its_baseline_and_its_report() {
    let dir = tempfile::tempdir().unwrap();
    let output = mentor(dir.path(), DIGITS);
    assert!(output.status.success(), "{}", stderr(&output));
    for line in ["round 1", "round 2", "test accuracy", "baseline"] {
        assert!(stdout(&output).contains(line), "{line}: {}", stdout(&output));
    }
    let summary: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path().join("run/summary.json")).unwrap()).unwrap();
    for path in ["/val_accuracy", "/test_accuracy", "/baseline/test_accuracy", "/baseline/p_value"] {
        assert!(summary.pointer(path).is_some_and(serde_json::Value::is_f64), "{path} in {summary}");
    }
    for round in summary["rounds"].as_array().unwrap() {
        for key in ["val_accuracy", "mean_confidence", "audit_precision"] {
            assert!(round[key].is_f64(), "{key} in {round}");
        }
        assert!(round["num_pseudo_labels"].is_u64() && round["accepted"].is_boolean());
    }
    let report = fs::read_to_string(dir.path().join("run/report.html")).unwrap();
    assert!(report.contains("Labels and audit, class by class") && report.contains("Pseudo-labelled images"));
    let again = mentor(dir.path(), DIGITS);
    assert!(again.status.success() && stderr(&again).contains("already complete"));
    let evaluation = json(&mentor(dir.path(), "eval run --json"));
    assert_eq!(evaluation["accuracy"], summary["test_accuracy"], "the model of the run is the final one");
}

#[test]
fn a_dry_run_shows_the_stages_and_their_time_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let output = mentor(dir.path(), &format!("{DIGITS} --dry-run"));
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    for stage in ["stage", "teacher", "baseline", "round 1", "round 2", "in all"] {
        assert!(text.contains(stage), "{stage}: {text}");
    }
    assert!(!dir.path().join("run").exists());
    assert_fails(&mentor(dir.path(), &format!("{DIGITS} --dry-run --ratio 0")), 2, "ratio is 0");
}

#[test]
fn killed_and_started_again_it_ends_in_the_same_weights_and_label_files() {
    let expected = tempfile::tempdir().unwrap();
    assert!(mentor(expected.path(), DIGITS).status.success());
    let files =
        ["run/model.safetensors", "run/round-1/labels/labels.parquet", "run/round-2/labels/labels.parquet"];
    let dir = tempfile::tempdir().unwrap();
    // A checkpoint after every update, so that a kill leaves some of each stage behind.
    for stage in ["teacher", "baseline", "round-1/student", "round-2/student"] {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin("mentor"))
            .current_dir(dir.path())
            .args(DIGITS.split_whitespace())
            .args(["--set", "training.checkpoint_secs=0"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let checkpoints = dir.path().join("run").join(stage).join("checkpoints");
        let deadline = Instant::now() + Duration::from_secs(120);
        while fs::read_dir(&checkpoints).map_or(0, Iterator::count) == 0 {
            assert!(
                child.try_wait().unwrap().is_none() && Instant::now() < deadline,
                "{stage} was not reached"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!dir.path().join("run/summary.json").exists(), "killed too late");
    }
    let output = mentor(dir.path(), &format!("{DIGITS} --set training.checkpoint_secs=0"));
    assert!(output.status.success(), "{}", stderr(&output));
    for file in files {
        let read = |dir: &Path| fs::read(dir.join(file)).unwrap();
        assert!(read(dir.path()) == read(expected.path()), "{file} differs");
    }
}

#[test]
fn shards_are_written_once_and_teach_a_student() {
    let dir = tempfile::tempdir().unwrap();
    folders(dir.path());
    assert!(
        mentor(dir.path(), "train --data data --model mlp:8 --epochs 4 --batch-size 8 --out big")
            .status
            .success()
    );
    let label = |shard: &str| mentor(dir.path(), &format!("label big --data loose --out labels {shard}"));
    for shard in ["--shard 0/2", "--shard 1/2"] {
        let output = label(shard);
        assert!(output.status.success() && stdout(&output).contains("written: shard"), "{}", stderr(&output));
    }
    let again = json(&label("--shard 1/2 --json"));
    assert_eq!((again["already_written"].as_bool(), again["num_rows"].as_u64()), (Some(true), Some(12)));
    assert_fails(&label("--shard 2/2"), 2, "0 <= INDEX < COUNT");

    let given = format!("{FOLDERS} --labels labels --json");
    let shard = dir.path().join("labels/labels-00001-of-00002.parquet");
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[..bytes.len() / 2]).unwrap();
    assert_fails(&mentor(dir.path(), &given), 3, "damaged");
    assert!(label("--shard 1/2").status.success());
    assert_eq!(fs::read(&shard).unwrap(), bytes, "the same bytes again");
    let summary = json(&mentor(dir.path(), &given));
    assert!(summary["rounds"][0]["num_pseudo_labels"].as_u64().unwrap() > 0, "{summary}");

    // Labels are of images, whatever their files are called.
    fs::create_dir(dir.path().join("renamed")).unwrap();
    for index in 0..24 {
        let [from, to] = [format!("loose/{index}.png"), format!("renamed/new-{index}.png")];
        fs::copy(dir.path().join(from), dir.path().join(to)).unwrap();
    }
    fs::write(dir.path().join("renamed/zzz.png"), "no picture").unwrap();
    // The header of this one is whole, so that only decoding shows what it is.
    let whole = fs::read(dir.path().join("renamed/new-0.png")).unwrap();
    fs::write(dir.path().join("renamed/zzzz.png"), &whole[..whole.len() - 20]).unwrap();
    let renamed = given.replace("--unlabelled loose", "--unlabelled renamed --on-bad-image quarantine");
    let summary_of_renamed = json(&mentor(dir.path(), &renamed.replace("--out run", "--out again")));
    assert_eq!(summary_of_renamed["weights_blake3"], summary["weights_blake3"]);
    let list = fs::read_to_string(dir.path().join("again/quarantine.txt")).unwrap();
    assert!(list.lines().count() == 2 && list.contains("zzz.png") && list.contains("zzzz.png"), "{list}");

    assert!(
        mentor(dir.path(), "train --data data --model mlp:8 --epochs 1 --seed 3 --out other")
            .status
            .success()
    );
    assert_fails(
        &mentor(dir.path(), "label other --data loose --out labels --shard 1/2"),
        3,
        "labels of other weights of the teacher",
    );
    fs::remove_file(&shard).unwrap();
    assert!(mentor(dir.path(), "label other --data loose --out labels --shard 1/2").status.success());
    assert_fails(&mentor(dir.path(), &given.replace("--out run", "--out mixed")), 3, " of teacher ");
}

#[test]
fn bad_input_is_one_clear_line() {
    let dir = tempfile::tempdir().unwrap();
    folders(dir.path());
    for (flags, what) in [
        ("--threshold 1.5", "threshold is 1.5"),
        ("--threshold NaN", "threshold is NaN"),
        ("--rounds 0", "rounds is 0"),
        ("--ratio 0", "ratio is 0"),
        ("--labels-per-class 2", "two sources"),
        ("--loss svm", "not svm"),
        ("--optimizer gd --augment none", "gd does not self-train"),
        ("--student lenet", "lenet"),
    ] {
        let command = FOLDERS.replace(" --rounds 1", "");
        assert_fails(&mentor(dir.path(), &format!("{command} {flags}")), 2, what);
    }
    assert_fails(
        &mentor(dir.path(), &FOLDERS.replace("--unlabelled loose ", "")),
        2,
        "no images without labels",
    );
    fs::create_dir(dir.path().join("empty")).unwrap();
    assert_fails(
        &mentor(dir.path(), &FOLDERS.replace("--unlabelled loose", "--unlabelled empty")),
        3,
        "holds no images",
    );
    let equal = FOLDERS.replace("--unlabelled loose", "--unlabelled data");
    assert_fails(&mentor(dir.path(), &equal), 3, "holds no image that is not among the labelled");
    let many = "self-train --data data --labels-per-class 500 --out run";
    assert_fails(&mentor(dir.path(), many), 3, "fewer than the 500 labels");
    assert!(!dir.path().join("run").exists(), "a run was begun");
    let smaller = mentor(dir.path(), &format!("{FOLDERS} --student linear"));
    assert!(smaller.status.success(), "{}", stderr(&smaller));
    assert!(stderr(&smaller).contains("a smaller student cannot learn"), "{}", stderr(&smaller));
    let none =
        mentor(dir.path(), &format!("{FOLDERS} --threshold 1 --json").replace("--out run", "--out none"));
    assert!(json(&none)["rounds"][0]["reason"].as_str().unwrap().contains("no image reaches the threshold"));
}
