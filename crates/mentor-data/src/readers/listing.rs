//! What a reader finds: samples, classes, and where the pictures are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mentor_codec::Fault;

use crate::classes::names::look_alike;
use crate::error::DataError;
use crate::format::ImageFormat;
use crate::notes::Note;
use crate::options::{OpenOptions, Purpose, SplitBy};
use crate::readers::encoded::{EncodedImages, FilePaths};
use crate::split::Split;

/// What a sample takes beside its pixels, roughly: its id, label and hashes, in the lists that opening and
/// loading make.
pub(crate) const SAMPLE_BYTES: u64 = 512;

/// A form that data sets come in, as the table of `readers` lists it.
pub(crate) struct Format {
    /// Whether the path, which exists, is of this form.
    pub(crate) recognises: fn(&Path) -> bool,
    /// Lists the samples. No image file is decoded.
    pub(crate) list: fn(&Path, &OpenOptions, Purpose) -> Result<Listing, DataError>,
}

/// Whether the path is of a file, and not a folder, whose name has one of these extensions in any case.
pub(crate) fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let found = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    !path.is_dir() && extensions.iter().any(|extension| found.eq_ignore_ascii_case(extension))
}

/// A sample as a reader lists it.
pub(crate) struct Listed {
    pub(crate) id: String,
    /// `None` where the data has no labels; then no sample has one.
    pub(crate) target: Option<u32>,
    /// `None` where the data has no splits; then no sample has one.
    pub(crate) split: Option<Split>,
    /// Position among the pictures.
    pub(crate) row: u32,
    /// Why the picture cannot be read, where that is known already.
    pub(crate) problem: Option<Fault>,
}

/// What a reader of one format finds.
pub(crate) struct Listing {
    pub(crate) kind: &'static str,
    /// Empty where the data has no labels.
    pub(crate) classes: Vec<String>,
    pub(crate) samples: Vec<Listed>,
    pub(crate) pictures: Pictures,
    pub(crate) notes: Vec<Note>,
}

/// Where the pictures of a data set are.
#[derive(Clone)]
pub(crate) enum Pictures {
    /// `[row, channel, height, width]`, all of one shape.
    Array { shape: ImageFormat, bytes: Arc<Vec<u8>> },
    /// Image files, or entries of larger files.
    Encoded(Arc<dyn EncodedImages>),
}

impl Pictures {
    /// One file a row.
    pub(crate) fn of_files(paths: Vec<PathBuf>) -> Self {
        Self::Encoded(Arc::new(FilePaths(paths)))
    }
}

/// For classes with names: none that only validation or test have, where there is training data. With splits
/// by class that is what is wanted.
pub(crate) fn check_trained(
    path: &Path,
    classes: &[String],
    samples: &[Listed],
    split_by: SplitBy,
) -> Result<(), DataError> {
    if split_by == SplitBy::Class {
        return Ok(());
    }
    let mut trained = vec![false; classes.len()];
    let labelled = || samples.iter().filter_map(|listed| Some((listed.target? as usize, listed.split)));
    for (target, _) in labelled().filter(|(_, split)| matches!(split, None | Some(Split::Train))) {
        trained[target] = true;
    }
    match labelled().find(|&(target, _)| !trained[target]) {
        Some((target, Some(split))) if trained.contains(&true) => {
            let class = classes[target].clone();
            let known = classes.iter().zip(&trained).filter(|&(_, &trained)| trained).map(|(class, _)| class);
            let alike = look_alike(&class, known).map(str::to_owned);
            Err(DataError::UnknownClass { path: path.to_owned(), class, split, alike })
        }
        _ => Ok(()),
    }
}
