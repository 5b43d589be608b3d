//! An opened data set: its classes, its format and its splits, decoded when asked for.

pub(crate) mod catalogue;
mod class_set;
pub(crate) mod divide;
pub(crate) mod duplicates;
pub(crate) mod inspect;
pub(crate) mod near_duplicates;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use mentor_codec::{Extent, Header};
use rayon::prelude::*;

use crate::dataset::{ChannelSums, Dataset, FileStore, Parts, Storage};
use crate::decode::decode_raster_file;
use crate::decode::extents::Extents;
use crate::decode::raster::Raster;
use crate::error::{DIFFERENT, DataError};
use crate::format::ImageFormat;
use crate::notes::Note;
use crate::options::{OpenOptions, Purpose, SplitBy};
use crate::readers;
use crate::readers::listing::Pictures;
use crate::source::catalogue::{COPIES, Catalogue, Record, bad_image, classes_of, without_leaks};
use crate::source::duplicates::{Known, Pairs};
use crate::split::Split;

/// An opened data set.
///
/// Opening lists the samples, assigns splits, reads the header of every file and decides the format.
/// [`Source::load`] decodes the images of a split, and leaves out those that a later split has too: training
/// and validation images are compared with the decoded pixels of the splits after them.
/// [`Source::load_all_as`] leaves out nothing.
///
/// ```
/// use mentor_data::{OpenOptions, Source, Split};
/// let source = Source::open("digits", &OpenOptions::default())?;
/// assert_eq!(source.format().shape(), [1, 8, 8]);
/// let train = source.load(Split::Train)?;
/// assert_eq!(train.class_counts().len(), 10);
/// assert!(Source::open("no/such/folder", &OpenOptions::default()).is_err());
/// # Ok::<(), mentor_data::DataError>(())
/// ```
#[derive(Clone)]
pub struct Source {
    name: String,
    kind: &'static str,
    classes: Arc<[String]>,
    format: ImageFormat,
    /// All samples; of those that leak into a later split only [`Source::load_all_as`] makes something.
    splits: [Vec<Record>; 3],
    has_splits: bool,
    pictures: Pictures,
    /// Of every row; empty for an array.
    headers: Arc<[Option<Header>]>,
    /// Of each split what the files show, once that was asked for; see [`Source::contents`].
    contents: Arc<[OnceLock<Vec<Option<blake3::Hash>>>; 3]>,
    notes: Vec<Note>,
    options: OpenOptions,
}

/// Why nothing may be left of a split, and what to do then.
const UNDECODABLE: &str = "images that cannot be decoded";
const UNREADABLE: &str = "files that cannot be read";
/// Why a class has no image left.
const NONE_DECODED: &str = "none of them can be decoded";
const LOOK: &[&str] = &["look at the files", "check that they are images"];

impl Source {
    /// Opens `digits` (embedded) or a path: a folder with one folder of images for each class, with or
    /// without folders of splits above or below; a folder with IDX files under the names of MNIST and the
    /// data sets after it; a CSV manifest `path,label[,split]`; an npz file with `x` and `y`.
    ///
    /// Folders of splits have their usual names in any case, such as `train`, `Testing` or `val_images`.
    /// Splits that the data has are taken as they are. Where validation is missing, a stratified, seeded
    /// share of training takes its place; where there are no splits at all, test likewise.
    ///
    /// # Errors
    ///
    /// A [`DataError`] that says what is wrong with which file, or which option is out of range.
    pub fn open(source: &str, options: &OpenOptions) -> Result<Self, DataError> {
        Self::of_catalogue(
            source,
            Catalogue::open(source, options, Purpose::Training)?,
            options,
            Purpose::Training,
        )
    }

    /// Opens data that a trained model is evaluated on, as [`Source::open`] does but whatever classes they
    /// have: one alone, some of the model's, or ones that the data's own training split lacks. A class folder
    /// without images is no class, and labels that are numbers may leave gaps. The classes are those found;
    /// the caller maps them to the model's by name.
    ///
    /// # Errors
    ///
    /// As [`Source::open`], except for classes that are missing.
    pub fn open_for_evaluation(source: &str, options: &OpenOptions) -> Result<Self, DataError> {
        let catalogue = Catalogue::open(source, options, Purpose::Evaluation)?;
        Self::of_catalogue(source, catalogue, options, Purpose::Evaluation)
    }

    /// Opens images of which no label is needed, or none is known. Every sample of the result is without a
    /// label.
    ///
    /// Of a folder of images every image is taken, flat or nested at any depth. If the folder has folders of
    /// splits at its top, such as `train`, these are the splits; beside `test` or `val` without `train`, all
    /// other images are for training. Else `val_fraction` of the images becomes validation and the rest
    /// training, and there is no test split. Data of another form, which has labels, is opened as by
    /// [`Source::open`], with the same splits, and its labels are dropped.
    ///
    /// # Errors
    ///
    /// As [`Source::open`].
    ///
    /// ```
    /// use mentor_data::{OpenOptions, Source, Split};
    /// let source = Source::open_unlabelled("digits", &OpenOptions::default())?;
    /// assert!(!source.is_labelled() && source.classes().is_empty());
    /// assert!(source.load(Split::Train)?.targets().is_empty());
    /// assert!(source.check_labelled("evaluation", "choose labelled data").is_err());
    /// # Ok::<(), mentor_data::DataError>(())
    /// ```
    pub fn open_unlabelled(source: &str, options: &OpenOptions) -> Result<Self, DataError> {
        if !readers::is_image_folder(source) {
            return Ok(Self::open_for_evaluation(source, options)?.without_labels());
        }
        let without_test = OpenOptions { test_fraction: 0.0, ..options.clone() };
        let catalogue = Catalogue::open_unlabelled(Path::new(source), &without_test)?;
        Self::of_catalogue(source, catalogue, options, Purpose::Evaluation)
    }

    /// The same samples in the same splits, without their labels and the names of the classes.
    #[must_use]
    pub fn without_labels(mut self) -> Self {
        self.classes = [].into();
        self.splits.iter_mut().flatten().for_each(|record| record.target = None);
        self
    }

    /// Opens data of which all is wanted, as [`Source::open_for_evaluation`] does; that splits by class
    /// cannot be drawn is of no matter then. [`Source::load_all_as`] gives every image.
    ///
    /// # Errors
    ///
    /// As [`Source::open_for_evaluation`].
    ///
    /// ```
    /// use mentor_data::{OpenOptions, Source};
    /// let source = Source::open_undivided("digits", &OpenOptions::default())?;
    /// assert_eq!(source.load_all_as(source.format())?.len(), 1_797);
    /// # Ok::<(), mentor_data::DataError>(())
    /// ```
    pub fn open_undivided(source: &str, options: &OpenOptions) -> Result<Self, DataError> {
        let undivided = OpenOptions {
            val_fraction: 0.0,
            test_fraction: 0.0,
            split_by: SplitBy::Sample,
            ..options.clone()
        };
        match Self::open_for_evaluation(source, options) {
            Err(DataError::TooFewClasses { .. }) => Self::open_for_evaluation(source, &undivided),
            opened => opened,
        }
    }

    fn of_catalogue(
        source: &str,
        mut catalogue: Catalogue,
        options: &OpenOptions,
        purpose: Purpose,
    ) -> Result<Self, DataError> {
        if !options.keep_duplicates {
            duplicates::mark_leaks(&mut catalogue.splits);
        }
        if catalogue.splits.iter().all(Vec::is_empty) {
            return Err(DataError::NothingLeft {
                path: source.to_owned(),
                split: Split::Train,
                reason: UNREADABLE,
                ways: LOOK,
            });
        }
        if purpose == Purpose::Training {
            catalogue.check_classes_left(source, options.split_by)?;
        }
        let format = catalogue.decide_format(options)?;
        let Catalogue { kind, classes, splits, has_splits, pictures, headers, notes, .. } = catalogue;
        let (name, classes, options) = (source.to_owned(), classes.into(), options.clone());
        let (headers, contents) = (headers.into(), Arc::default());
        Ok(Self {
            name,
            kind,
            classes,
            format,
            splits,
            has_splits,
            pictures,
            headers,
            contents,
            notes,
            options,
        })
    }

    /// What was opened, as it was named.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The form of the data, such as `image folder`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether the samples have labels.
    pub fn is_labelled(&self) -> bool {
        self.splits.iter().flatten().any(|record| record.target.is_some())
    }

    /// Refuses a source without labels where `what` (such as "a hard weight above 0") needs them; `hint` says
    /// what to do next.
    ///
    /// # Errors
    ///
    /// [`DataError::Unlabelled`].
    pub fn check_labelled(&self, what: &'static str, hint: &'static str) -> Result<(), DataError> {
        if self.is_labelled() {
            return Ok(());
        }
        Err(DataError::Unlabelled { path: self.name.clone(), what, hint })
    }

    /// Names of the classes in natural order ("2" before "10"); targets index them. Empty without labels.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Shape of the images that [`Source::load`] gives.
    pub fn format(&self) -> &ImageFormat {
        &self.format
    }

    /// Whether the split has any sample.
    pub fn has(&self, split: Split) -> bool {
        self.num_samples(split) > 0
    }

    /// Number of images of the split, also of those that [`Source::load`] leaves out because a later split has
    /// them too.
    pub fn num_images(&self, split: Split) -> usize {
        self.splits[split.index()].len()
    }

    /// Number of samples of the split, without those that a later split has byte for byte. [`Source::load`]
    /// gives fewer if only decoding shows that files are damaged, or have the pixels of an image of a later
    /// split.
    pub fn num_samples(&self, split: Split) -> usize {
        self.samples(split).count()
    }

    /// Whether the data has splits of its own. Otherwise they are drawn by chance.
    pub fn has_own_splits(&self) -> bool {
        self.has_splits
    }

    /// The samples of a split that no later one has byte for byte.
    fn samples(&self, split: Split) -> impl Iterator<Item = &Record> {
        without_leaks(&self.splits[split.index()])
    }

    /// What the user should hear about the data as a whole, such as files left out. What there is to say of
    /// one split, such as images that it shares with another, is in [`Dataset::notes`].
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// BLAKE3, in hexadecimal, of the classes and of the id, target and content of every training and
    /// validation sample, in order. The same for the same data in another place; does not depend on the
    /// format.
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut text = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        self.classes.iter().for_each(|class| text(class));
        for split in [Split::Train, Split::Val] {
            hasher.update(&(self.num_samples(split) as u64).to_le_bytes());
            for record in self.samples(split) {
                hasher.update(&(record.id.len() as u64).to_le_bytes());
                hasher.update(record.id.as_bytes());
                if let Some(target) = record.target {
                    hasher.update(&target.to_le_bytes());
                }
                hasher.update(record.hash.as_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The samples of a split, in the source's own format.
    ///
    /// # Errors
    ///
    /// As [`Source::load_as`].
    pub fn load(&self, split: Split) -> Result<Dataset, DataError> {
        self.load_as(split, &self.format)
    }

    /// The samples of a split in the format that a model stores: for evaluation and prediction.
    ///
    /// Every file is decoded once, in parallel. The result stays in memory if it fits into
    /// `limits.max_memory_bytes`; otherwise files are decoded again when they are needed. A training or
    /// validation image whose pixels a later split has too is left out, unless duplicates are kept; for that,
    /// files of the later splits are decoded if their size occurs in this one or one before it.
    ///
    /// # Errors
    ///
    /// [`DataError::NoSplit`] if the split is empty; [`DataError::BadImage`] for the first file, in the
    /// order of the data set, that cannot be decoded, unless such files are to be left out;
    /// [`DataError::NothingLeft`] if all are left out; [`DataError::TooLarge`] if an array does not fit;
    /// [`DataError::Interrupted`] by the observer of the options.
    pub fn load_as(&self, split: Split, format: &ImageFormat) -> Result<Dataset, DataError> {
        format.check()?;
        let records = self.records(split)?;
        let later = self.later(split)?;
        let mut twins = Pairs::default();
        for record in records.iter().filter(|record| record.leaks) {
            if let Some(twin) = later.get(&record.hash) {
                twins.push(record, twin);
            }
        }
        let mut loaded = self.read(self.samples(split).collect(), format)?;
        let decoded = classes_of(loaded.records());
        let keep = self.options.keep_duplicates;
        loaded.samples.retain(|sample| match later.get(&sample.content) {
            None => true,
            Some(twin) => {
                twins.push(sample.record, twin);
                keep
            }
        });
        if loaded.samples.is_empty() {
            let (reason, ways) = match (twins.ids.is_empty(), split) {
                (true, _) => (UNDECODABLE, LOOK),
                (false, Split::Train) => ("images that validation or test have too", DIFFERENT),
                (false, _) => ("images that test has too", DIFFERENT),
            };
            return Err(DataError::NothingLeft { path: self.name.clone(), split, reason, ways });
        }
        let (wanted, left) = (classes_of(self.samples(split)), classes_of(loaded.records()));
        loaded.notes.extend(wanted.lost(&decoded, &self.classes, split, NONE_DECODED));
        loaded.notes.extend(decoded.lost(&left, &self.classes, split, COPIES));
        loaded.notes.extend(duplicates::leak_note(split, twins, keep));
        Ok(self.dataset(format, loaded, Some(split)))
    }

    /// Every image of all splits, in the order of the data: for evaluation on data of which nothing was
    /// trained on. Nothing is left out but what cannot be decoded, and that only if the options say so.
    ///
    /// # Errors
    ///
    /// As [`Source::load_as`].
    pub fn load_all_as(&self, format: &ImageFormat) -> Result<Dataset, DataError> {
        let mut records: Vec<&Record> = self.splits.iter().flatten().collect();
        records.sort_by_key(|record| record.row);
        self.load_whole(records, None, format)
    }

    /// Every image of a split, also one that a later split has too: for evaluation on data of which nothing was
    /// trained on. Nothing is left out but what cannot be decoded, and that only if the options say so.
    ///
    /// # Errors
    ///
    /// As [`Source::load_as`].
    pub fn load_whole_as(&self, split: Split, format: &ImageFormat) -> Result<Dataset, DataError> {
        self.load_whole(self.records(split)?.iter().collect(), Some(split), format)
    }

    fn load_whole(
        &self,
        records: Vec<&Record>,
        split: Option<Split>,
        format: &ImageFormat,
    ) -> Result<Dataset, DataError> {
        format.check()?;
        let loaded = self.read(records, format)?;
        if loaded.samples.is_empty() {
            let (path, split) = (self.name.clone(), split.unwrap_or(Split::Test));
            return Err(DataError::NothingLeft { path, split, reason: UNDECODABLE, ways: LOOK });
        }
        Ok(self.dataset(format, loaded, split))
    }

    /// All that a split has, which is not empty.
    fn records(&self, split: Split) -> Result<&[Record], DataError> {
        let records = &self.splits[split.index()];
        let is_of_split = |note: &Note| matches!(note, Note::BadImage { file, .. } if file.split == split);
        if records.is_empty() && self.notes.iter().any(is_of_split) {
            let path = self.name.clone();
            return Err(DataError::NothingLeft { path, split, reason: UNREADABLE, ways: LOOK });
        }
        if records.is_empty() {
            let hint = match split {
                Split::Train => "add images for training",
                Split::Val => "add images for validation, or set a val_fraction above 0",
                Split::Test => "choose another split, or add images for testing",
            };
            return Err(DataError::NoSplit { path: self.name.clone(), split, hint });
        }
        Ok(records)
    }

    /// The samples of the splits after `split`, by the hash of their files and by that of their pixels.
    fn later(&self, split: Split) -> Result<Known<'_>, DataError> {
        let mut known = Known::default();
        for later in Split::ALL.into_iter().filter(|&later| later > split) {
            let contents = self.contents(later)?;
            for (record, content) in self.splits[later.index()].iter().zip(contents) {
                known.first(record.hash, record);
                if let Some(content) = content {
                    known.first(*content, record);
                }
            }
        }
        Ok(known)
    }

    /// What each sample of a split shows, as [`Sample::content`]; `None` if no earlier split has an image of
    /// its size, so that it is not decoded, or if it cannot be decoded, which is said when the split itself
    /// is loaded. Computed once.
    fn contents(&self, split: Split) -> Result<&[Option<blake3::Hash>], DataError> {
        let cell = &self.contents[split.index()];
        if let Some(contents) = cell.get() {
            return Ok(contents);
        }
        let records = &self.splits[split.index()];
        let contents = match &self.pictures {
            Pictures::Array { .. } => records.iter().map(|record| Some(record.hash)).collect(),
            Pictures::Files(paths) => {
                let size = |record: &Record| {
                    self.headers[record.row as usize].map(|header| [header.height, header.width])
                };
                let sizes: HashSet<_> = self.splits[..split.index()].iter().flatten().map(size).collect();
                let num_compared = records.iter().filter(|record| sizes.contains(&size(record))).count();
                let counter = self.options.observer.begin("comparing images", num_compared);
                let content = |record: &Record| {
                    if !sizes.contains(&size(record)) {
                        return Ok(None);
                    }
                    counter.advance(1)?;
                    let raster = decode_raster_file(&paths[record.row as usize], &self.options.limits);
                    Ok(raster.ok().map(|raster| raster.content()))
                };
                records.par_iter().map(content).collect::<Result<_, DataError>>()?
            }
        };
        Ok(cell.get_or_init(|| contents))
    }

    fn read<'a>(&self, records: Vec<&'a Record>, format: &ImageFormat) -> Result<Loaded<'a>, DataError> {
        match &self.pictures {
            Pictures::Array { shape, bytes } => self.read_array(records, shape, bytes, format),
            Pictures::Files(paths) => self.read_files(records, paths, format),
        }
    }

    fn read_array<'a>(
        &self,
        records: Vec<&'a Record>,
        shape: &ImageFormat,
        bytes: &Arc<Vec<u8>>,
        format: &ImageFormat,
    ) -> Result<Loaded<'a>, DataError> {
        let sample = |(row, record): (u32, &'a Record)| Sample { record, row, content: record.hash };
        if shape.same_shape(format) {
            let samples = records.into_iter().map(|record| sample((record.row, record))).collect();
            let storage = Storage::Memory(Arc::clone(bytes));
            return Ok(Loaded { storage, samples, extents: Extents::default(), notes: Vec::new() });
        }
        let size = records.len() as u64 * format.num_values() as u64;
        let limit = self.options.limits.max_memory_bytes;
        if size > limit {
            return Err(DataError::TooLarge {
                path: PathBuf::from(&self.name),
                what: "the number of bytes at the size asked for",
                size,
                limit,
                option: "max_memory_bytes",
            });
        }
        let mut converted = vec![0; size as usize];
        converted.par_chunks_exact_mut(format.num_values()).zip(&records).for_each(|(out, record)| {
            let image = &bytes[record.row as usize * shape.num_values()..][..shape.num_values()];
            out.copy_from_slice(&Raster::from_planes(shape, image).into_format(format));
        });
        let storage = Storage::Memory(Arc::new(converted));
        let samples = (0..).zip(records).map(sample).collect();
        Ok(Loaded { storage, samples, extents: Extents::default(), notes: Vec::new() })
    }

    fn read_files<'a>(
        &self,
        records: Vec<&'a Record>,
        paths: &[PathBuf],
        format: &ImageFormat,
    ) -> Result<Loaded<'a>, DataError> {
        let limits = &self.options.limits;
        let length = format.num_values();
        let fits = records.len() as u64 * length as u64 <= limits.max_memory_bytes;
        let counter = self.options.observer.begin("decoding images", records.len());
        let decode = |record: &Record| {
            counter.advance(1)?;
            let raster = decode_raster_file(&paths[record.row as usize], limits)?;
            Ok::<_, DataError>((raster.content(), raster.extent, raster.into_format(format)))
        };
        let mut pixels = Vec::new();
        type Read = (blake3::Hash, Option<Extent>, [ChannelSums; 3]);
        let outcomes: Vec<Result<Read, DataError>> = if fits {
            pixels.resize(records.len() * length, 0);
            let slots = pixels.par_chunks_exact_mut(length).zip(&records);
            let fill = |(slot, record): (&mut [u8], &&Record)| {
                let (content, extent, image) = decode(record)?;
                slot.copy_from_slice(&image);
                Ok((content, extent, [ChannelSums::default(); 3]))
            };
            slots.map(fill).collect()
        } else {
            let sums = |record: &&Record| {
                let (content, extent, image) = decode(record)?;
                Ok((content, extent, sums_of(&image, format)))
            };
            records.par_iter().map(sums).collect()
        };

        let (mut notes, mut samples, mut extents) = (Vec::new(), Vec::new(), Extents::default());
        let mut sums = Vec::with_capacity(records.len());
        for ((row, &record), outcome) in (0..).zip(&records).zip(outcomes) {
            match outcome {
                Ok((content, extent, of_record)) => {
                    extents.add(extent, &record.id);
                    sums.push(of_record);
                    samples.push(Sample { record, row, content });
                }
                Err(error) => {
                    let Some(fault) = error.unreadable() else { return Err(error) };
                    let (id, path) = (record.id.clone(), &paths[record.row as usize]);
                    notes.push(bad_image(record.split, id, path, fault, self.options.on_bad_image)?);
                    sums.push([ChannelSums::default(); 3]);
                }
            }
        }
        let storage = if fits {
            Storage::Memory(Arc::new(pixels))
        } else {
            let paths = records.iter().map(|record| paths[record.row as usize].clone()).collect();
            Storage::Files(Arc::new(FileStore { paths, sums, limits: limits.clone() }))
        };
        Ok(Loaded { storage, samples, extents, notes })
    }

    /// What was read, of a split or of all, with a note about what occurs more than once.
    fn dataset(&self, format: &ImageFormat, loaded: Loaded<'_>, split: Option<Split>) -> Dataset {
        let Loaded { storage, samples, extents, mut notes } = loaded;
        notes.extend(extents.note(split));
        let (mut known, mut repeats) = (Known::default(), Pairs::default());
        for sample in &samples {
            if let Some(first) = known.first(sample.content, sample.record) {
                repeats.push(first, sample.record);
            }
        }
        notes.extend(duplicates::repeat_note(split, repeats));
        Dataset::new(Parts {
            classes: Arc::clone(&self.classes),
            format: format.clone(),
            storage,
            rows: samples.iter().map(|sample| sample.row).collect(),
            targets: samples.iter().map(|sample| sample.record.target).collect(),
            ids: samples.iter().map(|sample| sample.record.id.clone()).collect(),
            hashes: samples.iter().map(|sample| sample.record.hash).collect(),
            notes,
        })
    }
}

/// A sample whose image was read.
struct Sample<'a> {
    record: &'a Record,
    /// Of the image in its storage.
    row: u32,
    /// Of the decoded pixels at full size; of an array that of its bytes.
    content: blake3::Hash,
}

/// Samples and where their images are.
struct Loaded<'a> {
    storage: Storage,
    samples: Vec<Sample<'a>>,
    extents: Extents,
    notes: Vec<Note>,
}

impl<'a> Loaded<'a> {
    fn records(&self) -> impl Iterator<Item = &'a Record> {
        self.samples.iter().map(|sample| sample.record)
    }
}

fn sums_of(image: &[u8], format: &ImageFormat) -> [ChannelSums; 3] {
    let mut sums = [ChannelSums::default(); 3];
    for (sums, plane) in sums.iter_mut().zip(image.chunks_exact(format.height * format.width)) {
        *sums = ChannelSums::of(plane);
    }
    sums
}
