//! What can go wrong with the files of a run, in the words that the user reads.

use std::io::ErrorKind;
use std::path::PathBuf;

use mentor_data::shown_path;

/// What can go wrong with the files of a run.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// A file or folder could not be read or written.
    #[error("{}: cannot {action}: {source}", shown_path(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The directory holds a run with another configuration.
    #[error("{}: already holds another run, which differs in {differences}", shown_path(path))]
    OtherRun {
        /// The directory.
        path: PathBuf,
        /// Names of the fields that differ.
        differences: String,
    },
    /// The directory holds files, but no run.
    #[error("{}: is not empty and holds no run", shown_path(path))]
    NotARun {
        /// The directory.
        path: PathBuf,
    },
    /// Another process is training in the directory.
    #[error("{}: another process is training here", shown_path(path))]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A file does not hold what it should.
    #[error("{}: damaged: {message}", shown_path(path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Something of a run is no plain file or folder.
    #[error("{}: {what}, and a run is made of plain files and folders", shown_path(path))]
    NotPlain {
        /// Where it is.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A file has more bytes than its kind may have.
    #[error(
        "{}: has {num_bytes} bytes, and mentor reads at most {max_bytes} of such a file",
        shown_path(path)
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        num_bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// A complete run lacks one of its files.
    #[error("{}: is missing, though the run is complete", shown_path(path))]
    MissingFile {
        /// The file.
        path: PathBuf,
    },
    /// The run was never finished, so it has no model yet.
    #[error("{}: the run is not complete, so it has no model yet", shown_path(path))]
    Incomplete {
        /// The directory.
        path: PathBuf,
    },
    /// There is no run.
    #[error("{}: holds no run (there is no config.toml)", shown_path(path))]
    Missing {
        /// The directory.
        path: PathBuf,
    },
}

impl RunDirError {
    /// What to do next, as [`DataError::help`](mentor_data::DataError::help) says it.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        use ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
        let ways: &[&str] = match self {
            Self::Io { source, .. } => match source.kind() {
                NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem => {
                    &["choose another directory", "make this one writable"]
                }
                _ => &[],
            },
            Self::OtherRun { path, .. } => {
                let config = shown_path(&path.join("config.toml"));
                return vec![
                    "choose another `out`".to_owned(),
                    "delete it".to_owned(),
                    format!("continue it as it was begun, with its {config} as the configuration"),
                ];
            }
            Self::NotARun { .. } => &["choose another `out`"],
            Self::Locked { .. } => &["wait for it", "choose another `out`"],
            Self::Damaged { .. } => &[],
            Self::NotPlain { .. } => &["put the file or the folder itself there"],
            Self::TooLarge { .. } => &["restore it from a copy"],
            Self::MissingFile { .. } => &["restore it from a copy", "train again in another directory"],
            Self::Incomplete { .. } => &["run the command that began it again to continue it"],
            Self::Missing { .. } => &["name the directory of a run: a command that trains writes it"],
        };
        ways.iter().map(|&way| way.to_owned()).collect()
    }
}
