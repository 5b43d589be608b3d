//! Files that appear whole or not at all.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::{io as named, open_plain};
use crate::error::RunDirError;

/// What the name of a file ends in until it is whole.
const TEMPORARY: &str = ".tmp";
/// Names that are tried for a temporary file. Others are taken by threads of this process, or by what
/// somebody put there.
const MAX_TRIES: u32 = 1000;

/// Writes a file whole or not at all, and durably: beside its place, synced, then renamed. Links are
/// followed; what is no file, such as a pipe, is written to as it is. It is for files that the user names;
/// those of a run are [`RunDir::write`](crate::RunDir::write)'s.
///
/// Processes that write the same file do not disturb each other: the last one wins. What a killed one left
/// behind is removed.
///
/// # Errors
///
/// When the file system refuses.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), RunDirError> {
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
        return fs::write(path, bytes).map_err(named(path, "write"));
    }
    replace(&fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()), bytes)
}

/// As [`write_atomically`], but a link in the place is replaced by the file, not followed.
///
/// # Errors
///
/// When the file system refuses.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), RunDirError> {
    let write = || {
        let mut temporary = Temporary::create(path)?;
        temporary.file().write_all(bytes)?;
        temporary.finish()
    };
    write().map_err(named(path, "write"))
}

/// A file that is not whole yet: beside its place, made anew, and locked as long as its writer lives. It is
/// removed when dropped.
#[derive(Debug)]
pub struct Temporary {
    place: PathBuf,
    /// `None` once it has its name.
    path: Option<PathBuf>,
    file: File,
}

impl Temporary {
    /// Begins the file that is to be `place`, and removes what killed writers of the same left behind.
    ///
    /// # Errors
    ///
    /// When the file system refuses.
    pub fn create(place: &Path) -> io::Result<Self> {
        let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(base) = place.file_name().and_then(OsStr::to_str) {
            remove_abandoned(folder.unwrap_or(Path::new(".")), |name| owner(name) == Some(base));
        }
        for number in 0..MAX_TRIES {
            let path = beside(place, &format!(".{}-{number}{TEMPORARY}", std::process::id()));
            // A link of that name is not followed.
            let file = match OpenOptions::new().write(true).read(true).create_new(true).open(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                opened => opened?,
            };
            // Where the file system has no locks nobody takes the file for abandoned.
            let taken = matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock));
            // Before it was locked another writer may have taken it for abandoned.
            if !taken && is_named(&file, &path) {
                return Ok(Self { place: place.to_owned(), path: Some(path), file });
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// What is written to.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the file its name, durably.
    ///
    /// # Errors
    ///
    /// When the file system refuses.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(path) = &self.path {
            fs::rename(path, &self.place)?;
        }
        self.path = None;
        sync_folder_of(&self.place);
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // A file that cannot be deleted costs space, not correctness.
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether the path still names this file, and not one that was made since.
fn is_named(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let place = |found: fs::Metadata| (found.dev(), found.ino());
        matches!(
            (file.metadata().map(place), fs::symlink_metadata(path).map(place)),
            (Ok(file), Ok(named)) if file == named
        )
    }
    #[cfg(not(unix))]
    {
        file.metadata().is_ok() && path.exists()
    }
}

/// Makes a rename in the folder of `path` durable. Not every platform can.
pub fn sync_folder_of(path: &Path) {
    if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
        let _ = folder.sync_all();
    }
}

/// Removes the files in `folder` whose names `is_mine` and which no living process holds. Best effort: they
/// cost space, not correctness.
pub(crate) fn remove_abandoned(folder: &Path, is_mine: impl Fn(&str) -> bool) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_name().to_str().is_some_and(&is_mine)
            && let Ok(file) = open_plain(&path, u64::MAX)
            && file.try_lock().is_ok()
            // Its writer may have finished since it was opened, and another may have begun under the same
            // name.
            && is_named(&file, &path)
        {
            let _ = fs::remove_file(&path);
        }
    }
}

/// The name of the file that a temporary one is to become: `NAME.PID-NUMBER.tmp`, or `NAME.PID.tmp` of
/// earlier versions.
fn owner(temporary: &str) -> Option<&str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (base, writer) = temporary.strip_suffix(TEMPORARY)?.rsplit_once('.')?;
    let numbered = match writer.split_once('-') {
        Some((process, number)) => digits(process) && digits(number),
        None => digits(writer),
    };
    (numbered && !base.is_empty()).then_some(base)
}

/// As [`owner`]; in a run directory, which is mentor's, earlier versions wrote `NAME.tmp` too.
pub(crate) fn owner_in_run(temporary: &str) -> Option<&str> {
    owner(temporary).or(temporary.strip_suffix(TEMPORARY))
}

/// `path` with its name made longer.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or(OsStr::new("")).to_owned();
    name.push(ending);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_killed_writers_left_goes_and_what_living_ones_and_others_have_stays() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("r.html");
        let others = ["r.html.tmp", "r.html.mine.tmp", "s.html.7.tmp", "r.html.7-0"];
        for name in ["r.html.7.tmp", "r.html.7-0.tmp"].iter().chain(&others) {
            fs::write(dir.path().join(name), "half").unwrap();
        }
        let living = Temporary::create(&place).unwrap();
        let kept = living.path.clone().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        write_atomically(&place, b"whole").unwrap();
        let mut expected = [others.as_slice(), &["r.html", &kept]].concat();
        expected.sort_unstable();
        assert_eq!(names(dir.path()), expected);
        assert_eq!(fs::read(&place).unwrap(), b"whole");
        living.finish().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"", "the last one wins");
    }

    #[test]
    fn many_writers_of_one_file_leave_one_whole_file() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("file");
        std::thread::scope(|scope| {
            for writer in 0..8_u8 {
                let place = &place;
                scope.spawn(move || {
                    (0..20).for_each(|_| write_atomically(place, &[writer; 1000]).unwrap());
                });
            }
        });
        let bytes = fs::read(&place).unwrap();
        assert!(bytes.len() == 1000 && bytes.iter().all(|byte| *byte == bytes[0]));
        assert_eq!(names(dir.path()), ["file"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_is_replaced_in_a_run_and_followed_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let (link, target) = (dir.path().join("link"), dir.path().join("target"));
        fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink("target", &link).unwrap();
        write_atomically(&link, b"new").unwrap();
        assert!(link.is_symlink() && fs::read(&target).unwrap() == b"new");
        replace(&link, b"newer").unwrap();
        assert!(!link.is_symlink() && fs::read(&target).unwrap() == b"new");
        // Nor is one where the temporary file would be.
        let planted = beside(&link, &format!(".{}-0{TEMPORARY}", std::process::id()));
        std::os::unix::fs::symlink("target", &planted).unwrap();
        replace(&link, b"newest").unwrap();
        assert!(fs::read(&target).unwrap() == b"new" && fs::read(&link).unwrap() == b"newest");
    }

    #[test]
    fn temporaries_are_told_from_other_names() {
        assert_eq!(owner("a.json.12-3.tmp"), Some("a.json"));
        assert_eq!(owner("a.json.12.tmp"), Some("a.json"));
        assert_eq!((owner("a.json.tmp"), owner_in_run("a.json.tmp")), (None, Some("a.json")));
        for name in ["a.json", ".12.tmp", "tmp", "a.12-x.tmp", "a.12-.tmp"] {
            assert_eq!(owner(name), None, "{name}");
        }
    }
}
