//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::RunDirError;
use super::error::io;

/// What the name of a file ends in until it is whole.
pub(super) const TEMPORARY: &str = ".tmp";

/// Writes a file whole or not at all, and durably: beside its place, synced, then renamed.
///
/// # Errors
///
/// When the file system refuses.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), RunDirError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(TEMPORARY);
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // Best effort: the half-written file is of no use, and the error that matters is the first.
        let _ = fs::remove_file(&temporary);
        return Err(io(path, "write")(error));
    }
    // The rename itself is durable only when the directory is synced; not every platform can.
    if let Some(parent) = path.parent().and_then(|parent| File::open(parent).ok()) {
        let _ = parent.sync_all();
    }
    Ok(())
}
