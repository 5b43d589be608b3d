//! `mentor export --precision int8`.

use std::fs;

use serde_json::Value;

use crate::fixtures::image_folder;
use crate::{assert_fails, json, mentor, stderr, stdout};

#[test]
fn a_model_in_eight_bits_says_what_it_lost_and_predicts() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["dark", "light"]);
    let train = "train --data photos --model cnn --epochs 3 --size 9x12 --resize fit-pad --out run";
    assert!(mentor(dir.path(), train).status.success());
    let found = json(&mentor(dir.path(), "export run --out small.onnx --precision int8 --verify --json"));
    let written: Value =
        serde_json::from_slice(&fs::read(dir.path().join("small.onnx.json")).unwrap()).unwrap();
    assert_eq!(found, written);
    let int8 = &found["int8"];
    let bytes = fs::read(dir.path().join("small.onnx")).unwrap();
    assert_eq!(int8["int8"]["bytes"], bytes.len());
    assert_eq!(found["blake3"], blake3::hash(&bytes).to_hex().to_string());
    assert!(int8["f32"]["bytes"].as_u64().unwrap() > 3 * bytes.len() as u64, "{int8}");
    assert_eq!((&int8["measure"], &int8["max_loss"]), (&"accuracy".into(), &0.005.into()));
    assert!(int8["num_pictures"].as_u64().unwrap() > 0 && int8["p_value"] == 1.0, "{int8}");
    let classes = |model: &str| -> Vec<Value> {
        let predicted = stdout(&mentor(dir.path(), &format!("predict {model} photos")));
        let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["predicted"].clone();
        predicted.lines().map(line).collect()
    };
    let (expected, found) = (classes("run"), classes("small.onnx"));
    assert_eq!((expected.len(), &expected), (24, &found));
}

#[test]
fn an_embedding_model_is_measured_by_the_nearest_picture() {
    let dir = tempfile::tempdir().unwrap();
    assert!(mentor(dir.path(), "train --data digits --loss triplet --epochs 1 --out run").status.success());
    let output = mentor(dir.path(), "export run --out e.onnx --precision int8 --max-loss 1");
    let text = stdout(&output);
    for word in ["P@1", "calibrated on", "times smaller", "times as fast"] {
        assert!(text.contains(word), "{text}{}", stderr(&output));
    }
}

#[test]
fn what_does_not_fit_together_is_refused_and_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["dark", "light"]);
    assert!(mentor(dir.path(), "train --data photos --epochs 3 --out run").status.success());

    let fails = |arguments: &str, status: i32, what: &str| {
        assert_fails(&mentor(dir.path(), &format!("export run --out a.onnx {arguments}")), status, what);
        assert!(!dir.path().join("a.onnx").exists() && !dir.path().join("a.onnx.json").exists());
    };
    fails("--max-loss 0.1", 2, "--max-loss is for --precision int8");
    fails("--precision int8 --max-loss 2", 2, "must be from 0 to 1");
    fails("--precision int8 --format web", 2, "--precision int8 is for --format onnx");
    fails("--data photos", 2, "--data is for --verify");
    fails("--precision int8 --data gone", 3, "gone");
}
