//! Triplets that the user names: a CSV with the columns `anchor`, `positive` and `negative`.

use std::collections::HashMap;
use std::path::Path;

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::options::Limits;
use crate::readers::table::Table;

/// Reads triplets as `[anchor, positive, negative]`, indices into `dataset`.
///
/// The first line names the columns, in any order; others are ignored. Each line below names three samples by
/// their ids, which are paths below the data set's folder (see [`Dataset::id`]), also with a `./` before
/// them. Classes do not matter: what is alike is what the file says. A triplet may come twice, and then
/// counts twice.
///
/// # Errors
///
/// [`DataError::MissingColumn`] or [`DataError::MissingHeader`]; [`DataError::ManifestLine`] with the line
/// where a field is empty, a sample is not in the data set, or the anchor is also the positive or the
/// negative, or the positive the negative; [`DataError::Empty`] if there is no triplet;
/// [`DataError::NotFound`] or [`DataError::Io`] where the file cannot be read.
pub fn read_triplets(path: &Path, dataset: &Dataset) -> Result<Vec<[u32; 3]>, DataError> {
    const COLUMNS: [&str; 3] = ["anchor", "positive", "negative"];
    let table = Table::read(path, &COLUMNS, "`anchor,positive,negative`", &Limits::default())?;
    let mut columns = [0; 3];
    for (column, name) in columns.iter_mut().zip(COLUMNS) {
        *column = table.column(name)?.unwrap_or_default();
    }
    let samples: HashMap<&str, u32> =
        (0..dataset.len()).map(|sample| (dataset.id(sample), sample as u32)).collect();

    let mut triplets = Vec::new();
    for row in table.rows() {
        let row = row?;
        let wrong = |reason| row.wrong(reason);
        let mut triplet = [0; 3];
        for ((sample, &column), name) in triplet.iter_mut().zip(&columns).zip(COLUMNS) {
            let id = row.field(column, name)?;
            // A manifest may have written the path with "./" itself.
            let found = samples.get(id).or_else(|| samples.get(id.strip_prefix("./")?));
            *sample = *found.ok_or_else(|| {
                let example = if dataset.is_empty() { "none" } else { dataset.id(0) };
                wrong(format!("the {name} {id:?} is not among the samples (such as {example:?})"))
            })?;
        }
        let [anchor, positive, negative] = triplet;
        let twice = [("positive", anchor == positive), ("negative", anchor == negative)];
        if let Some((name, _)) = twice.into_iter().find(|(_, same)| *same) {
            return Err(wrong(format!("the anchor is its own {name}")));
        }
        if positive == negative {
            return Err(wrong("the positive is also the negative".to_owned()));
        }
        triplets.push(triplet);
    }
    if triplets.is_empty() {
        let hint = "list one triplet a line below `anchor,positive,negative`".to_owned();
        return Err(DataError::Empty { path: path.to_owned(), what: "triplets", hint });
    }
    Ok(triplets)
}
