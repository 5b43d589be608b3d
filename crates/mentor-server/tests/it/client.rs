//! A client that can be as rude as a test needs, and a server for it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use mentor_server::http::{HttpLimits, HttpMetrics, HttpServer};
use mentor_server::{ModelSet, Router, ServedModel, models_router};
use serde_json::Value;

/// A server of test models.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) models: Arc<ModelSet>,
    pub(crate) server: HttpServer,
}

pub(crate) fn start(models: Vec<Arc<dyn ServedModel>>, limits: &HttpLimits) -> Running {
    start_with(models, limits, Router::new())
}

/// With more routes than those of the models.
pub(crate) fn start_with(models: Vec<Arc<dyn ServedModel>>, limits: &HttpLimits, more: Router) -> Running {
    let (models, metrics) = (Arc::new(ModelSet::new(models).unwrap()), Arc::new(HttpMetrics::default()));
    let router = models_router(Arc::clone(&models), Arc::clone(&metrics)).merge(more);
    let server = HttpServer::start((Ipv4Addr::LOCALHOST, 0).into(), limits, metrics, router).unwrap();
    Running { address: server.address(), models, server }
}

/// Limits at which a test need not wait long.
pub(crate) fn hasty() -> HttpLimits {
    HttpLimits {
        head_timeout: Duration::from_millis(400),
        request_timeout: Duration::from_millis(600),
        max_body_bytes: 64 << 10,
        ..HttpLimits::default()
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, why: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let error = self.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains(why) && !error.contains('\n'), "{error}");
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// What comes until the connection closes; `None` if nothing does.
pub(crate) fn read_answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    // A reset after the answer is its end too.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}

/// The head of a request and its body, as bytes.
pub(crate) fn message(method: &str, path: &str, media_type: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: {media_type}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

#[track_caller]
pub(crate) fn send(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = connect(address);
    // A server that refuses early does not read the rest.
    let _ = stream.write_all(bytes);
    read_answer(&mut stream).unwrap_or_else(|| panic!("no answer to {}", String::from_utf8_lossy(bytes)))
}

#[track_caller]
pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, &message("GET", path, "text/plain", b""))
}

#[track_caller]
pub(crate) fn post(address: SocketAddr, path: &str, body: &[u8]) -> Answer {
    send(address, &message("POST", path, "application/octet-stream", body))
}

/// The parts of a form.
pub(crate) fn form(parts: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        let head = format!("content-disposition: form-data; name=\"picture\"; filename=\"{name}\"");
        body.extend_from_slice(format!("--line\r\n{head}\r\n\r\n").as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--line--\r\n");
    ("multipart/form-data; boundary=line".to_owned(), body)
}

#[track_caller]
pub(crate) fn post_form(address: SocketAddr, path: &str, parts: &[(&str, &[u8])]) -> Answer {
    let (media_type, body) = form(parts);
    send(address, &message("POST", path, &media_type, &body))
}

/// The value of a line of `/metrics`.
#[track_caller]
pub(crate) fn metric(address: SocketAddr, name: &str) -> f64 {
    let text = get(address, "/metrics").body;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_until(is_so: impl Fn() -> bool) {
    for _ in 0..400 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("it never was so");
}
