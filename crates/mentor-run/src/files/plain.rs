//! Files and folders of a run, opened as what a stranger may have made of them: someone else's run is
//! unpacked from an archive.
//!
//! The run directory itself is where the user says it is, by way of any link. Below it no link is followed:
//! only plain files and folders are read, and of a file no more than its kind may have.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use super::io;
use crate::error::RunDirError;

/// Bytes of `config.toml`, at most: a million class weights fit.
pub(crate) const MAX_CONFIG: u64 = 16 << 20;
/// Bytes of a JSON file of a run, at most: the confusion matrix of ten thousand classes fits.
pub(crate) const MAX_RECORD: u64 = 1 << 30;
/// Bytes of `metrics.jsonl`, at most: a million epochs fit.
pub(crate) const MAX_LOG: u64 = 1 << 30;
/// Bytes that a safetensors file may have beyond its values: the names and shapes of its tensors.
pub const MAX_HEADER: u64 = 64 << 20;

/// Opens a plain file of at most `max_bytes` for reading; its last component is no link.
///
/// # Errors
///
/// [`RunDirError::NotPlain`], [`RunDirError::TooLarge`], or [`RunDirError::Io`].
pub fn open_plain(path: &Path, max_bytes: u64) -> Result<File, RunDirError> {
    let file = options().read(true).open(path).map_err(|source| refused(path, "read", source))?;
    let metadata = file.metadata().map_err(io(path, "read"))?;
    check_plain(path, &metadata)?;
    if metadata.len() > max_bytes {
        return Err(RunDirError::TooLarge { path: path.to_owned(), num_bytes: metadata.len(), max_bytes });
    }
    Ok(file)
}

/// As [`open_plain`], of a file that the user names: a link is followed.
///
/// # Errors
///
/// As [`open_plain`].
pub fn open_named(path: &Path, max_bytes: u64) -> Result<File, RunDirError> {
    open_plain(&fs::canonicalize(path).map_err(io(path, "read"))?, max_bytes)
}

/// The bytes of a plain file.
///
/// # Errors
///
/// As [`open_plain`].
pub fn read_plain(path: &Path, max_bytes: u64) -> Result<Vec<u8>, RunDirError> {
    let mut bytes = Vec::new();
    let file = open_plain(path, max_bytes)?;
    // A file that grows meanwhile is cut off, and found damaged.
    file.take(max_bytes).read_to_end(&mut bytes).map_err(io(path, "read"))?;
    Ok(bytes)
}

/// The bytes of a file that the user names, of at most `max_bytes`: a link is followed.
///
/// # Errors
///
/// As [`open_plain`].
pub fn read_named(path: &Path, max_bytes: u64) -> Result<Vec<u8>, RunDirError> {
    let mut bytes = Vec::new();
    open_named(path, max_bytes)?.take(max_bytes).read_to_end(&mut bytes).map_err(io(path, "read"))?;
    Ok(bytes)
}

/// Opens a plain file for reading and writing, and makes it if there is none.
///
/// # Errors
///
/// As [`open_plain`].
pub fn open_or_create(path: &Path) -> Result<File, RunDirError> {
    let opened = options().read(true).write(true).create(true).truncate(false).open(path);
    let file = opened.map_err(|source| refused(path, "write", source))?;
    check_plain(path, &file.metadata().map_err(io(path, "write"))?)?;
    Ok(file)
}

/// Opens a plain file for writing at its end.
///
/// # Errors
///
/// As [`open_plain`].
pub(crate) fn append_plain(path: &Path) -> Result<File, RunDirError> {
    let file = options().append(true).open(path).map_err(|source| refused(path, "write", source))?;
    check_plain(path, &file.metadata().map_err(io(path, "write"))?)?;
    Ok(file)
}

/// The place of `inner`, such as `round-1/student`, in the run in `run`; it need not exist.
///
/// # Errors
///
/// [`RunDirError::NotPlain`] if a part of it is a link or a file.
pub fn inside(run: &Path, inner: &Path) -> Result<PathBuf, RunDirError> {
    let mut place = run.to_owned();
    for component in inner.components() {
        let Component::Normal(name) = component else {
            return Err(RunDirError::NotPlain { path: run.join(inner), what: "leads out of the run" });
        };
        place.push(name);
        match fs::symlink_metadata(&place) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(metadata) => return Err(not_plain(&place, &metadata, "is a file, and should be a folder")),
            // What is not there is yet to be made; what cannot be looked at cannot be opened either.
            Err(_) => {}
        }
    }
    Ok(place)
}

/// As [`inside`], and makes the folders that are missing.
///
/// # Errors
///
/// As [`inside`], and when the file system refuses.
pub fn create_inside(run: &Path, inner: &Path) -> Result<PathBuf, RunDirError> {
    let place = inside(run, inner)?;
    fs::create_dir_all(&place).map_err(io(&place, "create"))?;
    inside(run, inner)
}

/// Whether something has this name, a link that leads nowhere included.
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// How everything of a run is opened: a link is an error, and a pipe is not waited for.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY,
    );
    options
}

/// The error of opening `path`, which says that it is a link if it is one.
fn refused(path: &Path, action: &'static str, source: std::io::Error) -> RunDirError {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => not_plain(path, &metadata, "is no plain file"),
        _ => RunDirError::Io { path: path.to_owned(), action, source },
    }
}

fn check_plain(path: &Path, opened: &fs::Metadata) -> Result<(), RunDirError> {
    if !opened.is_file() {
        return Err(not_plain(path, opened, "is no plain file"));
    }
    // Where `open` follows links all the same.
    #[cfg(not(unix))]
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        return Err(RunDirError::NotPlain { path: path.to_owned(), what: "is a link" });
    }
    Ok(())
}

fn not_plain(path: &Path, metadata: &fs::Metadata, otherwise: &'static str) -> RunDirError {
    let what = match metadata {
        metadata if metadata.is_symlink() => "is a link",
        metadata if metadata.is_dir() => "is a folder, and should be a file",
        _ => otherwise,
    };
    RunDirError::NotPlain { path: path.to_owned(), what }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn fifo(path: &Path) {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.is_ok_and(|status| status.success()), "mkfifo failed");
    }

    #[test]
    fn links_pipes_folders_and_what_is_too_large_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("plain"), "123").unwrap();
        symlink("plain", at("link")).unwrap();
        symlink("nowhere", at("lost")).unwrap();
        fifo(&at("pipe"));
        fs::create_dir(at("folder")).unwrap();
        assert_eq!(read_plain(&at("plain"), 3).unwrap(), b"123");
        for (name, what) in [
            ("link", "is a link"),
            ("lost", "is a link"),
            ("pipe", "is no plain file"),
            ("folder", "is a folder"),
        ] {
            let error = read_plain(&at(name), 9).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(what), "{error}");
            let error = open_or_create(&at(name)).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
            let error = append_plain(&at(name)).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        assert!(!at("nowhere").exists(), "a link is not written through");
        let error = read_plain(&at("plain"), 2).unwrap_err().to_string();
        assert!(error.contains("has 3 bytes, and mentor reads at most 2"), "{error}");
    }

    #[test]
    fn a_place_in_a_run_leads_through_folders_alone() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let run = dir.path();
        fs::create_dir(run.join("round-1")).unwrap();
        symlink(outside.path(), run.join("round-1/labels")).unwrap();
        symlink(outside.path(), run.join("round-2")).unwrap();
        fs::write(run.join("file"), "").unwrap();
        assert!(inside(run, Path::new("round-1/student")).is_ok());
        assert!(create_inside(run, Path::new("round-3/student")).unwrap().is_dir());
        for inner in ["round-1/labels", "round-2", "round-2/student", "file", "file/x", "../x", "/etc"] {
            assert!(create_inside(run, Path::new(inner)).is_err(), "{inner}");
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        // The run itself may be named by a link.
        symlink(run, outside.path().join("run")).unwrap();
        assert!(inside(&outside.path().join("run"), Path::new("round-1")).is_ok());
    }
}
