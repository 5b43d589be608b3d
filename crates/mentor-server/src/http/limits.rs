//! What a client may take of the server.

use std::time::Duration;

/// What clients may take. Each limit has the status that says it was passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Connections that are open at once; further ones wait until one closes. Default 1000.
    pub max_connections: usize,
    /// Requests that are answered at once; further ones get 503. Default 256.
    pub max_requests: usize,
    /// Bytes of a body; more get 413. Default 32 MiB.
    pub max_body_bytes: usize,
    /// Bytes of all bodies together, from their heads until they are decoded. Further bodies wait, and get
    /// 503 if that takes longer than a body may. Default 256 MiB; at least those of one body.
    pub max_buffered_bytes: usize,
    /// Time for the head of a request, and of a connection between two requests. Then it is closed. Default
    /// 10 s.
    pub head_timeout: Duration,
    /// Time for a body, which gets 408 if it has not arrived by then, and as long again for the answer, which
    /// is 503 if it is not ready. A client that takes nothing of an answer for so long is cut off. Default
    /// 30 s.
    pub request_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_connections: 1000,
            max_requests: 256,
            max_body_bytes: 32 << 20,
            max_buffered_bytes: 256 << 20,
            head_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
        }
    }
}
