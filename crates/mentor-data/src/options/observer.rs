//! An observer of reading, for a progress bar and for ending it early.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::DataError;

/// How far a part of the reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What is done, in two words, such as `reading files`.
    pub what: &'static str,
    /// Files, or elements of an array, that are done.
    pub done: u64,
    /// How many there are.
    pub total: u64,
}

type Callback = dyn Fn(Reading) -> ControlFlow<()> + Send + Sync;

/// A callback for every file that is read, from any thread, which may end the reading. None by default.
///
/// Two observers are always equal: who watches decides nothing about the data.
///
/// ```
/// use std::ops::ControlFlow;
/// use mentor_data::{DataError, OpenOptions, ReadObserver, Source};
/// # let folder = tempfile::tempdir()?;
/// # for (class, value) in [("cat", 0), ("dog", 9)] {
/// #     std::fs::create_dir(folder.path().join(class))?;
/// #     std::fs::write(folder.path().join(class).join("0.pgm"), [b"P5 1 1 255 ", &[value][..]].concat())?;
/// # }
/// # let path = folder.path().to_str().unwrap();
/// let observer = ReadObserver::new(|_| ControlFlow::Break(()));
/// let options = OpenOptions { observer, ..OpenOptions::default() };
/// assert!(matches!(Source::open(path, &options), Err(DataError::Interrupted)));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct ReadObserver(Option<Arc<Callback>>);

impl ReadObserver {
    /// Calls `callback` after each file; `Break` ends the reading with [`DataError::Interrupted`].
    pub fn new(callback: impl Fn(Reading) -> ControlFlow<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(callback)))
    }

    /// Tells the callback, if there is one.
    ///
    /// # Errors
    ///
    /// [`DataError::Interrupted`] once it has had enough.
    pub fn tell(&self, reading: Reading) -> Result<(), DataError> {
        match self.0.as_ref().map(|callback| callback(reading)) {
            None | Some(ControlFlow::Continue(())) => Ok(()),
            Some(ControlFlow::Break(())) => Err(DataError::Interrupted),
        }
    }

    /// Begins to count `total` items.
    pub(crate) fn begin(&self, what: &'static str, total: usize) -> Counter<'_> {
        Counter { observer: self, what, total: total as u64, done: AtomicU64::new(0) }
    }
}

impl fmt::Debug for ReadObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "ReadObserver(somebody)" } else { "ReadObserver(nobody)" })
    }
}

impl PartialEq for ReadObserver {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Counts what is done of one part of the reading.
pub(crate) struct Counter<'a> {
    observer: &'a ReadObserver,
    what: &'static str,
    total: u64,
    done: AtomicU64,
}

impl Counter<'_> {
    /// `more` items are done.
    ///
    /// # Errors
    ///
    /// [`DataError::Interrupted`] once the observer has had enough.
    pub(crate) fn advance(&self, more: usize) -> Result<(), DataError> {
        let done = self.done.fetch_add(more as u64, Ordering::Relaxed) + more as u64;
        self.observer.tell(Reading { what: self.what, done, total: self.total })
    }
}
