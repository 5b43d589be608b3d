//! Embedding models from the command line: train, eval, embed, search.

use std::fs;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{ListAccessor, RowAccessor};
use serde_json::Value;

use crate::fixtures::{PER_CLASS, image_folder};
use crate::{assert_fails, json, mentor, stderr, stdout};

#[test]
fn an_embedding_model_is_trained_evaluated_embedded_and_searched() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["cat", "dog"]);
    let trained = mentor(
        dir.path(),
        "train --data photos --loss triplet --model mlp:8 --embedding-size 4 --epochs 4 --samples-per-class \
         4 --out run",
    );
    assert!(trained.status.success(), "{}", stderr(&trained));
    assert!(
        stderr(&trained).contains("semi-hard") && stderr(&trained).contains("MAP@R"),
        "{}",
        stderr(&trained)
    );
    let report = fs::read_to_string(dir.path().join("run/report.html")).unwrap();
    assert!(report.contains("Map of the embeddings") || report.contains("principal"), "no map in the report");

    let value = json(&mentor(dir.path(), "eval run --json"));
    for key in ["precision_at_1", "r_precision", "map_at_r", "recall_at_5", "recall_at_10"] {
        let number = value[key].as_f64().unwrap_or_else(|| panic!("eval --json has no {key}"));
        assert!((0.0..=1.0).contains(&number), "{key} {number}");
    }
    // Fewer than ten others: all of them vote.
    assert!(value["knn_accuracy"].is_null() && value["k"] == 10, "{value}");
    assert!(value["num_queries"].as_u64().unwrap() > 0 && value["num_lone_queries"].is_u64());
    let value = json(&mentor(dir.path(), "eval run --json --gallery train"));
    assert_eq!((value["split"].as_str(), value["gallery"].as_str()), (Some("test"), Some("train")));

    let embedded = mentor(dir.path(), "embed run photos --out vectors.npy --ids ids.csv");
    assert!(embedded.status.success(), "{}", stderr(&embedded));
    let bytes = fs::read(dir.path().join("vectors.npy")).unwrap();
    assert_eq!(bytes.len(), 128 + 2 * PER_CLASS * 4 * 4);
    let norm: f32 = bytes[128..144]
        .chunks_exact(4)
        .map(|word| f32::from_le_bytes(word.try_into().unwrap()).powi(2))
        .sum();
    assert!((norm - 1.0).abs() < 1e-5, "{norm}");
    let ids = fs::read_to_string(dir.path().join("ids.csv")).unwrap();
    assert_eq!(ids.lines().count(), 1 + 2 * PER_CLASS);
    assert_eq!(ids.lines().nth(3), Some("photos/cat/img2.png"), "natural order");

    let embedded = mentor(dir.path(), "embed run photos --out vectors.parquet");
    assert!(embedded.status.success(), "{}", stderr(&embedded));
    let rows = parquet_rows(&dir.path().join("vectors.parquet"));
    assert_eq!((rows.len(), rows[2].0.as_str()), (2 * PER_CLASS, "photos/cat/img2.png"));
    let values: Vec<u8> =
        rows.iter().flat_map(|(_, values)| values).flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(values, bytes[128..], "the same values as in the npy file");

    let split = mentor(dir.path(), "embed run photos --split train --out e.npy --labels l.npy");
    assert!(split.status.success(), "{}", stderr(&split));
    let value =
        json(&mentor(dir.path(), "loss triplet --embeddings e.npy --labels l.npy --margin 0.2 --json"));
    assert!(value["num_valid"].as_u64().unwrap() > 0, "{value}");

    let value =
        json(&mentor(dir.path(), "search run --index photos --query photos/cat/img0.png --top 3 --json"));
    assert_eq!(value["neighbours"][0]["path"].as_str(), Some("photos/cat/img0.png"));
    assert_eq!(value["neighbours"][0]["distance"].as_f64(), Some(0.0));
    assert_eq!(value["neighbours"].as_array().unwrap().len(), 3);
    let found = stdout(&mentor(dir.path(), "search run --index photos --query photos/dog/img1.png --top 2"));
    assert!(found.starts_with("photos/dog/img1.png\n"), "{found}");

    searched_by_a_file(dir.path(), &value);
}

/// The index is embedded once, and searched by its model alone.
fn searched_by_a_file(dir: &Path, expected: &Value) {
    assert!(mentor(dir, "embed run photos --out vectors.parquet").status.success());
    let search = |run: &str, index: &str| {
        mentor(dir, &format!("search {run} --index {index} --query photos/cat/img0.png --top 3 --json"))
    };
    assert_eq!(&json(&search("run", "vectors.parquet")), expected);
    assert!(mentor(dir, "train --data photos --loss triplet --epochs 1 --out other").status.success());
    assert_fails(&search("other", "vectors.parquet"), 3, "embeddings of another model");
    assert_fails(&search("run", "vectors.parquet photos"), 2, "names vectors.parquet and other paths");
    assert_fails(&search("run", "gone.parquet"), 2, "gone.parquet");

    let bytes = fs::read(dir.join("vectors.parquet")).unwrap();
    for (place, changed) in [(4, 0xff), (bytes.len() / 2, 0xff), (bytes.len() - 40, 0xff)] {
        let mut damaged = bytes.clone();
        damaged[place] ^= changed;
        fs::write(dir.join("damaged.parquet"), damaged).unwrap();
        let output = search("run", "damaged.parquet");
        // A changed value may be a value, and a changed name a name.
        assert!(matches!(output.status.code(), Some(0 | 3)), "{place}: {}", stderr(&output));
    }
    fs::write(dir.join("damaged.parquet"), &bytes[..bytes.len() - 9]).unwrap();
    assert_fails(&search("run", "damaged.parquet"), 3, "is no index");
}

/// The path and the values of each row.
fn parquet_rows(path: &Path) -> Vec<(String, Vec<f32>)> {
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(Result::unwrap);
    rows.map(|row| {
        let list = row.get_list(row.len() - 1).unwrap();
        let values = (0..list.len()).map(|at| list.get_float(at).unwrap()).collect();
        (row.get_string(0).unwrap().clone(), values)
    })
    .collect()
}

#[test]
fn batches_take_what_small_classes_have() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["cat", "dog"]);
    let train = "train --data photos --loss triplet --model mlp:8 --embedding-size 4 --epochs 1 --quiet";
    assert!(mentor(dir.path(), &format!("{train} --samples-per-class 99 --out run")).status.success());
}

#[test]
fn what_does_not_go_with_embeddings_is_one_clear_line() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["cat", "dog"]);
    let train = "train --data photos --model mlp:8 --epochs 1 --quiet";
    let embedding = format!("{train} --loss pairwise --samples-per-class 4 --out run");
    assert!(mentor(dir.path(), &embedding).status.success());
    assert!(mentor(dir.path(), &format!("{train} --out classifier")).status.success());
    for (arguments, status, message) in [
        (format!("{train} --loss triplet --mining none --out x"), 2, "--triplets"),
        (format!("{train} --loss triplet --optimizer gd --out x"), 2, "use sgd"),
        (format!("{train} --loss triplet --mining none --triplets missing.csv --out x"), 3, "missing.csv"),
        (format!("{train} --embedding-size 8 --out x"), 2, "embedding_size needs a ranking loss"),
        ("predict run photos".to_owned(), 2, "gives embeddings, not classes"),
        ("embed run photos --out e.npy --ids e.npy".to_owned(), 2, "e.npy: is named for two"),
        ("eval run --per-sample x.csv".to_owned(), 2, "--per-sample"),
        ("eval classifier --gallery train".to_owned(), 2, "--gallery is for embeddings"),
        ("eval run --split all --gallery train".to_owned(), 2, "would find itself"),
        ("label run --data photos --out x.parquet".to_owned(), 2, "gives embeddings, not classes"),
        ("embed run photos --out nowhere/x.npy".to_owned(), 2, "there is no folder nowhere"),
        ("embed run missing --out x.npy".to_owned(), 3, "missing"),
        ("embed run photos photos --split train --out x.npy".to_owned(), 2, "one data set"),
        ("search run --index photos --query missing.png".to_owned(), 3, "missing.png"),
    ] {
        assert_fails(&mentor(dir.path(), &arguments), status, message);
    }
    assert!(!dir.path().join("x.npy").exists());
}
