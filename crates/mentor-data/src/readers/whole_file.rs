//! Files that appear whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use crate::error::DataError;

/// Writes a file whole or not at all: under another name first. Without `replace` a file of that name must
/// not be there.
pub(crate) fn whole_file(
    path: &Path,
    replace: bool,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), DataError> {
    if !replace && path.exists() {
        return Err(DataError::Exists { path: path.to_owned() });
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = || {
        let mut file = BufWriter::new(File::create(&partial)?);
        write(&mut file)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&partial, path)
    };
    written().map_err(|error| {
        // What is left of it would be taken for a shard by nobody, but would fill the disk.
        let _ = std::fs::remove_file(&partial);
        error.downcast::<DataError>().unwrap_or_else(|error| DataError::io(path, error))
    })
}
