//! Why a teacher cannot teach.

use mentor_data::{DataError, shown};

use crate::inference::LoadError;
use crate::teachers::cache::CacheError;

/// Why a teacher cannot teach.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TeacherError {
    /// Its run cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The images that it is shown cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// What it gives cannot be kept.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// It does not suit the student.
    #[error("{}: cannot teach here: {reason}", shown(teacher))]
    Refused {
        /// Its run directory.
        teacher: String,
        /// Why not.
        reason: String,
        /// What to do next, as [`DataError::help`] says it.
        help: Vec<String>,
    },
}

impl TeacherError {
    /// A teacher that gives nothing, and why.
    pub fn failed(teacher: &str, reason: impl ToString) -> Self {
        Self::Refused { teacher: teacher.to_owned(), reason: reason.to_string(), help: Vec::new() }
    }
}
