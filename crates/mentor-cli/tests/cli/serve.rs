//! `mentor serve`: the answers are those of `mentor predict`, signals are obeyed.
#![cfg(all(feature = "serve", unix))]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json as value};

use crate::backbones::weights;
use crate::fixtures::image_folder;
use crate::{assert_fails, json, mentor, stderr, stdout};

/// A server that runs, and what it says.
struct Serving {
    child: Child,
    lines: BufReader<ChildStderr>,
    address: SocketAddr,
}

impl Serving {
    fn start(dir: &Path, arguments: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mentor"))
            .current_dir(dir)
            .args(format!("serve {arguments} --port 0").split_whitespace())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let line = line_with(&mut lines, "listening at http://");
        let address = line.split(['/', ' ']).find_map(|word| word.parse().ok()).unwrap();
        Self { child, lines, address }
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").arg(name).arg(self.child.id().to_string()).status().unwrap().success());
    }

    fn ask(&self, request: &str, body: &[u8]) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = format!(
            "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn stop(mut self) {
        self.signal("-TERM");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Of a test that failed. One that has ended is not there any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line_with(lines: &mut impl BufRead, what: &str) -> String {
    let mut said = String::new();
    loop {
        let start = said.len();
        assert!(lines.read_line(&mut said).unwrap() > 0, "{what:?} is not in {said}");
        if said[start..].contains(what) {
            return said[start..].to_owned();
        }
    }
}

#[test]
fn a_server_answers_as_predict_and_search_do_and_loads_runs_again() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["dark", "light"]);
    for arguments in
        ["--model cnn --epochs 2 --out run", "--model mlp:8 --loss triplet --epochs 1 --out near"]
    {
        assert!(mentor(dir.path(), &format!("train --data photos {arguments}")).status.success());
    }
    let picture = fs::read(dir.path().join("photos/light/img3.png")).unwrap();
    let predicted = || json(&mentor(dir.path(), "predict run photos/light/img3.png"));
    assert!(mentor(dir.path(), "embed near photos --out vectors.parquet").status.success());
    let mut serving = Serving::start(dir.path(), "near run --index vectors.parquet");

    let expected = predicted();
    let (status, found) = serving.ask("POST /predict?model=run", &picture);
    assert_eq!((status, &found["class"]), (200, &expected["predicted"]), "{found}");
    let class = found["class"].as_str().unwrap();
    let gap = found["probabilities"][class].as_f64().unwrap() - expected["confidence"].as_f64().unwrap();
    assert!(gap.abs() < 1e-6, "{found} {expected}");
    let (status, refused) = serving.ask("POST /predict", &picture);
    assert_eq!((status, &refused["error"]), (422, &value!("near gives embeddings, not classes; ask /embed")));

    let search = "search near --index photos --query photos/light/img3.png --top 3 --json";
    let (_, found) = serving.ask("POST /search?top=3", &picture);
    let expected: Value = serde_json::from_str(&stdout(&mentor(dir.path(), search))).unwrap();
    let paths = |found: &Value| -> Vec<String> {
        found["neighbours"].as_array().unwrap().iter().map(|hit| hit["path"].to_string()).collect()
    };
    assert_eq!(paths(&found), paths(&expected));

    let arguments = "calibrate run --data photos";
    assert!(mentor(dir.path(), arguments).status.success());
    serving.signal("-HUP");
    line_with(&mut serving.lines, "loaded again: near, run");
    let (expected, (_, found)) = (predicted(), serving.ask("POST /predict?model=run", &picture));
    let class = found["class"].as_str().unwrap();
    let gap = found["probabilities"][class].as_f64().unwrap() - expected["confidence"].as_f64().unwrap();
    assert!(gap.abs() < 1e-6, "{found} {expected}");

    fs::rename(dir.path().join("run"), dir.path().join("away")).unwrap();
    serving.signal("-HUP");
    line_with(&mut serving.lines, "the models stay as they were");
    assert_eq!(serving.ask("POST /predict?model=run", &picture).0, 200);
    serving.stop();
}

#[test]
fn a_head_on_a_pretrained_network_is_served() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["cat", "dog"]);
    weights(&dir.path().join("net.safetensors"));
    let trained = mentor(dir.path(), "train photos --backbone net.safetensors --out run");
    assert!(trained.status.success(), "{}", stderr(&trained));
    let serving = Serving::start(dir.path(), "run");
    let picture = fs::read(dir.path().join("photos/dog/img3.png")).unwrap();
    let expected = json(&mentor(dir.path(), "predict run photos/dog/img3.png"));
    let (status, found) = serving.ask("POST /predict", &picture);
    assert_eq!((status, &found["class"]), (200, &expected["predicted"]), "{found}");
    let (_, found) = serving.ask("POST /embed", &picture);
    assert_eq!(found["embedding"].as_array().unwrap().len(), 1280);
    serving.stop();
}

#[test]
fn what_cannot_be_served_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    assert!(mentor(dir.path(), "train --data digits --epochs 1 --out a/run").status.success());
    assert_fails(&mentor(dir.path(), "serve nothing"), 2, "holds no run");
    assert_fails(&mentor(dir.path(), "serve a/run a/../a/run"), 2, "two models are called run");
    assert_fails(&mentor(dir.path(), "serve a/run --index nowhere"), 3, "nowhere");
    assert_fails(&mentor(dir.path(), "serve a/run --index a.parquet b"), 2, "a.parquet and other paths");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    assert_fails(&mentor(dir.path(), &format!("serve a/run --port {port}")), 1, "cannot listen at 127.0.0.1");
    let mut open = Serving::start(dir.path(), "a/run --host 0.0.0.0");
    open.signal("-INT");
    line_with(&mut open.lines, "finishing the requests");
    assert_eq!(open.child.wait().unwrap().code(), Some(0));
}
