//! How training ended.

use mentor_model::Model;
use mentor_run::Summary;

use crate::engine::error::TrainError;

/// How a call of [`train`](crate::train), or of [`Trainer::train`](crate::Trainer::train), ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<T = Summary> {
    /// The run is complete.
    Complete(T),
    /// The run was complete before.
    AlreadyComplete(T),
    /// Training was stopped. If it has a run directory, a checkpoint was written, and the same call
    /// continues.
    Interrupted {
        /// Updates done; `None` if nothing was being trained.
        step: Option<u64>,
    },
}

impl<T> Outcome<T> {
    /// What a complete run came to, whether now or before; `None` if it was interrupted.
    pub fn complete(self) -> Option<T> {
        match self {
            Self::Complete(result) | Self::AlreadyComplete(result) => Some(result),
            Self::Interrupted { .. } => None,
        }
    }

    /// The same ending, with another result.
    pub(crate) fn map<U>(self, of: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Complete(result) => Outcome::Complete(of(result)),
            Self::AlreadyComplete(result) => Outcome::AlreadyComplete(of(result)),
            Self::Interrupted { step } => Outcome::Interrupted { step },
        }
    }

    /// The result, for a recipe that has more to do.
    pub(crate) fn unless_stopped(self) -> Result<T, Halt> {
        match self {
            Self::Complete(result) | Self::AlreadyComplete(result) => Ok(result),
            Self::Interrupted { step } => Err(Halt::Stopped { step }),
        }
    }
}

/// A network that was trained.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trained {
    /// With the weights of the best epoch on the validation split, or the last ones without it; without
    /// gradients.
    pub model: Model,
    /// The training in a few numbers.
    pub summary: Summary,
}

/// Why a recipe of several stages ends early.
pub(crate) enum Halt {
    /// By the user.
    Stopped {
        /// Updates of the stage under way, if one was being trained.
        step: Option<u64>,
    },
    /// By an error.
    Failed(TrainError),
}

impl<E: Into<TrainError>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Halt {
    /// What the caller of the recipe is told.
    pub(crate) fn ended(result: Result<Outcome, Self>) -> Result<Outcome, TrainError> {
        match result {
            Ok(outcome) => Ok(outcome),
            Err(Self::Stopped { step }) => Ok(Outcome::Interrupted { step }),
            Err(Self::Failed(TrainError::Interrupted)) => Ok(Outcome::Interrupted { step: None }),
            Err(Self::Failed(error)) => Err(error),
        }
    }
}
