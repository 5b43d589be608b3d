//! One reader for each form that data sets come in. A reader lists samples; it decodes no image file.

pub(crate) mod array;

use std::path::Path;

use crate::error::DataError;
use crate::options::{OpenOptions, Purpose};
use crate::readers::listing::Listing;

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

/// Finds out what `source` is and lists its samples.
pub(crate) fn list(source: &str, options: &OpenOptions, purpose: Purpose) -> Result<Listing, DataError> {
    if source == DIGITS {
        return digits::list();
    }
    let path = Path::new(source);
    let metadata = std::fs::metadata(path).map_err(|error| match DataError::io(path, error) {
        DataError::NotFound { path } => DataError::NoDataSet { path },
        error => error,
    })?;
    if metadata.is_dir() {
        return if idx_files::is_idx_folder(path) {
            idx::list(path, &options.limits, purpose)
        } else {
            folder::list(path, options.split_by, purpose)
        };
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    match extension.to_ascii_lowercase().as_str() {
        "csv" | "tsv" => manifest::list(path, options, purpose),
        "npz" => npz::list(path, options, purpose),
        _ if idx_files::is_idx_file(path) => idx::list(path, &options.limits, purpose),
        _ if idx_files::is_unnamed_idx(path) => Err(DataError::IdxName { path: path.to_owned() }),
        _ => Err(DataError::Unrecognised { path: path.to_owned() }),
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
