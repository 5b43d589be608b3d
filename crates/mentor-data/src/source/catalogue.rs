//! What a source holds, before anything is removed: classes, samples, splits, and where the pictures are.

use std::path::{Path, PathBuf};

use mentor_codec::{Fault, Header};
use mentor_random::Stream;
use rayon::prelude::*;

use crate::decode::read_header;
use crate::error::DataError;
use crate::format::ImageFormat;
use crate::notes::{BadFile, Note};
use crate::options::{BadImage, OpenOptions, Purpose, SplitBy};
use crate::readers;
use crate::readers::encoded::Known;
use crate::readers::listing::{Listed, Listing, Pictures};
use crate::shown::shown_path;
use crate::source::class_set::{ClassSet, too_few_to_split};
use crate::source::corrections::correct;
use crate::source::divide::{divide_classes, stratify};
use crate::split::Split;

/// Why a class has no image left.
pub(crate) const COPIES: &str = "all are copies of images in a later split";

/// A sample with its split decided.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) target: Option<u32>,
    pub(crate) split: Split,
    pub(crate) row: u32,
    /// Of the pixels in an array, of the bytes of a file.
    pub(crate) hash: blake3::Hash,
    /// Whether a later split has an image of the same bytes; see `duplicates`.
    pub(crate) leaks: bool,
}

pub(crate) struct Catalogue {
    pub(crate) kind: &'static str,
    pub(crate) classes: Vec<String>,
    pub(crate) splits: [Vec<Record>; 3],
    /// The classes that each split was to have, before anything was left out.
    pub(crate) assigned: [ClassSet; 3],
    /// Whether the data has splits of its own.
    pub(crate) has_splits: bool,
    pub(crate) pictures: Pictures,
    /// Of every row; empty for an array.
    pub(crate) headers: Vec<Option<Header>>,
    pub(crate) notes: Vec<Note>,
}

impl Catalogue {
    /// Reads the list of samples and the header and hash of every picture. Nothing is decoded.
    pub(crate) fn open(source: &str, options: &OpenOptions, purpose: Purpose) -> Result<Self, DataError> {
        options.check()?;
        let mut listing = readers::list(source, options, purpose)?;
        let path = Path::new(source);
        if purpose == Purpose::Training {
            check_classes(path, &listing)?;
        }
        let mut notes = Vec::new();
        let splits = match options.split_by {
            SplitBy::Sample => assign(&listing.samples, options),
            SplitBy::Class => assign_classes(path, &listing, options, &mut notes)?,
        };
        if let Some(file) = &options.corrections {
            notes.extend(correct(path, &mut listing, file, &options.limits, purpose)?);
        }
        Self::probe(listing, splits, notes, options)
    }

    /// As [`Catalogue::open`], for images without labels; `None` if the data's form has labels.
    pub(crate) fn open_unlabelled(source: &str, options: &OpenOptions) -> Result<Option<Self>, DataError> {
        options.check()?;
        let Some(listing) = readers::list_unlabelled(source, options)? else { return Ok(None) };
        let splits = assign(&listing.samples, options);
        Self::probe(listing, splits, Vec::new(), options).map(Some)
    }

    fn probe(
        listing: Listing,
        splits: Vec<Split>,
        mut own_notes: Vec<Note>,
        options: &OpenOptions,
    ) -> Result<Self, DataError> {
        let Listing { kind, classes, samples, pictures, mut notes } = listing;
        notes.append(&mut own_notes);
        let mut assigned = [(); 3].map(|()| ClassSet::default());
        for (listed, split) in samples.iter().zip(&splits) {
            assigned[split.index()].insert(listed.target);
        }
        if options.split_by == SplitBy::Sample {
            notes.extend(too_few_to_split(&classes, &samples, &assigned, options));
        }
        let probes = probe(&pictures, &samples, options)?;
        let has_splits = samples.iter().all(|listed| listed.split.is_some());
        let mut records = [Vec::new(), Vec::new(), Vec::new()];
        let mut headers = Vec::new();
        let mut without_end = Vec::new();
        if let Pictures::Encoded(images) = &pictures {
            headers.resize(images.len(), None);
        }
        for ((listed, split), probe) in samples.into_iter().zip(splits).zip(probes) {
            match probe {
                Ok((hash, header)) => {
                    let Listed { id, target, row, .. } = listed;
                    if let Some(header) = header {
                        headers[row as usize] = Some(header);
                        if !header.has_end {
                            without_end.push(id.clone());
                        }
                    }
                    records[split.index()].push(Record { id, target, split, row, hash, leaks: false });
                }
                Err((path, fault)) => {
                    notes.push(bad_image(split, listed.id, &path, fault, options.on_bad_image)?);
                }
            }
        }
        if let Some(example) = without_end.first().cloned() {
            notes.push(Note::WithoutEnd { num_files: without_end.len(), example });
        }
        Ok(Self { kind, classes, splits: records, assigned, has_splits, pictures, headers, notes })
    }

    /// Says which classes are without images in training, and which other splits have lost. Leaks count as
    /// left out.
    ///
    /// # Errors
    ///
    /// [`DataError::OneClassLeft`] if a single class has training images left.
    pub(crate) fn check_classes_left(&mut self, source: &str, split_by: SplitBy) -> Result<(), DataError> {
        const UNREADABLE: &str = "none of them can be read";
        let readable = self.splits.each_ref().map(classes_of);
        let left = self.splits.each_ref().map(|records| classes_of(without_leaks(records)));
        for split in Split::ALL {
            let [assigned, readable, left] =
                [&self.assigned, &readable, &left].map(|sets| &sets[split.index()]);
            let lost = assigned.lost(readable, &self.classes, split, UNREADABLE);
            self.notes.extend(lost.into_iter().chain(readable.lost(left, &self.classes, split, COPIES)));
        }
        let train = Split::Train.index();
        let everywhere = classes_of(without_leaks(self.splits.iter().flatten()));
        if split_by == SplitBy::Sample && self.train_records().next().is_some() {
            let only_others = "only other splits have some";
            let absent = everywhere.names_without(&self.assigned[train], &self.classes);
            if !absent.is_empty() {
                let (split, classes) = (Split::Train, absent);
                self.notes.push(Note::AbsentClasses { split, classes, reason: only_others });
            }
        }
        match left[train].only() {
            Some(class) if self.assigned[train].only().is_none() => Err(DataError::OneClassLeft {
                path: source.into(),
                class: self.classes[class].clone(),
                copies: readable[train].only().is_none(),
            }),
            _ => Ok(()),
        }
    }

    /// Shape of the images: as asked for, or else decided from the training images.
    pub(crate) fn decide_format(&mut self, options: &OpenOptions) -> Result<ImageFormat, DataError> {
        let (channels, [height, width]) = match &self.pictures {
            Pictures::Array { shape, .. } => (
                options.channels.unwrap_or(shape.channels),
                options.size.unwrap_or([shape.height, shape.width]),
            ),
            Pictures::Encoded(_) => {
                let channels = match options.channels {
                    Some(channels) => channels,
                    None => self.decide_channels(options)?,
                };
                (channels, options.size.unwrap_or_else(|| self.decide_size()))
            }
        };
        let format = ImageFormat { channels, height, width, resize: options.resize };
        format.check()?;
        Ok(format)
    }

    fn train_records(&self) -> impl Iterator<Item = &Record> {
        without_leaks(&self.splits[Split::Train.index()])
    }

    /// The records that decide: training, or all if there is none.
    fn deciding_records(&self) -> impl Iterator<Item = &Record> {
        let others = if self.train_records().next().is_none() { &self.splits[..] } else { &[] };
        self.train_records().chain(others.iter().flatten())
    }

    fn decide_size(&mut self) -> [usize; 2] {
        const FALLBACK: [usize; 2] = [32, 32];
        const LARGEST: usize = 256;
        let mut sizes: Vec<[usize; 2]> = self
            .deciding_records()
            .filter_map(|record| self.headers[record.row as usize])
            .map(|header| [header.height, header.width])
            .collect();
        sizes.sort_unstable();
        sizes.dedup();
        match sizes[..] {
            [size] if size.iter().all(|&side| side <= LARGEST) => size,
            _ => {
                let split = self.train_records().next().map(|_| Split::Train);
                self.notes.push(Note::Resized { split, num_sizes: sizes.len(), size: FALLBACK });
                FALLBACK
            }
        }
    }

    /// 1 if every file stores gray, or if all of those that store colour show only gray. They are decoded in
    /// a shuffled order until one shows colour: files come in turns, such as depth, infrared and colour of
    /// each scene.
    fn decide_channels(&self, options: &OpenOptions) -> Result<usize, DataError> {
        let Pictures::Encoded(images) = &self.pictures else { return Ok(1) };
        let colour: Vec<u32> = self
            .deciding_records()
            .filter(|record| self.headers[record.row as usize].is_some_and(|header| header.colour))
            .map(|record| record.row)
            .collect();
        let mut stream = Stream::new(0, mentor_random::Purpose::Analysis, &[4]);
        let order = stream.permutation(colour.len() as u32);
        let counter = options.observer.begin("looking for colour", colour.len());
        let found = order
            .par_iter()
            .map(|&place| {
                counter.advance(1)?;
                // A damaged file decides nothing; loading will report it.
                let raster = images.raster(colour[place as usize] as usize, &options.limits);
                Ok::<bool, DataError>(raster.is_ok_and(|raster| !raster.is_gray()))
            })
            .find_any(|shows_colour| !matches!(shows_colour, Ok(false)));
        Ok(if found.transpose()?.is_some() { 3 } else { 1 })
    }
}

/// The classes that some samples have.
pub(crate) fn classes_of<'a>(records: impl IntoIterator<Item = &'a Record>) -> ClassSet {
    ClassSet::of(records.into_iter().map(|record| record.target))
}

/// Those that no later split has byte for byte.
pub(crate) fn without_leaks<'a>(
    records: impl IntoIterator<Item = &'a Record>,
) -> impl Iterator<Item = &'a Record> {
    records.into_iter().filter(|record| !record.leaks)
}

/// The note about a bad file, or the error where the user wants one.
pub(crate) fn bad_image(
    split: Split,
    id: String,
    path: &Path,
    fault: Fault,
    policy: BadImage,
) -> Result<Note, DataError> {
    match policy {
        BadImage::Error => Err(DataError::BadImage { path: path.to_owned(), fault, can_be_skipped: true }),
        BadImage::Skip | BadImage::Quarantine => Ok(Note::BadImage {
            file: BadFile { split, id, path: shown_path(path), reason: fault.to_string() },
            quarantine: policy == BadImage::Quarantine,
        }),
    }
}

type Probe = Result<(blake3::Hash, Option<Header>), (PathBuf, Fault)>;

fn probe(pictures: &Pictures, samples: &[Listed], options: &OpenOptions) -> Result<Vec<Probe>, DataError> {
    let counter = options.observer.begin("reading files", samples.len());
    samples
        .par_iter()
        .map(|listed| match pictures {
            Pictures::Array { shape, bytes } => {
                let length = shape.num_values();
                let image = &bytes[listed.row as usize * length..][..length];
                Ok(Ok((blake3::hash(image), None)))
            }
            Pictures::Encoded(images) => {
                counter.advance(1)?;
                let row = listed.row as usize;
                if let Some(problem) = &listed.problem {
                    return Ok(Err((images.path(row), problem.clone())));
                }
                if let Some(Known { hash, header }) = images.known(row) {
                    return Ok(Ok((hash, Some(header))));
                }
                // A link that leads nowhere, or a file of somebody else, is one bad image among others.
                let bytes = images
                    .bytes(row, &options.limits)
                    .or_else(|error| error.unreadable().map(Err).ok_or(error))?;
                let probed = bytes.and_then(|bytes| {
                    let header = read_header(&bytes, &options.limits)?;
                    Ok((blake3::hash(&bytes), Some(header)))
                });
                Ok(probed.map_err(|fault| (images.path(row), fault)))
            }
        })
        .collect()
}

/// The split of every sample: the data's own, with validation taken from training where it is missing.
/// Samples without a label are drawn as if they were of one class.
fn assign(samples: &[Listed], options: &OpenOptions) -> Vec<Split> {
    let targets: Vec<u32> = samples.iter().map(|listed| listed.target.unwrap_or(0)).collect();
    if samples.iter().any(|listed| listed.split.is_none()) {
        return stratify(&targets, options.test_fraction, options.val_fraction, options.split_seed);
    }
    let mut splits: Vec<Split> = samples.iter().filter_map(|listed| listed.split).collect();
    if !splits.contains(&Split::Val) {
        let train: Vec<usize> = (0..splits.len()).filter(|&index| splits[index] == Split::Train).collect();
        let targets: Vec<u32> = train.iter().map(|&index| targets[index]).collect();
        let divided = stratify(&targets, 0.0, options.val_fraction, options.split_seed);
        for (index, split) in train.into_iter().zip(divided) {
            splits[index] = split;
        }
    }
    splits
}

/// The split of every sample where whole classes are assigned: the data's own where no two of its splits have
/// a class in common, with validation taken from training where it is missing; otherwise all samples, divided
/// anew.
fn assign_classes(
    path: &Path,
    listing: &Listing,
    options: &OpenOptions,
    notes: &mut Vec<Note>,
) -> Result<Vec<Split>, DataError> {
    let num_classes = listing.classes.len();
    let mut present = vec![[false; 3]; num_classes];
    let mut num_unassigned = 0;
    for listed in &listing.samples {
        match (listed.split, listed.target) {
            (Some(split), Some(target)) => present[target as usize][split.index()] = true,
            _ => num_unassigned += 1,
        }
    }
    let disjoint = num_unassigned == 0
        && present.iter().all(|splits| splits.iter().filter(|&&present| present).count() <= 1);
    // Classes to divide, and the shares of them: all, or those for training where only validation is missing.
    let has_val = present.iter().any(|splits| splits[Split::Val.index()]);
    let divided: Vec<u32> = (0..num_classes)
        .filter(|&class| !disjoint || present[class][Split::Train.index()])
        .map(|class| class as u32)
        .collect();
    let test_fraction = if disjoint { 0.0 } else { options.test_fraction };
    let keeps_val = disjoint && (has_val || divided.is_empty());
    let val_fraction = if keeps_val { 0.0 } else { options.val_fraction };
    let assigned = divide_classes(divided.len(), test_fraction, val_fraction, options.split_seed);
    let Some(assigned) = assigned else {
        let splits = match (val_fraction > 0.0, test_fraction > 0.0) {
            (true, true) => "train, val and test",
            (true, false) => "train and val",
            _ => "train and test",
        };
        return Err(DataError::TooFewClasses { path: path.to_owned(), num_classes: divided.len(), splits });
    };
    let mut of_class: Vec<Option<Split>> = vec![None; num_classes];
    for (&class, split) in divided.iter().zip(assigned) {
        of_class[class as usize] = Some(split);
    }
    if !disjoint && num_unassigned == 0 {
        let count = |split| of_class.iter().filter(|&&of_class| of_class == Some(split)).count();
        notes.push(Note::DividedByClass { num_classes: Split::ALL.map(count) });
    }
    let of_sample = |listed: &Listed| {
        let own = listed.split.unwrap_or(Split::Train);
        listed.target.and_then(|target| of_class[target as usize]).unwrap_or(own)
    };
    Ok(listing.samples.iter().map(of_sample).collect())
}

/// At least two classes.
fn check_classes(path: &Path, listing: &Listing) -> Result<(), DataError> {
    match &listing.classes[..] {
        [class] => Err(DataError::OneClass {
            path: path.to_owned(),
            class: class.clone(),
            hint: "a classifier needs at least two".to_owned(),
        }),
        _ => Ok(()),
    }
}
