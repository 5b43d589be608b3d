//! What stands around every route: how many requests at once, how long each, and how many there were.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::http::body::BodyMemory;
use crate::http::limits::HttpLimits;
use crate::http::metrics::{Counted, HttpMetrics};
use crate::http::problem::Problem;

/// The state of the layer around all routes.
#[derive(Clone)]
pub(crate) struct Admission {
    pub(crate) requests: Arc<Semaphore>,
    memory: Arc<BodyMemory>,
    timeout: Duration,
    metrics: Arc<HttpMetrics>,
}

impl Admission {
    pub(crate) fn new(limits: &HttpLimits, metrics: Arc<HttpMetrics>) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(limits.max_requests.clamp(1, Semaphore::MAX_PERMITS))),
            memory: Arc::new(BodyMemory::new(limits)),
            timeout: limits.request_timeout,
            metrics,
        }
    }
}

/// Runs a handler within the limits.
pub(crate) async fn admit(State(admission): State<Admission>, mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = match admission.requests.try_acquire() {
        Err(_) => Problem::busy("the server answers as many requests as it may").into_response(),
        Ok(_permit) => {
            let _counted = Counted::new(&admission.metrics.in_flight);
            request.extensions_mut().insert(Arc::clone(&admission.memory));
            // As long for the body, whose status is another, as for the answer.
            match timeout(2 * admission.timeout, next.run(request)).await {
                Ok(response) => response,
                Err(_) => Problem::busy("the answer was not ready in time").into_response(),
            }
        }
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    admission.metrics.record(route, response.status().as_u16(), start.elapsed());
    response
}
