//! Requests that wait together, models that are replaced, and the end.

use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mentor_server::http::HttpLimits;
use mentor_server::{ModelSet, ServedModel};

use crate::client::{get, metric, post, start, wait_until};
use crate::model::{Brightness, picture};

#[test]
fn requests_that_wait_for_a_model_share_a_pass() {
    let model = Brightness::classifier();
    model.hold(true);
    let running = start(vec![model.clone()], &HttpLimits::default());
    let address = running.address;
    let ask = |light: u8| thread::spawn(move || post(address, "/predict", &picture(light, light)).json());
    let first = ask(255);
    thread::sleep(Duration::from_millis(150));
    let others: Vec<_> = (0..8).map(|index| ask(if index % 2 == 0 { 0 } else { 255 })).collect();
    wait_until(|| metric(address, "mentor_http_requests_in_flight") == 10.0);
    thread::sleep(Duration::from_millis(100));
    model.hold(false);
    assert_eq!(first.join().unwrap()["class"], "light");
    for (index, other) in others.into_iter().enumerate() {
        assert_eq!(other.join().unwrap()["class"], if index % 2 == 0 { "dark" } else { "light" });
    }
    assert_eq!(metric(address, "mentor_model_pictures_total{model=\"brightness\"}"), 9.0);
    assert_eq!(metric(address, "mentor_model_passes_total{model=\"brightness\"}"), 2.0);
}

#[test]
fn a_model_that_panics_is_one_failed_request() {
    let running = start(vec![Brightness::classifier()], &HttpLimits::default());
    let address = running.address;
    post(address, "/predict", &picture(13, 13))
        .assert_refused(500, "the model failed (a panic of the model)");
    assert_eq!(post(address, "/predict", &picture(0, 0)).status, 200);
    assert_eq!(metric(address, "mentor_model_failures_total{model=\"brightness\"}"), 1.0);
}

#[test]
fn models_are_replaced_and_what_waits_is_answered_by_the_old_ones() {
    let old = Brightness::classifier();
    old.hold(true);
    let running = start(vec![old.clone()], &HttpLimits::default());
    let address = running.address;
    let waiting = thread::spawn(move || post(address, "/predict", &picture(255, 255)).json());
    wait_until(|| metric(address, "mentor_http_requests_in_flight") == 2.0);
    thread::sleep(Duration::from_millis(100));
    running.models.replace(vec![Arc::new(Brightness::new("brightness", &["night", "day"]))]).unwrap();
    assert_eq!(post(address, "/predict", &picture(255, 255)).json()["class"], "day");
    let weak = Arc::downgrade(&old);
    old.hold(false);
    assert_eq!(waiting.join().unwrap()["class"], "light");
    drop(old);
    // Nobody holds the old one any more.
    wait_until(|| weak.upgrade().is_none());
    // Counts go on, and a set that cannot be served leaves things as they are.
    assert_eq!(metric(address, "mentor_model_pictures_total{model=\"brightness\"}"), 2.0);
    let twins: Vec<Arc<dyn ServedModel>> = vec![Brightness::classifier(), Brightness::classifier()];
    let error = running.models.replace(twins).unwrap_err();
    assert_eq!(error.to_string(), "two models are called brightness");
    assert_eq!(ModelSet::new(Vec::new()).err().unwrap().to_string(), "there is no model to serve");
    assert_eq!(post(address, "/predict", &picture(255, 255)).json()["class"], "day");
}

#[test]
fn a_stop_finishes_what_the_server_has_and_takes_nothing_new() {
    let model = Brightness::classifier();
    model.hold(true);
    let running = start(vec![model.clone()], &HttpLimits::default());
    let (address, server) = (running.address, running.server);
    let waiting = thread::spawn(move || post(address, "/predict", &picture(255, 255)));
    wait_until(|| metric(address, "mentor_http_requests_in_flight") == 2.0);
    // A connection that asks nothing does not delay the end for long.
    let idle = TcpStream::connect(address).unwrap();
    let stopping = thread::spawn(move || server.stop());
    thread::sleep(Duration::from_millis(200));
    assert!(!stopping.is_finished());
    assert!(TcpStream::connect(address).is_err(), "the port is free");
    model.hold(false);
    let answer = waiting.join().unwrap();
    assert_eq!((answer.status, &answer.json()["class"]), (200, &"light".into()));
    wait_until(|| stopping.is_finished());
    drop(idle);
}

#[test]
fn a_page_with_routes_of_its_own_is_served_with_the_same_limits() {
    use axum::extract::Request;
    use axum::routing::post as on_post;
    use mentor_server::http::{Problem, read_body};
    let own = async |request: Request| -> Result<String, Problem> {
        let (_, body) = read_body(request).await?;
        Ok(format!("{} bytes", body.bytes.len()))
    };
    let limits = HttpLimits { max_body_bytes: 10, ..HttpLimits::default() };
    let more = mentor_server::Router::new().route("/labels", on_post(own));
    let running = crate::client::start_with(vec![Brightness::classifier()], &limits, more);
    assert_eq!(post(running.address, "/labels", b"0123456789").body, "10 bytes");
    post(running.address, "/labels", b"0123456789a").assert_refused(413, "over the limit of 10 bytes");
    assert_eq!(get(running.address, "/models").status, 200);
}
