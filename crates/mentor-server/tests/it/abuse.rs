//! Requests that mean no good: each gets an answer or its end, and the server goes on.

use std::io::Write;
use std::net::Shutdown;

use mentor_server::http::HttpLimits;

use crate::client::{connect, form, message, metric, post, read_answer, start, wait_until};
use crate::model::{Brightness, picture};

/// Whole requests, of which the damaged ones are made.
fn seeds() -> Vec<Vec<u8>> {
    let (media_type, body) = form(&[("a.pgm", &picture(1, 2)), ("b.pgm", &picture(3, 4))]);
    let tensor = br#"{"inputs":[{"name":"image","datatype":"UINT8","shape":[1,1,1,3],"data":[1,2,3]}]}"#;
    vec![
        message("POST", "/predict", "image/x", &picture(1, 2)),
        message("POST", "/predict?model=brightness", &media_type, &body),
        message("POST", "/v2/models/brightness/infer", "application/json", tensor),
        message("GET", "/models", "x", b""),
    ]
}

#[test]
fn damaged_requests_end_in_an_answer_or_a_closed_connection() {
    let running = start(vec![Brightness::classifier()], &HttpLimits::default());
    let seeds = seeds();
    let mut statuses = std::collections::BTreeMap::new();
    for round in 0..400_usize {
        let mut bytes = seeds[round % seeds.len()].clone();
        let place = round * 7919 % bytes.len();
        match round / seeds.len() % 4 {
            0 => bytes.truncate(place),
            1 => bytes[place] = (round * 31) as u8,
            2 => drop(bytes.splice(place..place, [b'\r', b'\n', 0xff, 0])),
            _ => {
                bytes.remove(place);
            }
        }
        let mut stream = connect(running.address);
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let status = read_answer(&mut stream).map_or(0, |answer| answer.status);
        *statuses.entry(status).or_insert(0) += 1;
    }
    let known = [0, 200, 400, 404, 405, 413, 415, 422, 431, 501, 505];
    assert!(statuses.keys().all(|status| known.contains(status)), "{statuses:?}");
    assert!(statuses.len() > 4, "{statuses:?}");
    assert_eq!(post(running.address, "/predict", &picture(0, 0)).status, 200);
    wait_until(|| metric(running.address, "mentor_http_connections") == 1.0);
    assert_eq!(metric(running.address, "mentor_http_requests_in_flight"), 1.0);
}
