//! A folder for the parsers that read files; `TMPDIR` says where. Every thread has its own.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

thread_local! {
    static FOLDER: TempDir = tempfile::tempdir().expect("a temporary folder");
}

/// The folder of the parser called `name`, which `fill` makes when it is first asked for.
pub fn folder(name: &str, fill: impl FnOnce(&Path)) -> PathBuf {
    FOLDER.with(|folder| {
        let path = folder.path().join(name);
        if !path.exists() {
            fs::create_dir(&path).expect("a folder");
            fill(&path);
        }
        path
    })
}

/// Writes a file that must be written.
pub fn put(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("a file");
}
