//! Work without the interpreter's lock, in threads of its own, which a signal can stop.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use mentor_data::catch_panic;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::errors::{Kind, Refused};

/// How often signals are looked at while nothing happens.
const PATIENCE: Duration = Duration::from_millis(50);

/// The threads of the process with this number. A forked process has none of its parent's threads, and would
/// wait for them for ever.
static POOL: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);

fn pool() -> Result<Arc<ThreadPool>, Refused> {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    match &*pool {
        Some((owner, pool)) if *owner == process::id() => Ok(Arc::clone(pool)),
        _ => {
            let failed = |error| Refused::new(Kind::Failed, format!("cannot start threads: {error}"), &[]);
            let started = Arc::new(ThreadPoolBuilder::new().build().map_err(failed)?);
            if let Some((_, lost)) = pool.replace((process::id(), Arc::clone(&started))) {
                // Its end would wait for threads that do not exist here.
                std::mem::forget(lost);
            }
            Ok(started)
        }
    }
}

/// Computes something short. A panic becomes an exception.
pub(crate) fn compute<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, Refused> + Send,
) -> PyResult<T> {
    let pool = pool()?;
    let result = py.detach(|| pool.install(|| catch_panic(work)));
    Ok(result.map_err(|reason| Refused::internal(&reason))??)
}

/// Computes something long: `observe` hears what `work` sends, in this thread. After a signal, or an
/// exception of `observe`, `work` is asked to stop by its flag, and the exception is raised when it has
/// stopped.
pub(crate) fn compute_long<T: Send, E: Send>(
    py: Python<'_>,
    mut observe: impl FnMut(E) -> PyResult<()>,
    work: impl FnOnce(&Arc<AtomicBool>, Sender<E>) -> Result<T, Refused> + Send,
) -> PyResult<Ended<T>> {
    let (pool, stop) = (pool()?, Arc::<AtomicBool>::default());
    let (sender, mut events) = mpsc::channel();
    let (result, asked) = thread::scope(|scope| {
        let worker = scope.spawn(|| pool.install(|| catch_panic(|| work(&stop, sender))));
        let mut asked: Option<PyErr> = None;
        loop {
            let receiver = &mut events;
            let told = match py.detach(move || receiver.recv_timeout(PATIENCE)) {
                Ok(event) if asked.is_none() => observe(event),
                Ok(_) | Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if asked.is_none()
                && let Err(error) = told.and_then(|()| py.check_signals())
            {
                stop.store(true, Ordering::Relaxed);
                asked = Some(error);
            }
        }
        (py.detach(|| worker.join()), asked)
    });
    let result = result.unwrap_or_else(|_| Err("a thread ended".to_owned()));
    let result = result.map_err(|reason| Refused::internal(&reason))?;
    match asked {
        Some(error) => Ok(Ended::Asked { error, result: result.ok() }),
        None => Ok(Ended::Done(result?)),
    }
}

/// How long work ended.
pub(crate) enum Ended<T> {
    Done(T),
    /// After it was asked to stop, for this exception.
    Asked {
        error: PyErr,
        result: Option<T>,
    },
}
