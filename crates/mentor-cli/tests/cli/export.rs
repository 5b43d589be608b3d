//! `mentor export`, and `mentor predict` with the file that it wrote.

use std::fs;

use serde_json::Value;

use crate::fixtures::image_folder;
use crate::{assert_fails, json, mentor, stderr, stdout};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_exported_classifier_is_verified_and_predicts_as_its_run() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["dark", "light"]);
    let train = "train --data photos --model resnet-8 --epochs 2 --size 9x12 --resize fit-pad --out run";
    assert!(mentor(dir.path(), train).status.success());
    let exported = json(&mentor(dir.path(), "export run --out model.onnx --verify --json"));
    let written: Value =
        serde_json::from_slice(&fs::read(dir.path().join("model.onnx.json")).unwrap()).unwrap();
    assert_eq!(exported, written);
    let bytes = fs::read(dir.path().join("model.onnx")).unwrap();
    assert_eq!(written["blake3"], blake3::hash(&bytes).to_hex().to_string());
    let description = fs::read(dir.path().join("run/model.json")).unwrap();
    assert_eq!(written["run_blake3"], blake3::hash(&description).to_hex().to_string());
    let pictures = &written["verification"]["pictures"];
    assert!(pictures["num_pictures"].as_u64().unwrap() > 0);
    assert_eq!(pictures["num_pictures"], pictures["num_same_class"]);
    assert!(written["verification"]["resized"]["num_pictures"].as_u64().unwrap() > 0);

    let tensor = mentor(dir.path(), "export run --out tensor.onnx --input tensor");
    assert!(tensor.status.success() && !dir.path().join("tensor.onnx.json").exists(), "{}", stderr(&tensor));
    let expected = lines(&stdout(&mentor(dir.path(), "predict run photos --top 2")));
    assert_eq!(expected.len(), 24);
    for file in ["model.onnx", "tensor.onnx"] {
        let found = lines(&stdout(&mentor(dir.path(), &format!("predict {file} photos --top 2"))));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!((&found["path"], &found["predicted"]), (&expected["path"], &expected["predicted"]));
            let gap = found["confidence"].as_f64().unwrap() - expected["confidence"].as_f64().unwrap();
            assert!(gap.abs() < 1e-3, "{found} {expected}");
        }
    }
}

#[test]
fn an_embedding_model_is_exported_and_classifies_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert!(mentor(dir.path(), "train --data digits --loss triplet --epochs 1 --out run").status.success());
    let exported = json(&mentor(dir.path(), "export run --out e.onnx --verify --json"));
    assert_eq!(exported["classes"], 0);
    assert!(exported["verification"]["pictures"]["max_embedding_difference"].as_f64().unwrap() < 1e-4);
    image_folder(&dir.path().join("photos"), &["dark"]);
    assert_fails(&mentor(dir.path(), "predict e.onnx photos"), 2, "gives embeddings");
}

#[test]
fn what_cannot_be_exported_is_refused_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    assert!(mentor(dir.path(), "train --data digits --epochs 1 --out run").status.success());
    assert_fails(&mentor(dir.path(), "export nothing --out a.onnx"), 2, "holds no run");
    assert_fails(&mentor(dir.path(), "export run --out no/a.onnx"), 2, "there is no folder");
    assert_fails(&mentor(dir.path(), "export run --out run"), 2, "is a folder");
    assert_fails(&mentor(dir.path(), "export run --out a.onnx --verify --data gone"), 3, "gone");
    assert!(!dir.path().join("a.onnx").exists() && !dir.path().join("a.onnx.json").exists());

    assert!(mentor(dir.path(), "export run --out a.onnx --verify").status.success());
    assert_fails(&mentor(dir.path(), "export run --out a.onnx"), 2, "exists");
    assert!(mentor(dir.path(), "export run --out a.onnx --input tensor --force").status.success());
    assert!(!dir.path().join("a.onnx.json").exists(), "it spoke of the file before");

    fs::remove_file(dir.path().join("run/summary.json")).unwrap();
    fs::remove_file(dir.path().join("run/model.json")).unwrap();
    assert_fails(&mentor(dir.path(), "export run --out b.onnx"), 2, "not complete");
    fs::write(dir.path().join("text.onnx"), "a text").unwrap();
    assert_fails(&mentor(dir.path(), "predict text.onnx a.png"), 3, "is no ONNX model");
}

#[test]
fn folders_hold_the_model_and_are_new_or_written_into_by_force() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["dark", "light"]);
    assert!(mentor(dir.path(), "train --data photos --model mlp:8 --epochs 1 --out run").status.success());
    let found = json(&mentor(dir.path(), "export run --format safetensors --out weights --json"));
    assert_eq!((&found["names"], found["files"].as_array().unwrap().len()), (&"mentor".into(), 2));
    let written = fs::read(dir.path().join("weights/model.safetensors")).unwrap();
    assert_eq!(found["files"][1]["blake3"], blake3::hash(&written).to_hex().to_string());

    assert!(mentor(dir.path(), "export run --format triton --out models").status.success());
    let config = fs::read_to_string(dir.path().join("models/run/config.pbtxt")).unwrap();
    assert!(config.contains("dims: [ 8 ]"), "the embedding is the hidden layer: {config}");
    assert!(mentor(dir.path(), "export run --out same.onnx").status.success());
    let same = fs::read(dir.path().join("same.onnx")).unwrap();
    assert_eq!(fs::read(dir.path().join("models/run/1/model.onnx")).unwrap(), same);

    let found = json(&mentor(dir.path(), "export run --format web --out site --verify --json"));
    assert!(found["verification"]["pictures"]["num_pictures"].as_u64().unwrap() > 0, "{found}");
    let report: Value = serde_json::from_slice(&fs::read(dir.path().join("site.json")).unwrap()).unwrap();
    assert_eq!(report, found);
    assert_eq!(fs::read(dir.path().join("site/model.onnx")).unwrap(), same);

    let fails = |arguments: &str, what: &str| {
        assert_fails(&mentor(dir.path(), &format!("export run {arguments}")), 2, what);
    };
    fails("--format web --out site", "is a folder with files in it");
    fails("--format web --out same.onnx", "is a file");
    fails("--format web --out no/site", "there is no folder no");
    fails("--format web --out other --input tensor", "--input tensor is for");
    fails("--format safetensors --out other --verify", "writes none");
    assert!(mentor(dir.path(), "export run --format web --out site --force").status.success());
    assert!(!dir.path().join("site.json").exists(), "it spoke of the files before");
    assert!(!dir.path().join("other").exists());
}

/// What a device without space gives: the file is whole or not there.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_no_part_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    assert!(mentor(dir.path(), "train --data digits --epochs 1 --out run").status.success());
    // The limit on the size of a file stands for a full disk; the model has 2.6 kB.
    let command = format!("ulimit -f 1; exec {} export run --out a.onnx", env!("CARGO_BIN_EXE_mentor"));
    let output = std::process::Command::new("bash")
        .args(["-c", &format!("trap '' XFSZ; {command}")])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["run"], "{}", stderr(&output));
}
