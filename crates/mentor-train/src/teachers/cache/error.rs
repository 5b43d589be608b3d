//! Why a cache cannot be used.

use std::io;
use std::path::PathBuf;

use mentor_data::shown_path;

/// Why a cache cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The file could not be read or written.
    #[error("{}: cannot {action}: {source}", shown_path(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The scores are of something else.
    #[error(
        "{}: holds the teacher's scores of another set-up, which differs in {differences}",
        shown_path(path)
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What differs, with both values.
        differences: String,
    },
    /// The file is not what was written.
    #[error("{}: {reason}", shown_path(path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Another process is building the same cache.
    #[error("{}: another process is building it", shown_path(path))]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The teacher gave a score that is infinite or not a number.
    #[error("the teacher scores sample {sample} in view {view} with {value}")]
    NotFinite {
        /// Index of the sample.
        sample: usize,
        /// The view.
        view: u64,
        /// The score.
        value: f32,
    },
    /// The scores are more than a file can hold.
    #[error(
        "{num_samples} samples of {num_classes} classes in {views} augmentations are too many for one file"
    )]
    TooLarge {
        /// Samples.
        num_samples: usize,
        /// Scores of each.
        num_classes: usize,
        /// Views.
        views: u64,
    },
}

impl CacheError {
    /// What to do next, as [`DataError::help`](mentor_data::DataError::help) says it.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        let ways: &[&str] = match self {
            Self::Io { .. } => &["check the disk", "keep no scores, with `distill.cache`"],
            Self::Foreign { .. } => &["delete the file", "name another"],
            Self::Damaged { .. } => &["delete the file, so that it is built again"],
            Self::Locked { .. } => &["wait for it", "choose another `out`"],
            Self::NotFinite { .. } => &["choose another teacher"],
            Self::TooLarge { .. } => &["use fewer `distill.augmentations`"],
        };
        ways.iter().map(|&way| way.to_owned()).collect()
    }
}
