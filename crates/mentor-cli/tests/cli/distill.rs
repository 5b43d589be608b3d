//! Distillation and calibration from the command line: results, and bad input in one clear line.

use std::fs;
use std::path::Path;

use crate::fixtures::image_folder;
use crate::{assert_fails, json, mentor, stderr, stdout};

/// A teacher of cats and dogs in `big`, its data in `data`.
fn teacher(dir: &Path) {
    image_folder(&dir.join("data"), &["cat", "dog"]);
    let output = mentor(dir, "train --data data --model mlp:16 --epochs 4 --batch-size 4 --out big");
    assert!(output.status.success(), "{}", stderr(&output));
}

const DISTILL: &str = "distill --teacher big --data data --model mlp:4 --epochs 2 --batch-size 4 --out small";

#[test]
fn a_student_is_trained_beside_its_baseline_and_calibrated() {
    let dir = tempfile::tempdir().unwrap();
    teacher(dir.path());
    let output = mentor(dir.path(), DISTILL);
    assert!(output.status.success(), "{}", stderr(&output));
    for line in ["teacher", "baseline", "agreement", "mean KL"] {
        assert!(stdout(&output).contains(line), "{line}: {}", stdout(&output));
    }
    let summary = fs::read(dir.path().join("small/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    for path in ["/val_accuracy", "/baseline/val_accuracy", "/teacher/val_accuracy", "/agreement", "/mean_kl"]
    {
        assert!(summary.pointer(path).is_some_and(serde_json::Value::is_f64), "{path} in {summary}");
    }
    let report = fs::read_to_string(dir.path().join("small/report.html")).unwrap();
    assert!(report.contains("Student and teachers"));
    let again = mentor(dir.path(), DISTILL);
    assert!(again.status.success() && stderr(&again).contains("already complete"));

    let first = json(&mentor(dir.path(), "calibrate small --split train --match-prior --json"));
    let second = json(&mentor(dir.path(), "calibrate small --split train --match-prior --json"));
    assert_eq!(first, second, "a second calibration starts from the raw scores");
    let evaluation = json(&mentor(dir.path(), "eval small --split train --json"));
    let ece = |value: &serde_json::Value| value.as_f64().unwrap();
    let used = if first["not_kept"].is_null() { "ece_after" } else { "ece_before" };
    assert!((ece(&evaluation["ece"]) - ece(&first[used])).abs() < 1e-6, "{evaluation} {first}");
    for bad in ["0.5,0.6", "1,0", "0.2,0.3,0.5"] {
        assert_fails(&mentor(dir.path(), &format!("calibrate small --prior {bad}")), 2, "prior");
    }
}

#[test]
fn bad_input_is_one_clear_line() {
    let dir = tempfile::tempdir().unwrap();
    teacher(dir.path());
    for (flags, what) in [
        ("--temperature 0", "temperature is 0"),
        ("--temperature NaN", "temperature is NaN"),
        ("--soft-weight 0 --hard-weight 0", "both 0"),
        ("--temperature inf", "temperature is inf"),
        ("--mode attention", "invalid value 'attention' for '--mode <MODE>'"),
        ("--optimizer gd", "gd does not distil"),
    ] {
        assert_fails(&mentor(dir.path(), &format!("{DISTILL} {flags}")), 2, what);
    }
    // Batches of a ranking loss have their own size.
    let cosine = DISTILL.replace("--batch-size 4", "--mode cosine");
    assert_fails(&mentor(dir.path(), &cosine), 3, "it gives scores, and mode cosine");
    assert_fails(&mentor(dir.path(), &format!("{cosine} --temperature 2")), 2, "mode cosine has none");
    let triplet = DISTILL.replace("--batch-size 4", "--loss triplet");
    assert_fails(&mentor(dir.path(), &triplet), 2, "has softmax as the loss of its labels, not triplet");
    let nobody = DISTILL.replace("--teacher big ", "");
    assert_fails(&mentor(dir.path(), &nobody), 2, "no teacher is named");
    assert_fails(&mentor(dir.path(), &DISTILL.replace("big", "gone")), 2, "holds no run");
    image_folder(&dir.path().join("frogs"), &["cat", "frog"]);
    let frogs = DISTILL.replace("--data data", "--data frogs");
    assert_fails(
        &mentor(dir.path(), &frogs),
        3,
        "only the data has: \"frog\", only the teacher has: \"dog\"",
    );
    let weights = dir.path().join("big/model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    assert_fails(&mentor(dir.path(), DISTILL), 1, "");
    assert!(!dir.path().join("small").exists(), "a run was begun");
}

#[test]
fn images_without_labels_teach_softly_and_refuse_a_hard_weight() {
    let dir = tempfile::tempdir().unwrap();
    teacher(dir.path());
    fs::create_dir(dir.path().join("loose")).unwrap();
    for class in ["cat", "dog"] {
        for entry in fs::read_dir(dir.path().join("data").join(class)).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{class}-{}", path.file_name().unwrap().to_str().unwrap());
            fs::copy(&path, dir.path().join("loose").join(name)).unwrap();
        }
    }
    let loose = DISTILL.replace("--data data", "--data loose");
    assert_fails(&mentor(dir.path(), &loose), 3, "no labels, and a hard weight above 0 needs them");
    let output = mentor(dir.path(), &format!("{loose} --hard-weight 0 --json"));
    let summary = json(&output);
    assert!(stderr(&output).contains("no baseline"), "{}", stderr(&output));
    assert!(summary["agreement"].is_f64() && summary.get("val_accuracy").is_none(), "{summary}");
    // Its own images have no labels to compare with.
    let again = mentor(dir.path(), &format!("{loose} --hard-weight 0"));
    assert!(stderr(&again).contains("already complete"), "{}", stderr(&again));
    assert!(
        stdout(&again).contains("mentor eval small --data DATA, of images with labels"),
        "{}",
        stdout(&again)
    );
    let evaluation = json(&mentor(dir.path(), "eval small --data data --split test --json"));
    assert!(evaluation["accuracy"].is_f64());
}

const FACES: &str = "distill --teacher faces --data data --model mlp:4 --epochs 2 --batch-size 8 \
                     --classes-per-batch 2 --samples-per-class 4 --out near";

#[test]
fn an_embedding_model_teaches_distances_and_directions() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("data"), &["cat", "dog"]);
    let teacher = "train --data data --loss triplet --model mlp:8 --embedding-size 4 --epochs 4 \
                   --samples-per-class 4 --out faces";
    let output = mentor(dir.path(), teacher);
    assert!(output.status.success(), "{}", stderr(&output));
    let soft = "distill --teacher faces --data data --model mlp:4 --epochs 2 --out near";
    assert_fails(&mentor(dir.path(), soft), 3, "cannot teach here: it gives embeddings");
    let cosine = format!("{FACES} --mode cosine --embedding-size 3");
    assert_fails(&mentor(dir.path(), &cosine), 3, "its embeddings have 4 values and the student's 3");
    assert!(!dir.path().join("near").exists(), "a run was begun");

    // Two validation images a class: one alone has no mate, and its retrieval is undefined.
    let near = format!("{FACES} --mode relational --embedding-size 3 --val-fraction 0.3");
    let output = mentor(dir.path(), &near);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("from scratch") && stdout(&output).contains("MAP@R"),
        "{}",
        stdout(&output)
    );
    // Without labels in the loss a batch may be of any size; the baseline has its pairs all the same.
    let free = FACES
        .replace("--batch-size 8 --classes-per-batch 2 ", "--batch-size 6 ")
        .replace("--out near", "--out free");
    let output = mentor(dir.path(), &format!("{free} --mode relational --embedding-size 3"));
    assert!(output.status.success(), "{}", stderr(&output));
    let unseen = FACES.replace("--out near", "--out unseen --val-fraction 0 --mode relational --no-baseline");
    let output = mentor(dir.path(), &format!("{unseen} --embedding-size 3"));
    assert!(output.status.success() && !stdout(&output).contains("NaN"), "{}", stdout(&output));
    let summary = fs::read(dir.path().join("near/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    for place in ["", "/teacher", "/baseline"] {
        for name in ["val_precision_at_1", "val_r_precision", "val_map_at_r"] {
            let path = format!("{place}/{name}");
            assert!(summary.pointer(&path).is_some_and(serde_json::Value::is_f64), "{path} in {summary}");
        }
    }
    let report = fs::read_to_string(dir.path().join("near/report.html")).unwrap();
    assert!(report.contains("Student and teachers"));
    let evaluation = json(&mentor(dir.path(), "eval near --split test --json"));
    assert!(evaluation["map_at_r"].is_f64());
}
