//! An opened data set: its classes, its format and its splits, decoded when asked for.

pub(crate) mod catalogue;
mod class_set;
mod corrections;
pub(crate) mod divide;
pub(crate) mod duplicates;
pub(crate) mod inspect;
mod load;
pub(crate) mod near_duplicates;
pub(crate) mod writers;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use mentor_codec::Header;

use crate::error::DataError;
use crate::format::ImageFormat;
use crate::notes::Note;
use crate::options::{OpenOptions, Purpose, SplitBy};
use crate::readers::listing::Pictures;
use crate::source::catalogue::{Catalogue, Record, without_leaks};
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
const LOOK: &[&str] = &["look at the files", "check that they are images"];

impl Source {
    /// Opens `digits` (embedded) or a path: a folder with one folder of images for each class, with or
    /// without folders of splits above or below; a folder with IDX files under the names of MNIST and the
    /// data sets after it; a CSV manifest `path,label[,split]`; an npz file with `x` and `y`.
    ///
    /// Folders of splits have their usual names in any case, such as `train`, `Testing` or `val_images`.
    /// Splits that the data has are taken as they are. Where validation is missing, a stratified, seeded
    /// share of training takes its place; if there are no splits at all, test likewise.
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
        let without_test = OpenOptions { test_fraction: 0.0, ..options.clone() };
        let Some(catalogue) = Catalogue::open_unlabelled(source, &without_test)? else {
            return Ok(Self::open_for_evaluation(source, options)?.without_labels());
        };
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

    /// Whether the images are in colour and most of them have a side of more than 48 pixels: then they are
    /// taken for photographs, or drawings of things.
    pub fn has_photographs(&self) -> bool {
        const LARGE: usize = 48;
        let is_large = |&header: &Header| header.height.max(header.width) > LARGE;
        let large = match &self.pictures {
            Pictures::Array { shape, .. } => shape.height.max(shape.width) > LARGE,
            Pictures::Encoded(_) => {
                let num_large = self.headers.iter().flatten().filter(|header| is_large(header)).count();
                2 * num_large > self.headers.len()
            }
        };
        self.format.channels == 3 && large
    }

    /// The file of each image by its id, or the file that holds it with its name in there; none where images
    /// are in an array.
    pub fn files(&self) -> HashMap<&str, PathBuf> {
        let Pictures::Encoded(images) = &self.pictures else { return HashMap::new() };
        let records = self.splits.iter().flatten();
        records.map(|record| (record.id.as_str(), images.path(record.row as usize))).collect()
    }

    /// Whether the split has any sample.
    pub fn has(&self, split: Split) -> bool {
        self.num_samples(split) > 0
    }

    /// Number of images of the split, also of those that [`Source::load`] leaves out because a later split
    /// has them too.
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
    /// one split, such as images that it shares with another, is in
    /// [`Dataset::notes`](crate::Dataset::notes).
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
}
