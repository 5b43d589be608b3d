//! Everything that can be said about a data set without training on it.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

use crate::decode::{decode_raster, read_limited};
use crate::error::DataError;
use crate::format::ImageFormat;
use crate::notes::{BadFile, Note};
use crate::options::{BadImage, OpenOptions, Purpose};
use crate::readers::listing::Pictures;
use crate::shown::shown_path;
use crate::source::catalogue::{Catalogue, classes_of};
use crate::source::duplicates::{self, Duplicates};
use crate::split::Split;

/// What a data set holds and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// What was inspected, as it was named.
    pub source: String,
    /// The form of the data, such as `image folder`.
    pub kind: &'static str,
    /// The classes in natural order.
    pub classes: Vec<ClassCount>,
    /// Number of samples of each split, duplicates included, corrupt files left out.
    pub num_train: usize,
    /// As `num_train`.
    pub num_val: usize,
    /// As `num_train`.
    pub num_test: usize,
    /// Sizes of the images, the most frequent first.
    pub sizes: Vec<SizeCount>,
    /// The format that training would choose.
    pub format: ImageFormat,
    /// Files that cannot be decoded.
    pub corrupt: Vec<BadFile>,
    /// Byte-identical images inside and between splits.
    pub duplicates: Duplicates,
    /// Files and folders that were left out, and sizes that were chosen.
    pub notes: Vec<Note>,
    /// A command to begin with.
    pub recommended_command: String,
}

/// A class and its samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Name of the class.
    pub name: String,
    /// Samples for training.
    pub train: usize,
    /// Samples for validation.
    pub val: usize,
    /// Samples for testing.
    pub test: usize,
}

/// How many images have a size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SizeCount {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Whether the images store colour.
    pub colour: bool,
    /// Number of images.
    pub count: usize,
}

impl Inspection {
    /// Whether nothing was found that would spoil a training run: no corrupt file, and no image that two
    /// splits share.
    pub fn is_clean(&self) -> bool {
        self.corrupt.is_empty() && self.duplicates.across.is_empty()
    }
}

/// Describes and checks a data set. Every image of every split is decoded once; nothing is removed, and
/// files that cannot be decoded are listed whatever `on_bad_image` says.
///
/// # Errors
///
/// Those of [`Source::open`](crate::Source::open) that leave nothing to describe, such as a missing path
/// or a truncated IDX file.
///
/// ```
/// let inspection = mentor_data::inspect("digits", &mentor_data::OpenOptions::default())?;
/// assert_eq!(inspection.classes.len(), 10);
/// assert!(inspection.is_clean());
/// # Ok::<(), mentor_data::DataError>(())
/// ```
pub fn inspect(source: &str, options: &OpenOptions) -> Result<Inspection, DataError> {
    let options = OpenOptions { on_bad_image: BadImage::Skip, ..options.clone() };
    let mut catalogue = Catalogue::open(source, &options, Purpose::Training)?;
    let format = catalogue.decide_format(&options)?;
    let mut corrupt = Vec::new();
    let mut notes = Vec::new();
    for note in std::mem::take(&mut catalogue.notes) {
        match note {
            Note::BadImage { file, .. } => corrupt.push(file),
            other => notes.push(other),
        }
    }
    corrupt.extend(take_undecodable(&mut catalogue, &options)?);
    for split in Split::ALL {
        let left = classes_of(&catalogue.splits[split.index()]);
        notes.extend(catalogue.assigned[split.index()].lost(
            &left,
            &catalogue.classes,
            split,
            "none of them can be decoded",
        ));
    }
    let counts = Split::ALL.map(|split| {
        let mut counts = vec![0; catalogue.classes.len()];
        for target in catalogue.splits[split.index()].iter().filter_map(|record| record.target) {
            counts[target as usize] += 1;
        }
        counts
    });
    let classes = catalogue.classes.iter().enumerate();
    let classes = classes
        .map(|(class, name)| ClassCount {
            name: name.clone(),
            train: counts[0][class],
            val: counts[1][class],
            test: counts[2][class],
        })
        .collect();
    let [num_train, num_val, num_test] = catalogue.splits.each_ref().map(Vec::len);
    Ok(Inspection {
        source: source.to_owned(),
        kind: catalogue.kind,
        classes,
        num_train,
        num_val,
        num_test,
        sizes: count_sizes(&catalogue),
        recommended_command: recommend(source, &format, !corrupt.is_empty()),
        format,
        corrupt,
        duplicates: duplicates::find(&catalogue.splits),
        notes,
    })
}

/// Decodes every file and takes those out that fail.
fn take_undecodable(catalogue: &mut Catalogue, options: &OpenOptions) -> Result<Vec<BadFile>, DataError> {
    let Pictures::Files(paths) = &catalogue.pictures else { return Ok(Vec::new()) };
    let mut corrupt = Vec::new();
    for split in Split::ALL {
        let records = std::mem::take(&mut catalogue.splits[split.index()]);
        let reasons: Vec<Option<String>> = records
            .par_iter()
            .map(|record| {
                let bytes = read_limited(&paths[record.row as usize], &options.limits)
                    .or_else(|error| error.unreadable().map(Err).ok_or(error))?;
                let decoded = bytes.and_then(|bytes| decode_raster(&bytes, &options.limits));
                Ok(decoded.err().map(|fault| fault.to_string()))
            })
            .collect::<Result<_, DataError>>()?;
        for (record, reason) in records.into_iter().zip(reasons) {
            match reason {
                None => catalogue.splits[split.index()].push(record),
                Some(reason) => {
                    let path = shown_path(&paths[record.row as usize]);
                    corrupt.push(BadFile { split, id: record.id, path, reason });
                }
            }
        }
    }
    Ok(corrupt)
}

fn count_sizes(catalogue: &Catalogue) -> Vec<SizeCount> {
    let mut counts = BTreeMap::new();
    for record in catalogue.splits.iter().flatten() {
        let key = match &catalogue.pictures {
            Pictures::Array { shape, .. } => Some((shape.height, shape.width, shape.channels == 3)),
            Pictures::Files(_) => catalogue.headers[record.row as usize]
                .map(|header| (header.height, header.width, header.colour)),
        };
        if let Some(key) = key {
            *counts.entry(key).or_insert(0) += 1;
        }
    }
    let mut sizes: Vec<SizeCount> = counts
        .into_iter()
        .map(|((height, width, colour), count)| SizeCount { height, width, colour, count })
        .collect();
    sizes.sort_by_key(|size| std::cmp::Reverse(size.count));
    sizes
}

fn recommend(source: &str, format: &ImageFormat, has_corrupt: bool) -> String {
    // A convolutional net halves its input twice; below 8 pixels nothing is left of it.
    let model = if format.height.min(format.width) < 8 { "mlp:256" } else { "cnn" };
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let source = match source {
        word if !word.is_empty() && word.chars().all(plain) => word.to_owned(),
        other => format!("'{}'", other.replace('\'', r"'\''")),
    };
    let skip = if has_corrupt { " --on-bad-image skip" } else { "" };
    format!("mentor train --data {source} --model {model} --loss softmax --out runs/first{skip}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_pasted_into_a_shell() {
        let format = ImageFormat::new(1, 28, 28);
        assert_eq!(
            recommend("my cat's", &format, true),
            r"mentor train --data 'my cat'\''s' --model cnn --loss softmax --out runs/first --on-bad-image skip"
        );
        assert!(recommend("a/b.npz", &format, false).contains("--data a/b.npz --model"));
    }
}
