//! How training ended.

use mentor_run::Summary;

use crate::engine::error::TrainError;

/// How a call of [`train`](crate::train) ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The run is complete.
    Complete(Summary),
    /// The run was complete before.
    AlreadyComplete(Summary),
    /// `stop` was set; a checkpoint was written, and the same call continues.
    Interrupted {
        /// Updates done.
        step: u64,
    },
}

/// Why a recipe of several stages ends early.
pub(crate) enum Halt {
    /// By the user, after this many updates of the stage.
    Stopped {
        /// Updates done.
        step: u64,
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
            Err(Self::Failed(TrainError::Interrupted)) => Ok(Outcome::Interrupted { step: 0 }),
            Err(Self::Failed(error)) => Err(error),
        }
    }
}
