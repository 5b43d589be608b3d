//! `mentor loss triplet` on files.

use std::path::Path;

use crate::{json, mentor, stderr, stdout};

/// Writes a NumPy array.
fn write_npy(path: &Path, descr: &str, shape: &str, data: &[u8]) {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    std::fs::write(path, bytes).unwrap();
}

fn write_embeddings(path: &Path, values: &[f64]) {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    write_npy(path, "<f8", &format!("({}, 1)", values.len()), &data);
}

fn write_labels(path: &Path, labels: &[i64]) {
    let data: Vec<u8> = labels.iter().flat_map(|label| label.to_le_bytes()).collect();
    write_npy(path, "<i8", &format!("({},)", labels.len()), &data);
}

#[test]
fn a_batch_worked_by_hand_comes_out() {
    let dir = tempfile::tempdir().unwrap();
    // On a line: 0 and 0.5 of one class, −0.625 and 2 of others. One active triplet: (0, 0.5, −0.625).
    write_embeddings(&dir.path().join("e.npy"), &[0.0, 0.5, -0.625, 2.0]);
    write_labels(&dir.path().join("l.npy"), &[7, 7, 1, 2]);
    let triplet = "loss triplet --embeddings e.npy --labels l.npy --margin 0.25";
    let all = json(&mentor(dir.path(), &format!("{triplet} --mining all --json")));
    assert_eq!(all["loss"], 0.125 / 4.0);
    for (name, number) in
        [("num_valid", 4), ("num_active", 1), ("num_easy", 3), ("num_semi_hard", 1), ("num_hard", 0)]
    {
        assert_eq!(all[name], number, "{name}");
    }
    // ∂d_ap: the anchor moves up, the positive down; ∂d_an: the anchor moves up, the negative down.
    let gradient: Vec<f64> =
        all["gradient"].as_array().unwrap().iter().map(|row| row[0].as_f64().unwrap()).collect();
    assert_eq!(gradient, [-0.5, 0.25, 0.25, 0.0]);
    let active = json(&mentor(dir.path(), &format!("{triplet} --average active --json")));
    assert_eq!(active["loss"], 0.125);
    let hard = json(&mentor(dir.path(), &format!("{triplet} --mining hard --json")));
    assert_eq!(
        (&hard["num_valid"], &hard["loss"], &hard["batch"]["num_valid"]),
        (&2.into(), &0.0625.into(), &4.into())
    );
    let text = stdout(&mentor(dir.path(), triplet));
    assert!(text.contains("L = 0.03125, the mean over the valid triplets"), "{text}");
    assert!(text.contains("semi-hard  1, 25.0 %"), "{text}");
}

#[test]
fn ugly_batches_have_finite_losses_and_gradients() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    write_labels(&path("two.npy"), &[0, 0, 1, 1]);
    write_labels(&path("one.npy"), &[5, 5, 5, 5]);
    write_labels(&path("lone.npy"), &[0, 1, 2, 3]);
    for (name, values) in [
        ("equal", [1.0; 4]),
        ("zero", [0.0; 4]),
        ("large", [1e4, -1e4, 9e3, 0.0]),
        ("mixed", [0.0, 0.0, 1e-30, 1e4]),
    ] {
        let embeddings = format!("{name}.npy");
        write_embeddings(&path(&embeddings), &values);
        for labels in ["two", "one", "lone"] {
            for flags in [
                "--mining all",
                "--mining all --margin 0 --average active",
                "--mining hard",
                "--mining semi-hard",
            ] {
                for distance in ["euclidean", "squared", "cosine"] {
                    let command = format!(
                        "loss triplet --embeddings {embeddings} --labels {labels}.npy {flags} --distance \
                         {distance} --json"
                    );
                    let batch = json(&mentor(dir.path(), &command));
                    let loss = batch["loss"].as_f64().unwrap_or_else(|| panic!("{command}: {batch}"));
                    let gradient = batch["gradient"].as_array().unwrap();
                    let moves = gradient.iter().filter(|row| row[0].as_f64().unwrap() != 0.0).count();
                    assert!(loss.is_finite() && loss >= 0.0, "{command}: {batch}");
                    if labels != "two" {
                        assert_eq!((loss, moves, &batch["num_valid"]), (0.0, 0, &0.into()), "{command}");
                    }
                    if name == "equal" || name == "zero" {
                        assert_eq!(moves, 0, "{command}: {batch}");
                    }
                }
            }
        }
    }
}

#[test]
fn files_that_cannot_be_used_are_bad_data_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    write_embeddings(&path("e.npy"), &[0.0, 0.5, 1.0]);
    write_embeddings(&path("nan.npy"), &[0.0, f64::NAN, 1.0]);
    write_labels(&path("two.npy"), &[0, 1]);
    write_labels(&path("three.npy"), &[0, 0, 1]);
    write_labels(&path("negative.npy"), &[0, 0, -1]);
    for (embeddings, labels, expected) in [
        ("e.npy", "two.npy", "error: 2 labels for 3 embeddings"),
        ("nan.npy", "three.npy", "error: nan.npy: holds NaN at [1, 0]"),
        ("e.npy", "negative.npy", "error: negative.npy: label -1 at 2"),
        ("e.npy", "e.npy", "error: e.npy: labels are integers"),
        ("three.npy", "three.npy", "error: three.npy: has the shape [3]"),
        ("none.npy", "three.npy", "error: none.npy: no such file"),
    ] {
        let output = mentor(dir.path(), &format!("loss triplet --embeddings {embeddings} --labels {labels}"));
        assert_eq!(output.status.code(), Some(3), "{embeddings} {labels}");
        let message = stderr(&output);
        assert!(message.starts_with(expected), "{message}");
        assert_eq!(message.lines().filter(|line| line.starts_with("error")).count(), 1);
    }
}
