//! Why a model did not go through all samples.

use std::sync::atomic::{AtomicBool, Ordering};

use mentor_data::DataError;

/// Why a model did not go through all samples.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InferenceError {
    /// An image cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The flag to stop was set.
    #[error("interrupted")]
    Interrupted,
}

impl InferenceError {
    /// What went wrong where nothing could stop it.
    pub(crate) fn of_data(self) -> DataError {
        match self {
            Self::Data(error) => error,
            Self::Interrupted => unreachable!("a flag that nobody sets"),
        }
    }
}

/// For work that nobody ends early.
pub(crate) static NEVER: AtomicBool = AtomicBool::new(false);

/// # Errors
///
/// [`InferenceError::Interrupted`] once `stop` is set.
pub(crate) fn go_on(stop: &AtomicBool) -> Result<(), InferenceError> {
    if stop.load(Ordering::Relaxed) { Err(InferenceError::Interrupted) } else { Ok(()) }
}
