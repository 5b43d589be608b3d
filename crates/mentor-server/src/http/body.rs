//! The body of a request, within the limits.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::EXPECT;
use axum::http::request::Parts;
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::http::limits::HttpLimits;
use crate::http::problem::Problem;

/// Bytes of a permit.
const UNIT: usize = 1024;
/// For the rest of a body that is too long.
const LINGER: Duration = Duration::from_secs(1);

/// The memory that bodies share. Every request has it among its extensions.
#[derive(Debug)]
pub(crate) struct BodyMemory {
    max_body_bytes: usize,
    timeout: Duration,
    units: Arc<Semaphore>,
}

impl BodyMemory {
    pub(crate) fn new(limits: &HttpLimits) -> Self {
        let units = limits.max_buffered_bytes.max(limits.max_body_bytes).div_ceil(UNIT).max(1);
        Self {
            max_body_bytes: limits.max_body_bytes,
            timeout: limits.request_timeout,
            units: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))),
        }
    }
}

/// A whole body. Its memory counts as taken until this is dropped.
#[derive(Debug)]
pub struct Received {
    /// The body.
    pub bytes: Bytes,
    _memory: OwnedSemaphorePermit,
}

/// Reads the body of a request that [`HttpServer`](crate::http::HttpServer) gave to a handler.
///
/// # Errors
///
/// 413 if it is too long, which a header may say before; 408 if it does not arrive in time, 503 if other
/// bodies have all the memory for so long, and 400 if the client breaks off.
pub async fn read_body(request: Request) -> Result<(Parts, Received), Problem> {
    let (parts, body) = request.into_parts();
    let Some(memory) = parts.extensions.get::<Arc<BodyMemory>>().cloned() else {
        return Err(Problem::internal("the server has no memory for bodies"));
    };
    let announced = HttpBody::size_hint(&body);
    let too_large =
        || Problem::too_large(format!("the body is over the limit of {} bytes", memory.max_body_bytes));
    if announced.lower() > memory.max_body_bytes as u64 {
        // One that asks first need not send it.
        if !parts.headers.contains_key(EXPECT) {
            discard(body).await;
        }
        return Err(too_large());
    }
    // All that it may need at once: two that wait for each other's rest would wait for ever.
    let most = announced.exact().map_or(memory.max_body_bytes, |length| length as usize);
    let units = u32::try_from(most.div_ceil(UNIT)).map_err(|_| too_large())?;
    let permit = timeout(memory.timeout, Arc::clone(&memory.units).acquire_many_owned(units)).await;
    let Ok(Ok(permit)) = permit else {
        return Err(Problem::busy("other requests have all the memory for bodies"));
    };
    let mut body = body;
    match timeout(memory.timeout, collect(&mut body, memory.max_body_bytes)).await {
        Ok(Ok(Some(bytes))) => Ok((parts, Received { bytes: bytes.into(), _memory: permit })),
        Ok(Ok(None)) => {
            discard(body).await;
            Err(too_large())
        }
        Ok(Err(error)) => Err(Problem::malformed(format!("the body cannot be read ({error})"))),
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")),
    }
}

/// Reads on for a while, and keeps nothing: a client that is cut off while it sends does not see the answer.
async fn discard(mut body: Body) {
    let _ = timeout(LINGER, async { while let Some(Ok(_)) = body.frame().await {} }).await;
}

/// `None` if it is longer than `max_bytes`.
async fn collect(body: &mut Body, max_bytes: usize) -> Result<Option<Vec<u8>>, axum::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if bytes.len() + data.len() > max_bytes {
            return Ok(None);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Some(bytes))
}
