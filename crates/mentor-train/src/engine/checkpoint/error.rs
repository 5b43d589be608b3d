//! What can go wrong with checkpoints.

use std::path::PathBuf;

use mentor_data::shown_path;
use mentor_run::RunDirError;

/// What can go wrong with checkpoints.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// None of the checkpoints can be used.
    #[error("{}: all checkpoints are damaged ({reason})", shown_path(path))]
    AllDamaged {
        /// The folder of the checkpoints.
        path: PathBuf,
        /// What is wrong with the newest.
        reason: String,
    },
    /// A checkpoint could not be written or read.
    #[error(transparent)]
    Io(#[from] RunDirError),
}

impl CheckpointError {
    /// What to do next, as [`DataError::help`](mentor_data::DataError::help) says it.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        match self {
            Self::AllDamaged { .. } => vec!["delete the run directory to start again".to_owned()],
            Self::Io(error) => error.help(),
        }
    }
}
