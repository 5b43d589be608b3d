//! One reader for each form that data sets come in. A reader lists samples; it decodes no image file.

pub(crate) mod array;

use std::path::Path;

use crate::error::DataError;
use crate::options::{OpenOptions, Purpose};
use crate::readers::listing::{Format, Listing};

mod digits;
mod folder;
mod idx;
mod idx_files;
mod image_content;
mod layout;
pub(crate) mod listing;
mod manifest;
mod manifest_path;
pub(crate) mod npy;
mod npz;
mod numbered;
mod pixel_range;
mod system_files;
pub(crate) mod table;
pub(crate) mod tree;
mod unlabelled;

pub(crate) use digits::DIGITS;

/// The forms of data sets. Of those that a path may have, the first reads it.
static FORMATS: &[Format] = &[digits::FORMAT, manifest::FORMAT, npz::FORMAT, idx::FORMAT, folder::FORMAT];

/// Finds out what `source` is and lists its samples.
pub(crate) fn list(source: &str, options: &OpenOptions, purpose: Purpose) -> Result<Listing, DataError> {
    let path = Path::new(source);
    if source != DIGITS
        && let Err(error) = std::fs::metadata(path)
    {
        return Err(match DataError::io(path, error) {
            DataError::NotFound { path } => DataError::NoDataSet { path },
            error => error,
        });
    }
    match FORMATS.iter().find(|format| (format.recognises)(path)) {
        Some(format) => (format.list)(path, options, purpose),
        None if idx_files::is_unnamed_idx(path) => Err(DataError::IdxName { path: path.to_owned() }),
        None => Err(DataError::Unrecognised { path: path.to_owned() }),
    }
}

/// Lists the images of a folder without labels.
pub(crate) fn list_unlabelled(folder: &Path) -> Result<Listing, DataError> {
    unlabelled::list(folder)
}

/// Whether `source` is a folder of image files, with or without class folders.
pub(crate) fn is_image_folder(source: &str) -> bool {
    let path = Path::new(source);
    source != DIGITS && path.is_dir() && !idx_files::is_idx_folder(path)
}
