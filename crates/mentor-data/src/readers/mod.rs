//! One reader for each form that data sets come in. A reader lists samples; it decodes no image file.

pub(crate) mod array;

use std::path::Path;

use crate::error::DataError;
use crate::options::OpenOptions;
use crate::readers::listing::Listing;

mod digits;
mod folder;
mod idx;
pub(crate) mod listing;
pub(crate) mod manifest;
pub(crate) mod npy;
mod npz;
mod numbered;

pub(crate) use digits::DIGITS;
pub use folder::has_image_extension;

/// Finds out what `source` is and lists its samples.
pub(crate) fn list(source: &str, options: &OpenOptions) -> Result<Listing, DataError> {
    if source == DIGITS {
        return digits::list();
    }
    let path = Path::new(source);
    let metadata = std::fs::metadata(path).map_err(|error| match DataError::io(path, error) {
        DataError::NotFound { path } => DataError::NoDataSet { path },
        error => error,
    })?;
    if metadata.is_dir() {
        return if idx::is_idx_folder(path) {
            idx::list(path, &options.limits)
        } else {
            folder::list(path, options.split_by)
        };
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    match extension.to_ascii_lowercase().as_str() {
        "csv" => manifest::list(path, options.split_by),
        "npz" => npz::list(path, &options.limits),
        _ => match path.parent() {
            Some(folder) if idx::is_idx_file(path) => {
                idx::list(if folder == Path::new("") { Path::new(".") } else { folder }, &options.limits)
            }
            _ => Err(DataError::Unrecognised { path: path.to_owned() }),
        },
    }
}

/// Lists the images of a folder without labels.
pub(crate) fn list_unlabelled(folder: &Path) -> Result<Listing, DataError> {
    folder::list_unlabelled(folder)
}

/// Whether `source` is a folder of image files, with or without class folders.
pub(crate) fn is_image_folder(source: &str) -> bool {
    let path = Path::new(source);
    source != DIGITS && path.is_dir() && !idx::is_idx_folder(path)
}
