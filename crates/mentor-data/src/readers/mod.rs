//! One reader for each form that data sets come in. A reader lists samples; it decodes no image file.

pub(crate) mod array;

use std::path::Path;

use crate::error::DataError;
use crate::options::{OpenOptions, Purpose};
use crate::readers::listing::{Format, Listing};

mod digits;
pub(crate) mod encoded;
mod folder;
mod idx;
mod idx_files;
mod image_content;
mod layout;
pub(crate) mod listing;
mod manifest;
mod manifest_path;
mod named;
pub(crate) mod npy;
mod npz;
mod numbered;
pub(crate) mod parquet;
mod pattern;
mod pixel_range;
mod shard_files;
mod system_files;
pub(crate) mod table;
pub(crate) mod tar;
pub(crate) mod tree;
mod unlabelled;
pub(crate) mod whole_file;

pub(crate) use digits::DIGITS;

/// The forms of data sets. Of those that a path may have, the first reads it.
static FORMATS: &[Format] = &[
    digits::FORMAT,
    manifest::FORMAT,
    npz::FORMAT,
    tar::FORMAT,
    parquet::FORMAT,
    idx::FORMAT,
    folder::FORMAT,
];

/// Finds out what `source` is and lists its samples.
pub(crate) fn list(source: &str, options: &OpenOptions, purpose: Purpose) -> Result<Listing, DataError> {
    let path = Path::new(source);
    if source != DIGITS
        && let Err(error) = std::fs::metadata(path)
    {
        match DataError::io(path, error) {
            DataError::NotFound { .. } if pattern::is_pattern(source) => {
                pattern::files(source)?;
            }
            DataError::NotFound { path } => return Err(DataError::NoDataSet { path }),
            error => return Err(error),
        }
    }
    match FORMATS.iter().find(|format| (format.recognises)(path)) {
        Some(format) => (format.list)(path, options, purpose),
        None if idx_files::is_unnamed_idx(path) => Err(DataError::IdxName { path: path.to_owned() }),
        None => Err(DataError::Unrecognised { path: path.to_owned() }),
    }
}

/// Lists the images of a data set whose labels are not asked for. `None` if its form has labels; a folder
/// has none, whatever its folders are called.
pub(crate) fn list_unlabelled(source: &str, options: &OpenOptions) -> Result<Option<Listing>, DataError> {
    let path = Path::new(source);
    if !tar::files(path).is_empty() {
        return tar::list_unlabelled(path, options);
    }
    if !parquet::files(path).is_empty() {
        return parquet::list_unlabelled(path, options);
    }
    let is_image_folder = source != DIGITS && path.is_dir() && !idx_files::is_idx_folder(path);
    is_image_folder.then(|| unlabelled::list(path)).transpose()
}
