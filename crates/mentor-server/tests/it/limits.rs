//! Each limit has its status.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use mentor_server::http::HttpLimits;

use crate::client::{
    connect, get, hasty, message, metric, post, post_form, read_answer, send, start, wait_until,
};
use crate::model::{Brightness, picture};

#[test]
fn a_body_over_the_limit_is_refused_whether_its_length_is_announced_or_not() {
    let running = start(vec![Brightness::classifier()], &hasty());
    let long = vec![0; 70 << 10];
    post(running.address, "/predict", &long).assert_refused(413, "over the limit of 65536 bytes");
    let head = "POST /predict HTTP/1.1\r\nhost: t\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = [format!("{:x}\r\n", long.len()).as_bytes(), &long, b"\r\n0\r\n\r\n"].concat();
    let chunked = [head.as_bytes(), &chunk].concat();
    send(running.address, &chunked).assert_refused(413, "over the limit of 65536 bytes");
    // One that asks first is told before it sends.
    let asks =
        "POST /predict HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 99999999\r\n\r\n";
    send(running.address, asks.as_bytes()).assert_refused(413, "over the limit");
}

#[test]
fn a_picture_of_too_many_pixels_or_a_form_of_too_many_pictures_is_refused() {
    let running = start(vec![Brightness::classifier()], &HttpLimits::default());
    let bomb = b"P5 60000 60000 255\n";
    post(running.address, "/predict", bomb).assert_refused(413, "60000x60000 pixels are over the limit");
    let small = picture(1, 2);
    let many = vec![("a.pgm", &small[..]); 65];
    post_form(running.address, "/predict", &many).assert_refused(413, "at most 64 pictures");
    assert_eq!(post_form(running.address, "/predict", &many[..64]).json().as_array().unwrap().len(), 64);
}

#[test]
fn what_is_no_picture_is_refused_by_its_kind() {
    let running = start(vec![Brightness::classifier()], &HttpLimits::default());
    let address = running.address;
    post(address, "/predict", b"").assert_refused(400, "the body is empty");
    post(address, "/predict", b"some text").assert_refused(422, "not an image: it holds text");
    post(address, "/predict", b"P5 2 1 255\n\x07").assert_refused(422, "");
    let heic = [&[0, 0, 0, 24], &b"ftypheic"[..], &[0; 32]].concat();
    post(address, "/predict", &heic).assert_refused(415, "HEIC");
    for media_type in ["application/json", "text/plain; charset=utf-8", "multipart/mixed; boundary=x"] {
        let request = message("POST", "/predict", media_type, &picture(1, 2));
        send(address, &request).assert_refused(415, "is not read");
    }
    let (good, bad) = (picture(1, 2), b"text".to_vec());
    post_form(address, "/predict", &[("good", &good), ("bad.png", &bad)])
        .assert_refused(422, "picture 2 (bad.png): not an image");
    post_form(address, "/predict", &[]).assert_refused(400, "");
    let form = |media_type: &str, body: &[u8]| send(address, &message("POST", "/predict", media_type, body));
    form("multipart/form-data", b"x").assert_refused(400, "the form cannot be read");
    form("multipart/form-data; boundary=line", b"no line").assert_refused(400, "the form cannot be read");
    form("multipart/form-data; boundary=line", b"--line\r\ncontent-disposition: form-data\r\n\r\ncut")
        .assert_refused(400, "the form cannot be read");
}

#[test]
fn a_slow_body_gets_408_and_a_slow_head_is_cut_off() {
    let running = start(vec![Brightness::classifier()], &hasty());
    let mut slow = connect(running.address);
    slow.write_all(b"POST /predict HTTP/1.1\r\nhost: t\r\ncontent-length: 13\r\n\r\nP5 2").unwrap();
    let answer = read_answer(&mut slow).unwrap();
    answer.assert_refused(408, "did not arrive in time");
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    for head in ["", "GET / HT"] {
        let (mut silent, start) = (connect(running.address), Instant::now());
        silent.write_all(head.as_bytes()).unwrap();
        let answer = read_answer(&mut silent);
        assert!(answer.is_none_or(|answer| answer.status == 408));
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
    wait_until(|| metric(running.address, "mentor_http_connections") == 1.0);
}

#[test]
fn a_client_that_reads_nothing_is_cut_off() {
    let patient = HttpLimits { request_timeout: Duration::from_secs(2), ..hasty() };
    let running = start(vec![Brightness::verbose()], &patient);
    let mut deaf = connect(running.address);
    deaf.write_all(&message("POST", "/embed", "image/x", &picture(100, 200))).unwrap();
    wait_until(|| metric(running.address, "mentor_model_pictures_total{model=\"verbose\"}") == 1.0);
    assert_eq!(metric(running.address, "mentor_http_connections"), 2.0);
    wait_until(|| metric(running.address, "mentor_http_connections") == 1.0);
}

#[test]
fn more_requests_than_allowed_get_503_and_an_answer_that_takes_too_long_too() {
    let model = Brightness::classifier();
    model.hold(true);
    let running = start(vec![model.clone()], &HttpLimits { max_requests: 1, ..hasty() });
    let address = running.address;
    let first = thread::spawn(move || post(address, "/predict", &picture(1, 2)));
    thread::sleep(Duration::from_millis(150));
    let answer = get(address, "/v2/health/live");
    answer.assert_refused(503, "as many requests as it may");
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
    first.join().unwrap().assert_refused(503, "not ready in time");
    model.hold(false);
    assert_eq!(get(address, "/v2/health/live").status, 200);
    let refused = "mentor_http_request_seconds_count{route=\"/v2/health/live\",status=\"503\"}";
    assert_eq!(metric(address, refused), 1.0);
}

#[test]
fn bodies_share_their_memory() {
    let limits = HttpLimits { max_buffered_bytes: 0, ..hasty() };
    let running = start(vec![Brightness::classifier()], &limits);
    let mut greedy = connect(running.address);
    greedy.write_all(b"POST /predict HTTP/1.1\r\nhost: t\r\ncontent-length: 65536\r\n\r\n").unwrap();
    thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    // It waits until the first has lost its time, and is answered.
    let answer = post(running.address, "/predict", &picture(1, 2));
    assert!(answer.status == 200 || answer.status == 503, "{answer:?}");
    assert!(start.elapsed() > Duration::from_millis(300), "{:?}", start.elapsed());
    assert_eq!(read_answer(&mut greedy).unwrap().status, 408);
    assert_eq!(post(running.address, "/predict", &picture(1, 2)).status, 200);
}
