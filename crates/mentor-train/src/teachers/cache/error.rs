//! Why a cache cannot be used.

use std::io;
use std::path::PathBuf;

/// Why a cache cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The file could not be read or written.
    #[error("{}: cannot {action}: {source}; check the disk, or leave the teacher's scores out with --no-cache", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The scores are of something else.
    #[error("{}: holds the teacher's scores of another set-up, which differs in {differences}; delete the file, or name another", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What differs, with both values.
        differences: String,
    },
    /// The file is not what was written.
    #[error("{}: {reason}; delete the file, so that it is built again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Another process is building the same cache.
    #[error("{}: another process is building it; wait for it, or choose another --out", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The teacher gave a score that is infinite or not a number.
    #[error("the teacher scores sample {sample} in view {view} with {value}; choose another teacher")]
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
        "{num_samples} samples of {num_classes} classes in {views} views are too many for one file; use fewer views"
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
