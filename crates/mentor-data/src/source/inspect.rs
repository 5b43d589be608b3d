//! The inspection of a data set, without training on it.

use std::collections::{BTreeMap, HashMap, HashSet};

use mentor_codec::Extent;
use rayon::prelude::*;
use serde::Serialize;

use crate::decode::extents::Extents;
use crate::error::DataError;
use crate::format::ImageFormat;
use crate::notes::{BadFile, Note};
use crate::options::{BadImage, OpenOptions, Purpose};
use crate::readers::listing::Pictures;
use crate::shown::shown_path;
use crate::source::catalogue::{COPIES, Catalogue, Record, classes_of};
use crate::source::class_set::ClassSet;
use crate::source::duplicates::{self, Duplicates};
use crate::source::near_duplicates::{Fingerprint, Match, Protected, Similarity};
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
    /// Number of training samples, duplicates included, corrupt files left out.
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
    /// Images of the same pixels inside and between splits.
    pub duplicates: Duplicates,
    /// Images that look like one of another split though their pixels differ.
    pub near_duplicates: Vec<NearLeak>,
    /// Files and folders that were left out, and sizes that were chosen.
    pub notes: Vec<Note>,
    /// A command to begin with.
    pub recommended_command: String,
}

/// Images of one split that look like one of another, and are not the same pixel for pixel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NearLeak {
    /// The split that is fitted or chosen on: train before val before test.
    pub from: Split,
    /// The split that would be measured on.
    pub to: Split,
    /// `[id in from, id of the image in to that is most like it]`.
    pub pairs: Vec<[String; 2]>,
    /// How many of the pairs have two different labels.
    pub num_conflicting: usize,
    /// How many of the pairs are mirror images.
    pub num_mirrored: usize,
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
/// files that cannot be decoded are listed whatever `on_bad_image` says. Near duplicates are looked for at
/// the size of the format, as [`Protected`] finds them.
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
    let pictures = look(&mut catalogue, &format, &options, &mut corrupt)?;
    for split in Split::ALL {
        let left = classes_of(&catalogue.splits[split.index()]);
        notes.extend(catalogue.assigned[split.index()].lost(
            &left,
            &catalogue.classes,
            split,
            "none of them can be decoded",
        ));
    }
    let mut extents = Extents::default();
    catalogue
        .splits
        .iter()
        .flatten()
        .for_each(|record| extents.add(pictures[&record.row].extent, &record.id));
    notes.extend(extents.note(None));
    // What training would leave out.
    let kept = without_copies(&catalogue.splits, &pictures);
    for split in Split::ALL {
        let [decoded, left] = [classes_of(&catalogue.splits[split.index()]), kept[split.index()].clone()];
        notes.extend(decoded.lost(&left, &catalogue.classes, split, COPIES));
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
        recommended_command: recommend(
            source,
            &format,
            !corrupt.is_empty(),
            is_too_little(&kept, &catalogue),
        ),
        format,
        corrupt,
        near_duplicates: near_leaks(&catalogue.splits, &pictures),
        duplicates: duplicates::find(&catalogue.splits, |record| pictures[&record.row].content),
        notes,
    })
}

/// The classes that each split has without the images that a later one has too, as training takes it.
fn without_copies(splits: &[Vec<Record>; 3], pictures: &HashMap<u32, Picture>) -> [ClassSet; 3] {
    let mut later: HashSet<blake3::Hash> = HashSet::new();
    let mut kept = [(); 3].map(|()| ClassSet::default());
    for split in Split::ALL.into_iter().rev() {
        let records = &splits[split.index()];
        let content = |record: &Record| pictures[&record.row].content;
        kept[split.index()] = classes_of(records.iter().filter(|record| !later.contains(&content(record))));
        later.extend(records.iter().map(content));
    }
    kept
}

/// Whether training would refuse what is left of a split that has images.
fn is_too_little(kept: &[ClassSet; 3], catalogue: &Catalogue) -> bool {
    let num_before = |split: Split| classes_of(&catalogue.splits[split.index()]);
    let train = Split::Train;
    let one_left = kept[train.index()].only().is_some() && num_before(train).only().is_none();
    let none_left = |split: Split| kept[split.index()].is_empty() && !num_before(split).is_empty();
    one_left || none_left(train) || none_left(Split::Val)
}

/// What is kept of an image to compare it with others.
struct Picture {
    content: blake3::Hash,
    extent: Option<Extent>,
    fingerprint: Fingerprint,
}

/// Decodes every image, and takes those out that fail. Gives the pictures by their rows.
fn look(
    catalogue: &mut Catalogue,
    format: &ImageFormat,
    options: &OpenOptions,
    corrupt: &mut Vec<BadFile>,
) -> Result<HashMap<u32, Picture>, DataError> {
    let Catalogue { splits, pictures, .. } = catalogue;
    let pictures = &*pictures;
    let num_samples = splits.iter().map(Vec::len).sum();
    let counter = options.observer.begin("decoding images", num_samples);
    let look_at = |record: &Record| -> Result<Picture, DataError> {
        counter.advance(1)?;
        let (content, extent, image) = match pictures {
            Pictures::Array { shape, bytes } => {
                let image = &bytes[record.row as usize * shape.num_values()..][..shape.num_values()];
                (record.hash, None, format.convert(shape, image))
            }
            Pictures::Encoded(images) => {
                let raster = images.raster(record.row as usize, &options.limits)?;
                (raster.content(), raster.extent, raster.into_format(format))
            }
        };
        Ok(Picture { content, extent, fingerprint: Fingerprint::new(format, &image) })
    };
    let mut found = HashMap::with_capacity(num_samples);
    for split in Split::ALL {
        let records = std::mem::take(&mut splits[split.index()]);
        let outcomes: Vec<Result<Picture, DataError>> = records.par_iter().map(look_at).collect();
        for (record, outcome) in records.into_iter().zip(outcomes) {
            match outcome {
                Ok(picture) => {
                    found.insert(record.row, picture);
                    splits[split.index()].push(record);
                }
                Err(error) => {
                    let (Some(fault), Pictures::Encoded(images)) = (error.unreadable(), pictures) else {
                        return Err(error);
                    };
                    let path = shown_path(&images.path(record.row as usize));
                    corrupt.push(BadFile { split, id: record.id, path, reason: fault.to_string() });
                }
            }
        }
    }
    Ok(found)
}

/// Images that look like one of a later split, except for those whose pixels are there.
fn near_leaks(splits: &[Vec<Record>; 3], pictures: &HashMap<u32, Picture>) -> Vec<NearLeak> {
    let mut found = Vec::new();
    for (from, to) in [(Split::Train, Split::Val), (Split::Train, Split::Test), (Split::Val, Split::Test)] {
        let others = &splits[to.index()];
        let contents: HashSet<blake3::Hash> =
            others.iter().map(|record| pictures[&record.row].content).collect();
        let fingerprints = others.iter().map(|record| pictures[&record.row].fingerprint.clone()).collect();
        let protected = Protected::new(fingerprints, Similarity::default());
        let twins: Vec<Option<Match>> = splits[from.index()]
            .par_iter()
            .map(|record| {
                let Picture { content, fingerprint, .. } = &pictures[&record.row];
                // Blank images all look alike, and say nothing.
                let told = contents.contains(content) || fingerprint.is_blank();
                if told { None } else { protected.find(fingerprint) }
            })
            .collect();
        let mut leak = NearLeak { from, to, pairs: Vec::new(), num_conflicting: 0, num_mirrored: 0 };
        for (record, twin) in splits[from.index()].iter().zip(twins) {
            let Some(Match { protected, mirrored, .. }) = twin else { continue };
            leak.num_conflicting += usize::from(record.target != others[protected].target);
            leak.num_mirrored += usize::from(mirrored);
            leak.pairs.push([record.id.clone(), others[protected].id.clone()]);
        }
        if !leak.pairs.is_empty() {
            found.push(leak);
        }
    }
    found
}

fn count_sizes(catalogue: &Catalogue) -> Vec<SizeCount> {
    let mut counts = BTreeMap::new();
    for record in catalogue.splits.iter().flatten() {
        let key = match &catalogue.pictures {
            Pictures::Array { shape, .. } => Some((shape.height, shape.width, shape.channels == 3)),
            Pictures::Encoded(_) => catalogue.headers[record.row as usize]
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

fn recommend(source: &str, format: &ImageFormat, has_corrupt: bool, needs_copies: bool) -> String {
    // A convolutional net halves its input twice; below 8 pixels nothing is left of it.
    let model = if format.height.min(format.width) < 8 { "mlp:256" } else { "cnn" };
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let source = match source {
        word if !word.is_empty() && word.chars().all(plain) => word.to_owned(),
        other => format!("'{}'", other.replace('\'', r"'\''")),
    };
    let skip = if has_corrupt { " --on-bad-image skip" } else { "" };
    let keep = if needs_copies { " --keep-duplicates" } else { "" };
    format!("mentor train --data {source} --model {model} --loss softmax --out runs/first{skip}{keep}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_pasted_into_a_shell() {
        let format = ImageFormat::new(1, 28, 28);
        assert_eq!(
            recommend("my cat's", &format, true, false),
            "mentor train --data 'my cat'\\''s' --model cnn --loss softmax --out runs/first \
             --on-bad-image skip"
        );
        assert!(recommend("a/b.npz", &format, false, false).contains("--data a/b.npz --model"));
        assert!(recommend("a", &format, false, true).ends_with("runs/first --keep-duplicates"));
    }
}
