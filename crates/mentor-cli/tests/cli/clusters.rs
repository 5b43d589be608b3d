//! More than one folder and one process: shards of data, parts of the work, and curves that other tools read.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use assert_cmd::Command;
use serde_json::Value;

use crate::fixtures::{PER_CLASS, image_folder};
use crate::{assert_fails, mentor, stderr, stdout};

fn succeeds(dir: &Path, arguments: &str) -> String {
    let output = mentor(dir, arguments);
    assert!(output.status.success(), "{arguments}: {}", stderr(&output));
    stdout(&output)
}

fn value(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn folder_tar_and_parquet_end_in_the_same_weights() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["cat", "dog"]);
    assert_eq!(succeeds(dir.path(), "data photos --write-tar tars"), "tars/images-000000.tar\n");
    let written = succeeds(dir.path(), "data tars/*.tar --write-index");
    assert_eq!(written, "tars/images-000000.tar.index.json\n");
    let written = succeeds(dir.path(), "data photos --write-parquet tables");
    assert_eq!(written, "tables/images-00000-of-00001.parquet\n");
    let weights: Vec<Value> = ["photos", "tars/images-{000000..000000}.tar", "tables"]
        .iter()
        .enumerate()
        .map(|(run, data)| {
            succeeds(dir.path(), &format!("train --data {data} --model cnn --epochs 2 --quiet --out r{run}"));
            let evaluated = succeeds(dir.path(), &format!("eval r{run} --split test --json"));
            assert!(evaluated.contains("\"accuracy\""), "{evaluated}");
            value(&dir.path().join(format!("r{run}/summary.json")))["weights_blake3"].clone()
        })
        .collect();
    assert!(weights[0].is_string() && weights.iter().all(|own| *own == weights[0]), "{weights:?}");
    // A mistake is one line with the status of bad data.
    assert_fails(&mentor(dir.path(), "train --data missing-{0..3}.tar"), 3, "missing-0.tar: no such file");
    assert_fails(&mentor(dir.path(), "train --data t*/*.zip"), 3, "no file has such a name");
    fs::write(
        dir.path().join("cut.tar"),
        &fs::read(dir.path().join("tars/images-000000.tar")).unwrap()[..900],
    )
    .unwrap();
    assert_fails(&mentor(dir.path(), "train --data cut.tar"), 3, "cut.tar: truncated");
    assert_fails(&mentor(dir.path(), "data photos --write-tar tars"), 3, "tars: exists already");
}

#[test]
fn parts_are_the_whole_and_a_complete_one_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["cat", "dog"]);
    succeeds(dir.path(), "train --data photos --model mlp:4 --epochs 1 --quiet --out run");
    succeeds(dir.path(), "predict run photos --out whole.jsonl");
    let mut parts = String::new();
    for index in 0..3 {
        let arguments = ["predict", "run", "photos", "--out", "predictions/", "--shard", "auto"];
        let output = Command::cargo_bin("mentor")
            .unwrap()
            .current_dir(dir.path())
            .args(arguments)
            .env("AWS_BATCH_JOB_ARRAY_INDEX", index.to_string())
            .env("AWS_BATCH_JOB_ARRAY_SIZE", "3")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let path = dir.path().join(format!("predictions/predictions-0000{index}-of-00003.jsonl"));
        parts.push_str(&fs::read_to_string(path).unwrap());
    }
    let whole = fs::read_to_string(dir.path().join("whole.jsonl")).unwrap();
    assert_eq!((whole.lines().count(), whole), (2 * PER_CLASS, parts));
    assert_eq!(
        stdout(&mentor(dir.path(), "predict run photos --shard 2/3")).lines().count(),
        2 * PER_CLASS - 16
    );

    succeeds(dir.path(), "embed run photos --out whole.npy --ids whole.csv");
    let mut values = Vec::new();
    for index in 0..5 {
        succeeds(dir.path(), &format!("embed run photos --out v.npy --ids i.csv --shard {index}/5"));
        let part = fs::read(dir.path().join(format!("v-0000{index}-of-00005.npy"))).unwrap();
        values.extend_from_slice(&part[128..]);
    }
    assert_eq!(fs::read(dir.path().join("whole.npy")).unwrap()[128..], values[..]);
    let again = mentor(dir.path(), "embed run photos --out v.npy --ids i.csv --shard 4/5");
    assert!(stderr(&again).contains("v-00004-of-00005.npy: was complete and intact"), "{}", stderr(&again));
    fs::write(dir.path().join("i-00004-of-00005.csv"), "torn").unwrap();
    let again = mentor(dir.path(), "embed run photos --out v.npy --ids i.csv --shard 4/5");
    assert!(!stderr(&again).contains("was complete"), "{}", stderr(&again));
    succeeds(dir.path(), "train --data photos --model mlp:4 --epochs 1 --seed 3 --quiet --out run2");
    assert_fails(
        &mentor(dir.path(), "embed run2 photos --out v.npy --ids i.csv --shard 4/5"),
        2,
        "v-00004-of-00005.npy.json: is complete, and of another model",
    );
    assert_fails(&mentor(dir.path(), "embed run photos --out w.npy --shard auto"), 2, "no scheduler names");
    assert_fails(&mentor(dir.path(), "embed run photos --out w.npy --shard 5/5"), 2, "0 <= INDEX < COUNT");
    let none = mentor(dir.path(), "embed run photos/cat/img0.png --out w.npy --shard 0/2");
    assert!(none.status.success() && stderr(&none).contains("no image is in this part"), "{}", stderr(&none));
}

/// The scalars of an event file: step, name and value. Every checksum is checked.
fn scalars(bytes: &[u8]) -> Vec<(u64, String, f32)> {
    let table: Vec<u32> = (0..256_u32)
        .map(|byte| (0..8).fold(byte, |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 }))
        .collect();
    let masked = |bytes: &[u8]| {
        let crc = bytes.iter().fold(u32::MAX, |crc, byte| table[usize::from(crc as u8 ^ byte)] ^ crc >> 8);
        let crc = crc ^ u32::MAX;
        crc.rotate_right(15).wrapping_add(0xa282_ead8)
    };
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut found) = (0, Vec::new());
    while at < bytes.len() {
        let length = word(at) as usize;
        assert_eq!(word(at + 8), masked(&bytes[at..at + 8]));
        let event = &bytes[at + 12..at + 12 + length];
        assert_eq!(word(at + 12 + length), masked(event));
        at += length + 16;
        let (mut step, mut summary) = (0, Vec::new());
        for (field, content) in fields(event) {
            match (field, content) {
                (2, Content::Number(number)) => step = number,
                (5, Content::Bytes(bytes)) => summary = bytes,
                _ => {}
            }
        }
        for (_, entry) in fields(&summary) {
            let Content::Bytes(entry) = entry else { panic!("no message") };
            let (mut tag, mut value) = (String::new(), f32::NAN);
            for (field, content) in fields(&entry) {
                match (field, content) {
                    (1, Content::Bytes(bytes)) => tag = String::from_utf8(bytes).unwrap(),
                    (2, Content::Bytes(bytes)) => value = f32::from_le_bytes(bytes.try_into().unwrap()),
                    _ => panic!("field {field}"),
                }
            }
            found.push((step, tag, value));
        }
    }
    found
}

enum Content {
    Number(u64),
    Bytes(Vec<u8>),
}

/// The fields of a message in protobuf.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Content)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return number;
            }
        }
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let length = match key & 7 {
            0 => {
                found.push((key >> 3, Content::Number(varint(&mut bytes))));
                continue;
            }
            1 => 8,
            5 => 4,
            _ => varint(&mut bytes) as usize,
        };
        found.push((key >> 3, Content::Bytes(bytes[..length].to_vec())));
        bytes = &bytes[length..];
    }
    found
}

#[test]
fn event_files_have_the_scalars_of_metrics_jsonl() {
    let dir = tempfile::tempdir().unwrap();
    succeeds(
        dir.path(),
        "train --data digits --model linear --epochs 3 --batch-size 512 --log tensorboard --quiet --out run",
    );
    let files: Vec<_> = fs::read_dir(dir.path().join("run/tensorboard")).unwrap().collect();
    let [file] = &files[..] else { panic!("{} files", files.len()) };
    let mut found = scalars(&fs::read(file.as_ref().unwrap().path()).unwrap());
    let mut expected = Vec::new();
    for line in fs::read_to_string(dir.path().join("run/metrics.jsonl")).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let kind = match line["kind"].as_str().unwrap() {
            "step" => "update",
            kind => kind,
        };
        for (name, value) in line.as_object().unwrap() {
            if let (Some(number), false) = (value.as_f64(), ["step", "epoch"].contains(&name.as_str())) {
                expected.push((line["step"].as_u64().unwrap(), format!("{kind}/{name}"), number as f32));
            }
        }
    }
    let order = |a: &(u64, String, f32), b: &(u64, String, f32)| (a.0, &a.1).cmp(&(b.0, &b.1));
    found.sort_by(order);
    expected.sort_by(order);
    assert!(found.iter().any(|(_, name, _)| name == "epoch/val_accuracy"), "{found:?}");
    assert_eq!(found, expected);
}

/// A server that answers each request as MLflow does, and keeps what it was sent.
fn server(requests: Arc<Mutex<Vec<(String, Value)>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut text = Vec::new();
            let (head, length) = loop {
                let mut buffer = [0; 4096];
                let read = stream.read(&mut buffer).unwrap();
                text.extend_from_slice(&buffer[..read]);
                let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                let head = String::from_utf8(text[..end].to_vec()).unwrap();
                let length: usize = head
                    .lines()
                    .find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok())
                    .unwrap();
                if text.len() >= end + 4 + length {
                    break (head, end + 4);
                }
            };
            let path = head.split(' ').nth(1).unwrap().rsplit_once("mlflow/").unwrap().1.to_owned();
            let body = serde_json::from_slice(&text[length..]).unwrap_or_default();
            let (status, answer) = match path.as_str() {
                "experiments/create" => ("200 OK", r#"{"experiment_id": "7"}"#),
                "runs/create" => ("200 OK", r#"{"run": {"info": {"run_id": "abc"}}}"#),
                path if path.starts_with("experiments/get-by-name?experiment_name=") => {
                    ("404 NOT FOUND", r#"{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}"#)
                }
                _ => ("200 OK", "{}"),
            };
            requests.lock().unwrap().push((path, body));
            write!(stream, "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n\r\n{answer}").unwrap();
        }
    });
    port
}

#[test]
fn a_server_of_mlflow_is_sent_the_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let port = server(Arc::clone(&requests));
    let train = "train --data digits --model linear --epochs 2 --quiet --out runs/a --log mlflow";
    succeeds(dir.path(), &format!("{train} --mlflow-uri http://127.0.0.1:{port}"));
    let sent = std::mem::take(&mut *requests.lock().unwrap());
    let paths: Vec<&str> = sent.iter().map(|(path, _)| path.split('?').next().unwrap()).collect();
    let batch = "runs/log-batch";
    let expected =
        ["experiments/get-by-name", "experiments/create", "runs/create", batch, batch, batch, "runs/update"];
    assert_eq!(paths, expected);
    assert_eq!((&sent[2].1["experiment_id"], &sent[2].1["run_name"]), (&"7".into(), &"a".into()));
    let has = |list: &Value, key: &str| list.as_array().unwrap().iter().any(|item| item["key"] == key);
    assert!(has(&sent[3].1["params"], "data.source"), "{}", sent[3].1);
    assert!(has(&sent[4].1["metrics"], "epoch/val_accuracy"), "{}", sent[4].1);
    assert_eq!((&sent[6].1["run_id"], &sent[6].1["status"]), (&"abc".into(), &"FINISHED".into()));
    assert_eq!(value(&dir.path().join("runs/a/mlflow.json"))["run_id"], "abc");

    assert_fails(&mentor(dir.path(), train), 2, "the address of the server is not stated");
    let with = |uri: &str| mentor(dir.path(), &format!("{train} --mlflow-uri {uri}"));
    assert_fails(&with("https://127.0.0.1:1"), 2, "https is not spoken");
    assert_fails(&with("http://127.0.0.1:1"), 1, "http://127.0.0.1:1: 127.0.0.1:1: Connection refused");
}
