//! Labels that a user has corrected, in a table beside the data.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::classes::names::class_name;
use crate::error::DataError;
use crate::notes::Note;
use crate::options::{Limits, Purpose};
use crate::readers::listing::{Listing, Pictures};
use crate::readers::table::Table;

/// Gives the samples that `file` names its labels. A path is the id of a sample, or leads to its file from
/// the folder of `file`.
///
/// # Errors
///
/// If the table cannot be read, a label is no class, or, for training, a path belongs to no sample.
pub(crate) fn correct(
    data: &Path,
    listing: &mut Listing,
    file: &Path,
    limits: &Limits,
    purpose: Purpose,
) -> Result<Option<Note>, DataError> {
    let table = Table::read(file, &["path", "label"], "`path,label`", limits)?;
    let (path_column, label_column) = (table.column("path")?, table.column("label")?);
    let folder = file.parent().unwrap_or(Path::new(""));
    let samples = Samples::of(listing);
    let mut corrected = Vec::new();
    for row in table.rows() {
        let row = row?;
        let written = row.field(path_column.unwrap_or_default(), "path")?;
        let label = class_name(row.field(label_column.unwrap_or_default(), "label")?);
        let found = samples.named(folder, written);
        let target = listing.classes.iter().position(|class| *class == label);
        match (found, target, purpose) {
            (Some(found), Some(target), _) => corrected.push((found, target as u32)),
            // Data of another name, which a model is evaluated on, need no corrections.
            (_, _, Purpose::Evaluation) => {}
            (None, _, Purpose::Training) => {
                return Err(row.wrong(format!("{written:?} is no image of {}", crate::shown_path(data))));
            }
            (Some(_), None, Purpose::Training) => {
                return Err(row.wrong(format!("{label:?} is no class of {}", crate::shown_path(data))));
            }
        }
    }
    let mut num_changed = 0;
    for (sample, target) in corrected {
        let own = &mut listing.samples[sample].target;
        num_changed += usize::from(*own != Some(target));
        *own = Some(target);
    }
    Ok((num_changed > 0).then_some(Note::Corrected { count: num_changed }))
}

/// Samples by their names.
struct Samples {
    by_id: HashMap<String, usize>,
    by_file: HashMap<PathBuf, usize>,
}

impl Samples {
    fn of(listing: &Listing) -> Self {
        let by_id = listing.samples.iter().enumerate().map(|(place, listed)| (listed.id.clone(), place));
        let by_file = match &listing.pictures {
            Pictures::Encoded(images) => {
                let file = |(place, row): (usize, u32)| Some((whole(&images.path(row as usize))?, place));
                let rows = listing.samples.iter().map(|listed| listed.row);
                rows.enumerate().filter_map(file).collect()
            }
            Pictures::Array { .. } => HashMap::new(),
        };
        Self { by_id: by_id.collect(), by_file }
    }

    fn named(&self, folder: &Path, written: &str) -> Option<usize> {
        let by_file = || self.by_file.get(&whole(&folder.join(written))?).copied();
        self.by_id.get(written).copied().or_else(by_file)
    }
}

/// The path without links and dots; none if there is no such file.
fn whole(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(path).ok()
}
