//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::RunDirError;

/// What the name of a file ends in until it is whole.
pub(crate) const TEMPORARY: &str = ".tmp";

/// Writes a file whole or not at all, and durably: beside its place, synced, then renamed. Links are followed; what is no file, such as
/// a pipe, is written to as it is.
///
/// Processes that write the same file do not disturb each other: the last one wins.
///
/// # Errors
///
/// When the file system refuses.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), RunDirError> {
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        return fs::write(path, bytes).map_err(io(path, "write"));
    }
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    replace(path, &own_temporary(path), bytes)
}

/// As [`write_atomically`], in a directory that this process alone writes: the next one overwrites what it leaves behind when it is
/// killed.
///
/// # Errors
///
/// When the file system refuses.
pub fn write_alone(path: &Path, bytes: &[u8]) -> Result<(), RunDirError> {
    replace(path, &beside(path, TEMPORARY), bytes)
}

/// What `path` is called until it is whole, where other processes may write it too.
pub fn own_temporary(path: &Path) -> PathBuf {
    beside(path, &format!(".{}{TEMPORARY}", std::process::id()))
}

/// `path` with its name made longer.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

fn replace(path: &Path, temporary: &Path, bytes: &[u8]) -> Result<(), RunDirError> {
    let written = File::create(temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(temporary, path));
    if let Err(error) = written {
        // Best effort: the half-written file is of no use, and the error that matters is the first.
        let _ = fs::remove_file(temporary);
        return Err(io(path, "write")(error));
    }
    // The rename itself is durable only when the directory is synced; not every platform can.
    if let Some(parent) = path.parent().and_then(|parent| File::open(parent).ok()) {
        let _ = parent.sync_all();
    }
    Ok(())
}

/// Says which file a system error is about, and what was tried with it.
pub fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> RunDirError + use<> {
    let path = path.to_owned();
    move |source| RunDirError::Io { path, action, source }
}
