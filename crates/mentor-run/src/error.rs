//! What can go wrong with the files of a run, in the words that the user reads.

use std::path::PathBuf;

/// What can go wrong with the files of a run.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// A file or folder could not be read or written.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The directory holds a run with another configuration.
    #[error("{}: already holds another run, which differs in {differences}; choose another --out, or delete it", path.display())]
    OtherRun {
        /// The directory.
        path: PathBuf,
        /// Names of the fields that differ.
        differences: String,
    },
    /// The directory holds files, but no run.
    #[error("{}: is not empty and holds no run; choose another --out", path.display())]
    NotARun {
        /// The directory.
        path: PathBuf,
    },
    /// Another process is training in the directory.
    #[error("{}: another process is training here; wait for it, or choose another --out", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A file does not hold what it should.
    #[error("{}: damaged: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Something of a run is no plain file or folder.
    #[error(
        "{}: {what}, and a run is made of plain files and folders; put the file or the folder itself there",
        path.display()
    )]
    NotPlain {
        /// Where it is.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A file has more bytes than its kind may have.
    #[error(
        "{}: has {num_bytes} bytes, and mentor reads at most {max_bytes} of such a file; restore it from a copy",
        path.display()
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
    #[error(
        "{}: is missing, though the run is complete; restore it from a copy, or train again in another --out",
        path.display()
    )]
    MissingFile {
        /// The file.
        path: PathBuf,
    },
    /// The run was never finished, so it has no model yet.
    #[error("{}: the run is not complete, so it has no model yet; run the command that began it again to continue it", path.display())]
    Incomplete {
        /// The directory.
        path: PathBuf,
    },
    /// There is no run.
    #[error("{}: holds no run (there is no config.toml); name the --out directory of a command that trained", path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
}
