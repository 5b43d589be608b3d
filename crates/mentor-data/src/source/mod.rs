//! An opened data set: its classes, its format and its splits, decoded when asked for.

pub(crate) mod catalogue;
mod class_set;
pub(crate) mod divide;
pub(crate) mod duplicates;
pub(crate) mod inspect;
pub(crate) mod near_duplicates;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::dataset::{ChannelSums, Dataset, FileStore, Parts, Storage};
use crate::decode::decode_file;
use crate::decode::raster::Raster;
use crate::error::DataError;
use crate::format::ImageFormat;
use crate::notes::Note;
use crate::options::{OpenOptions, Purpose};
use crate::readers;
use crate::readers::listing::Pictures;
use crate::source::catalogue::{Catalogue, Record, bad_image, classes_of};
use crate::split::Split;

/// Why a class has no image left.
const UNDECODABLE: &str = "none of them can be decoded";

/// An opened data set.
///
/// Opening lists the samples, assigns splits, reads the header of every file, looks for byte-identical
/// images and decides the format. Images are decoded by [`Source::load`], so the test split is decoded
/// only by those who ask for it.
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
    splits: [Vec<Record>; 3],
    pictures: Pictures,
    notes: Vec<Note>,
    options: OpenOptions,
}

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

    fn of_catalogue(
        source: &str,
        mut catalogue: Catalogue,
        options: &OpenOptions,
        purpose: Purpose,
    ) -> Result<Self, DataError> {
        let readable = catalogue.splits.each_ref().map(|records| classes_of(records));
        let had_train = !catalogue.splits[Split::Train.index()].is_empty();
        let leaks = duplicates::resolve(&mut catalogue.splits, options.keep_duplicates);
        catalogue.notes.extend(leaks);
        if had_train && catalogue.splits[Split::Train.index()].is_empty() {
            return Err(DataError::NothingLeft {
                path: source.to_owned(),
                split: Split::Train,
                reason: "images that validation or test have too",
                hint: "give the splits different images, or keep duplicates",
            });
        }
        if catalogue.splits.iter().all(Vec::is_empty) {
            return Err(DataError::NothingLeft {
                path: source.to_owned(),
                split: Split::Train,
                reason: "images that cannot be decoded",
                hint: "look at the files, or check that they are images",
            });
        }
        if purpose == Purpose::Training {
            catalogue.check_classes_left(source, &readable, options.split_by)?;
        }
        let format = catalogue.decide_format(options)?;
        let Catalogue { kind, classes, splits, pictures, notes, .. } = catalogue;
        let (name, classes) = (source.to_owned(), classes.into());
        Ok(Self { name, kind, classes, format, splits, pictures, notes, options: options.clone() })
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

    /// Number of samples of the split. [`Source::load`] gives fewer if it leaves out files that only
    /// decoding shows to be damaged; it never does with [`BadImage::Error`](crate::BadImage::Error).
    pub fn num_samples(&self, split: Split) -> usize {
        self.splits[split.index()].len()
    }

    /// What the user should hear about the data: leaks between splits, repeated images, files left out.
    /// What decoding finds is in [`Dataset::notes`].
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
            let records = &self.splits[split.index()];
            hasher.update(&(records.len() as u64).to_le_bytes());
            for record in records {
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
    /// `limits.max_memory_bytes`; otherwise files are decoded again when they are needed.
    ///
    /// # Errors
    ///
    /// [`DataError::NoSplit`] if the split is empty; [`DataError::BadImage`] for the first file, in the
    /// order of the data set, that cannot be decoded, unless such files are to be left out;
    /// [`DataError::NothingLeft`] if all are; [`DataError::TooLarge`] if an array does not fit.
    pub fn load_as(&self, split: Split, format: &ImageFormat) -> Result<Dataset, DataError> {
        format.check()?;
        let records = &self.splits[split.index()];
        if records.is_empty() {
            let hint = match split {
                Split::Train => "add images for training",
                Split::Val => "add images for validation, or set a val_fraction above 0",
                Split::Test => "choose another split, or add images for testing",
            };
            return Err(DataError::NoSplit { path: self.name.clone(), split, hint });
        }
        match &self.pictures {
            Pictures::Array { shape, bytes } => self.load_array(records, shape, bytes, format),
            Pictures::Files(paths) => self.load_files(split, records, paths, format),
        }
    }

    fn load_array(
        &self,
        records: &[Record],
        shape: &ImageFormat,
        bytes: &Arc<Vec<u8>>,
        format: &ImageFormat,
    ) -> Result<Dataset, DataError> {
        if shape.same_shape(format) {
            let rows = records.iter().map(|record| record.row).collect();
            return Ok(self.dataset(format, Storage::Memory(Arc::clone(bytes)), rows, records, Vec::new()));
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
        converted.par_chunks_exact_mut(format.num_values()).zip(records).for_each(|(out, record)| {
            let image = &bytes[record.row as usize * shape.num_values()..][..shape.num_values()];
            out.copy_from_slice(&Raster::from_planes(shape, image).into_format(format));
        });
        let rows = (0..records.len() as u32).collect();
        Ok(self.dataset(format, Storage::Memory(Arc::new(converted)), rows, records, Vec::new()))
    }

    fn load_files(
        &self,
        split: Split,
        records: &[Record],
        paths: &[PathBuf],
        format: &ImageFormat,
    ) -> Result<Dataset, DataError> {
        let limits = &self.options.limits;
        let length = format.num_values();
        let fits = records.len() as u64 * length as u64 <= limits.max_memory_bytes;
        let decode = |record: &Record| decode_file(&paths[record.row as usize], format, limits);
        let mut pixels = Vec::new();
        let outcomes: Vec<Result<[ChannelSums; 3], DataError>> = if fits {
            pixels.resize(records.len() * length, 0);
            let slots = pixels.par_chunks_exact_mut(length).zip(records);
            let fill = |(slot, record): (&mut [u8], &Record)| {
                slot.copy_from_slice(&decode(record)?);
                Ok([ChannelSums::default(); 3])
            };
            slots.map(fill).collect()
        } else {
            records.par_iter().map(|record| Ok(sums_of(&decode(record)?, format))).collect()
        };

        let mut notes = Vec::new();
        let (mut rows, mut kept, mut sums) = (Vec::new(), Vec::new(), Vec::new());
        for ((position, record), outcome) in records.iter().enumerate().zip(outcomes) {
            match outcome {
                Ok(of_record) => {
                    rows.push(position as u32);
                    sums.push(of_record);
                    kept.push(record.clone());
                }
                Err(error) => {
                    let Some(fault) = error.unreadable() else { return Err(error) };
                    let (id, path) = (record.id.clone(), &paths[record.row as usize]);
                    notes.push(bad_image(split, id, path, fault, self.options.on_bad_image)?);
                    sums.push([ChannelSums::default(); 3]);
                }
            }
        }
        if kept.is_empty() {
            return Err(DataError::NothingLeft {
                path: self.name.clone(),
                split,
                reason: "images that cannot be decoded",
                hint: "look at the files, or check that they are images",
            });
        }
        let lost = classes_of(records).lost(&classes_of(&kept), &self.classes, split, UNDECODABLE);
        notes.extend(lost);
        let storage = if fits {
            Storage::Memory(Arc::new(pixels))
        } else {
            let paths = records.iter().map(|record| paths[record.row as usize].clone()).collect();
            Storage::Files(Arc::new(FileStore { paths, sums, limits: limits.clone() }))
        };
        Ok(self.dataset(format, storage, rows, &kept, notes))
    }

    fn dataset(
        &self,
        format: &ImageFormat,
        storage: Storage,
        rows: Vec<u32>,
        records: &[Record],
        notes: Vec<Note>,
    ) -> Dataset {
        Dataset::new(Parts {
            classes: Arc::clone(&self.classes),
            format: format.clone(),
            storage,
            rows,
            targets: records.iter().map(|record| record.target).collect(),
            ids: records.iter().map(|record| record.id.clone()).collect(),
            hashes: records.iter().map(|record| record.hash).collect(),
            notes,
        })
    }
}

fn sums_of(image: &[u8], format: &ImageFormat) -> [ChannelSums; 3] {
    let mut sums = [ChannelSums::default(); 3];
    for (sums, plane) in sums.iter_mut().zip(image.chunks_exact(format.height * format.width)) {
        *sums = ChannelSums::of(plane);
    }
    sums
}
