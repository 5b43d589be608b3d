//! The server: a socket of this machine, and the thread that learns.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mentor_data::Limits;
use mentor_labels::Rows;

use crate::error::AnnotateError;
use crate::learner::{Features, learn};
use crate::routes::{Shared, router};
use crate::session::{Item, Session};

/// New answers after which the classifier is trained again.
const ANSWERS_A_FIT: usize = 4;

/// What is to be labelled, and how.
#[derive(Clone, Debug)]
pub struct Annotation {
    /// The files of the pictures.
    pub files: Vec<PathBuf>,
    /// How the file of labels names each of them.
    pub names: Vec<String>,
    /// Features of all pictures, `[N, width]`.
    pub features: Vec<f32>,
    /// Values of a picture.
    pub width: usize,
    /// Names of the classes, 2 to 100.
    pub classes: Vec<String>,
    /// What is refused for its size.
    pub limits: Limits,
    /// Where to listen; any free port without it.
    pub port: Option<u16>,
}

/// Serves the page until the process ends. Answers are appended to `labels`, `path,label,when`; what has no
/// label, to the file beside it that ends in `.aside.csv`. `ready` hears the address of the page.
///
/// # Errors
///
/// [`AnnotateError`] before the first request; none after it.
///
/// # Panics
///
/// If there is not one name and one row of features for each file.
pub fn annotate(
    annotation: Annotation,
    labels: &Path,
    ready: impl FnOnce(&str),
) -> Result<(), AnnotateError> {
    let Annotation { files, names, features, width, classes, limits, port } = annotation;
    assert_eq!(names.len(), files.len(), "a name a file");
    let values = Rows::new(&features, width).scaled();
    drop(features);
    assert_eq!(values.len(), files.len() * width, "features of every file");
    let items = files.into_iter().zip(names).map(|(file, name)| Item { file, name }).collect();
    let session = Session::open(items, classes, limits, labels)?;
    let shared = Shared::new(session);
    let port = port.unwrap_or(0);
    let listen = |source| AnnotateError::Listen { port, source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(listen)?;
    runtime.block_on(async {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = tokio::net::TcpListener::bind(address).await.map_err(listen)?;
        let port = listener.local_addr().map_err(listen)?.port();
        let token = token();
        let hosts = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
        let routes = router(Arc::clone(&shared), &token, hosts);
        let learner = Arc::clone(&shared);
        std::thread::spawn(move || learn_on(&learner, &Features { values, width }));
        ready(&format!("http://127.0.0.1:{port}/{token}/"));
        axum::serve(listener, routes).await.map_err(listen)
    })
}

/// 128 bits that nobody can guess: keys that the system drew for the hash tables of this process.
fn token() -> String {
    let word = |number: u64| {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u64(number);
        hasher.finish()
    };
    format!("{:016x}{:016x}", word(1), word(2))
}

/// Learns at the start, and again after every few answers.
fn learn_on(shared: &Shared, features: &Features) {
    let mut learned_from = None;
    loop {
        let (num_classes, (answers, answered)) = {
            let mut session = shared.session();
            // Far apart in both directions: an answer can be taken back.
            while learned_from
                .is_some_and(|before: usize| before.abs_diff(session.num_labels()) < ANSWERS_A_FIT)
            {
                session = match shared.answered.wait(session) {
                    Ok(session) => session,
                    Err(poisoned) => poisoned.into_inner(),
                };
            }
            (session.classes.len(), session.known())
        };
        let learned = learn(features, num_classes, &answers, &answered);
        learned_from = Some(learned.num_answers);
        shared.session().learned = learned;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::*;

    /// The address of a page over eight pictures in two groups.
    fn serve(folder: &Path) -> String {
        let mut files = Vec::new();
        for index in 0..12_u8 {
            let path = folder.join(format!("{index}.pgm"));
            std::fs::write(&path, [b"P5 2 2 255\n", &[index; 4][..]].concat()).unwrap();
            files.push(path);
        }
        let names = (0..12).map(|index| format!("{index}.pgm")).collect();
        let features = (0..12).flat_map(|index| [(index % 2) as f32, 0.1 * index as f32]).collect();
        let classes = vec!["even".to_owned(), "odd".to_owned()];
        let limits = Limits::default();
        let annotation = Annotation { files, names, features, width: 2, classes, limits, port: None };
        let (sender, receiver) = mpsc::channel();
        let labels = folder.join("labels.csv");
        std::thread::spawn(move || {
            annotate(annotation, &labels, |address| sender.send(address.to_owned()).unwrap())
        });
        receiver.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    /// Status line and body.
    fn ask(address: &str, method: &str, path: &str, body: &str, host: Option<&str>) -> (String, Vec<u8>) {
        let rest = address.strip_prefix("http://").unwrap();
        let (authority, base) = rest.split_once('/').unwrap();
        let mut stream = TcpStream::connect(authority).unwrap();
        let host = host.unwrap_or(authority);
        let request = format!(
            "{method} /{base}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: \
             application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let status = String::from_utf8_lossy(&bytes[..head]).lines().next().unwrap().to_owned();
        (status, bytes[head + 4..].to_vec())
    }

    #[test]
    fn answers_are_on_disk_before_the_next_picture_and_the_classifier_learns() {
        let dir = tempfile::tempdir().unwrap();
        let address = serve(dir.path());
        let state = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).unwrap();
        let (status, page) = ask(&address, "GET", "", "", None);
        assert!(status.contains("200") && String::from_utf8_lossy(&page).contains("<main"), "{status}");
        let mut shown = state(&ask(&address, "GET", "state", "", None).1);
        for count in 1..=8 {
            let index = shown["picture"]["index"].as_u64().unwrap();
            let (status, png) = ask(&address, "GET", &format!("picture/{index}?side=64"), "", None);
            assert!(status.contains("200") && png.windows(4).any(|four| four == b"\x89PNG"), "{status}");
            let body = format!("{{\"indices\":[{index}],\"class\":{}}}", index % 2);
            shown = state(&ask(&address, "POST", "answer", &body, None).1);
            let text = std::fs::read_to_string(dir.path().join("labels.csv")).unwrap();
            assert_eq!(text.lines().count(), 1 + count);
            assert_ne!(shown["picture"]["index"].as_u64(), Some(index));
        }
        assert_eq!(shown["num_labels"], 8);
        let patience = Instant::now();
        while shown["picture"]["predicted"].is_null() {
            assert!(patience.elapsed() < Duration::from_secs(60), "{shown}");
            std::thread::sleep(Duration::from_millis(50));
            shown = state(&ask(&address, "GET", "state?class=1", "", None).1);
        }
        assert!(shown["grid"].as_array().unwrap().iter().all(|shown| shown["predicted"] == 1));
        let undone = state(&ask(&address, "POST", "undo", "", None).1);
        assert_eq!(undone["num_labels"], 7);
    }

    #[test]
    fn who_does_not_know_the_token_or_comes_by_another_name_is_told_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let address = serve(dir.path());
        assert!(address.starts_with("http://127.0.0.1:") && address.len() > 50, "{address}");
        let without = &address[..address.trim_end_matches('/').rfind('/').unwrap() + 1];
        assert!(ask(without, "GET", "state", "", None).0.contains("404"));
        assert!(ask(&address, "GET", "state", "", Some("evil.example")).0.contains("404"));
        assert!(ask(&address, "GET", "picture/99", "", None).0.contains("404"));
        assert!(ask(&address, "POST", "answer", "{\"indices\":[0]}", None).0.contains("400"));
        assert_ne!(token(), token());
    }
}
