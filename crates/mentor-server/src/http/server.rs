//! A server on a thread of its own.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::http::admission::{Admission, admit};
use crate::http::connection::Connection;
use crate::http::limits::HttpLimits;
use crate::http::metrics::{Counted, HttpMetrics};

/// Bytes of the head of a request.
const MAX_HEAD: usize = 32 << 10;
/// Before another connection is tried, when the system has no more files to open.
const BREATH: Duration = Duration::from_millis(50);
/// For answers that are written when the last request has ended.
const LAST_WRITES: Duration = Duration::from_secs(1);

/// A server that runs: one thread for all connections, and as many as there are processors for what handlers
/// give to `spawn_blocking`.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl HttpServer {
    /// Serves `router` at `address`; with port 0 at a free one.
    ///
    /// # Errors
    ///
    /// If the address cannot be had, or the system gives no thread.
    pub fn start(
        address: SocketAddr,
        limits: &HttpLimits,
        metrics: Arc<HttpMetrics>,
        router: Router,
    ) -> io::Result<Self> {
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(thread::available_parallelism().map_or(1, usize::from))
            .build()?;
        let admission = Admission::new(limits, Arc::clone(&metrics));
        let router = router
            // Bodies are limited by `read_body`.
            .layer(DefaultBodyLimit::disable())
            .layer(middleware::from_fn_with_state(admission.clone(), admit));
        let serving = Serving { limits: limits.clone(), metrics, router, admission, stopped };
        let thread =
            thread::Builder::new().name("http".to_owned()).spawn(move || serving.run(&runtime, listener))?;
        Ok(Self { address, stop, thread })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, finishes the requests that it has, and ends; at the latest when a request's
    /// time is over.
    pub fn stop(self) {
        // The thread holds the other end until it ends.
        let _ = self.stop.send(true);
        let _ = self.thread.join();
    }
}

/// What the thread holds.
struct Serving {
    limits: HttpLimits,
    metrics: Arc<HttpMetrics>,
    router: Router,
    admission: Admission,
    stopped: watch::Receiver<bool>,
}

impl Serving {
    fn run(self, runtime: &Runtime, listener: StdListener) {
        runtime.block_on(async {
            let max_connections = self.limits.max_connections.clamp(1, Semaphore::MAX_PERMITS);
            let connections = Arc::new(Semaphore::new(max_connections));
            let serving = Arc::new(self);
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            let accepting = tokio::spawn(accept(Arc::clone(&serving), listener, Arc::clone(&connections)));
            let mut stopped = serving.stopped.clone();
            let _ = stopped.wait_for(|&stopped| stopped).await;
            accepting.abort();
            let all = |semaphore: &Arc<Semaphore>, count: usize| {
                Arc::clone(semaphore).acquire_many_owned(u32::try_from(count).unwrap_or(u32::MAX))
            };
            let requests = &serving.admission.requests;
            let max_requests = serving.limits.max_requests.clamp(1, Semaphore::MAX_PERMITS);
            let _ = timeout(serving.limits.request_timeout, all(requests, max_requests)).await;
            let _ = timeout(LAST_WRITES, all(&connections, max_connections)).await;
        });
    }
}

async fn accept(serving: Arc<Serving>, listener: TcpListener, connections: Arc<Semaphore>) {
    while let Ok(slot) = Arc::clone(&connections).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(Arc::clone(&serving), stream, slot));
            }
            // The client has gone already, or there are no more files to open.
            Err(_) => sleep(BREATH).await,
        }
    }
}

/// Answers the requests of a connection until it closes.
async fn serve(serving: Arc<Serving>, stream: TcpStream, _slot: OwnedSemaphorePermit) {
    let _counted = Counted::new(&serving.metrics.connections);
    // Answers are small, and each is written whole.
    let _ = stream.set_nodelay(true);
    let stream = TokioIo::new(Connection::new(stream, serving.limits.request_timeout));
    let service = TowerToHyperService::new(serving.router.clone());
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(serving.limits.head_timeout).max_buf_size(MAX_HEAD);
    let mut connection = pin!(builder.serve_connection(stream, service));
    let mut stopped = serving.stopped.clone();
    let mut stop = pin!(stopped.wait_for(|&stopped| stopped));
    let mut is_stopping = false;
    // How a connection ends is its client's matter.
    let _ = poll_fn(|context| {
        if !is_stopping && stop.as_mut().poll(context).is_ready() {
            is_stopping = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(context)
    })
    .await;
}
