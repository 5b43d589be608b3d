//! Counts and times of requests, in the text form of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper ends of the classes of times, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Counts and times of requests.
#[derive(Debug, Default)]
pub struct HttpMetrics {
    pub(crate) in_flight: AtomicU64,
    pub(crate) connections: AtomicU64,
    /// By route, which is a pattern of the router, and by status: a client adds no row.
    routes: Mutex<BTreeMap<(String, u16), Times>>,
}

#[derive(Debug, Default)]
struct Times {
    /// Requests that took at most so long, and the ones above all.
    counts: [u64; SECONDS.len() + 1],
    sum: f64,
}

impl HttpMetrics {
    pub(crate) fn record(&self, route: &str, status: u16, time: Duration) {
        let seconds = time.as_secs_f64();
        let class = SECONDS.iter().position(|&end| seconds <= end).unwrap_or(SECONDS.len());
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let times = routes.entry((route.to_owned(), status)).or_default();
        times.counts[class] += 1;
        times.sum += seconds;
    }

    /// All of them as text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        gauge(&mut text, "mentor_http_connections", "Open connections.", &self.connections);
        gauge(&mut text, "mentor_http_requests_in_flight", "Requests being answered.", &self.in_flight);
        text.push_str("# HELP mentor_http_request_seconds Time from the head of a request to its answer.\n");
        text.push_str("# TYPE mentor_http_request_seconds histogram\n");
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        for ((route, status), times) in routes.iter() {
            let labels = format!("route=\"{route}\",status=\"{status}\"");
            let mut total = 0;
            for (index, count) in times.counts.iter().enumerate() {
                total += count;
                let end = SECONDS.get(index).map_or("+Inf".to_owned(), ToString::to_string);
                line(
                    &mut text,
                    format_args!("mentor_http_request_seconds_bucket{{{labels},le=\"{end}\"}} {total}"),
                );
            }
            line(&mut text, format_args!("mentor_http_request_seconds_sum{{{labels}}} {}", times.sum));
            line(&mut text, format_args!("mentor_http_request_seconds_count{{{labels}}} {total}"));
        }
        text
    }
}

fn gauge(text: &mut String, name: &str, help: &str, value: &AtomicU64) {
    let value = value.load(Ordering::Relaxed);
    line(text, format_args!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}"));
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}

/// One more while it lives.
pub(crate) struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    pub(crate) fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
