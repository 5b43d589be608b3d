//! SIGINT and SIGTERM: the first asks training to stop after the step that it is in, the second ends at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The flag that training watches, and the signal that set it.
#[derive(Clone, Debug)]
pub(crate) struct Interruption {
    stop: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
    at_once: Arc<AtomicBool>,
}

impl Interruption {
    /// Watches both signals from now on.
    ///
    /// # Errors
    ///
    /// When the operating system refuses a handler.
    pub(crate) fn watch() -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let signal = Arc::new(AtomicUsize::new(0));
        let at_once = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM] {
            // Handlers run in the order of registration: while the flag is not yet set, the first does
            // nothing.
            flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&at_once))?;
            flag::register_conditional_default(number, Arc::clone(&stop))?;
            flag::register_usize(number, Arc::clone(&signal), number as usize)?;
            flag::register(number, Arc::clone(&stop))?;
        }
        Ok(Self { stop, signal, at_once })
    }

    /// What training watches.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.stop
    }

    /// From now on the first signal ends the process, with the status of [`Interruption::status`]: for work
    /// that the same command does again and whose files appear whole or not at all. Whether a signal came
    /// before.
    pub(crate) fn end_at_once(&self) -> bool {
        self.at_once.store(true, Ordering::Relaxed);
        self.stop.load(Ordering::Relaxed)
    }

    /// The exit status of a shell for a program that a signal ended: 130 for SIGINT, 143 for SIGTERM.
    pub(crate) fn status(&self) -> u8 {
        let signal = match self.signal.load(Ordering::Relaxed) {
            0 => SIGINT as usize,
            signal => signal,
        };
        u8::try_from(128 + signal).unwrap_or(130)
    }
}
