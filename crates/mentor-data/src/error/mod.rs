//! What can be wrong with data: each message is one line, `where: what`. `help` says what to do next.

mod help;

pub(crate) use help::DIFFERENT;

use std::path::PathBuf;

use mentor_codec::Fault;

use crate::shown::{shown, shown_path};
use crate::split::Split;

/// Why data could not be read. Every message is one line that says where and what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The path of a data set does not exist.
    #[error("{}: no such file or folder", shown_path(path))]
    NoDataSet {
        /// What was asked for.
        path: PathBuf,
    },
    /// Another file or folder does not exist.
    #[error("{}: no such file or folder", shown_path(path))]
    NotFound {
        /// What was asked for.
        path: PathBuf,
    },
    /// Reading failed for a reason of the operating system.
    #[error("{}: {source}", shown_path(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The path is a file of no kind that holds a data set.
    #[error("{}: not a data set", shown_path(path))]
    Unrecognised {
        /// The file.
        path: PathBuf,
    },
    /// A pattern that no files fit.
    #[error("{}: {}", shown_path(path), shown(reason))]
    Pattern {
        /// The pattern.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A shard that is not the one that its index was made of.
    #[error("{}: is not the file that its index was written for: {reason}", shown_path(path))]
    StaleIndex {
        /// The shard.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// A file or folder that would be written over.
    #[error("{}: exists already", shown_path(path))]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// No samples at all.
    #[error("{}: holds no {what}", shown_path(path))]
    Empty {
        /// The file or folder.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What to do next.
        hint: String,
    },
    /// The name of a class folder is no text: two such folders could look like one class.
    #[error("{}: the name of the folder is not UTF-8, and so no name of a class", shown_path(path))]
    ClassName {
        /// The folder.
        path: PathBuf,
    },
    /// Fewer than two classes.
    #[error("{}: holds only the class \"{}\"", shown_path(path), shown(class))]
    OneClass {
        /// The data set.
        path: PathBuf,
        /// The only class.
        class: String,
        /// What to do next.
        hint: String,
    },
    /// Of several classes, one has training images that can be used.
    #[error(
        "{}: only the class {class:?} has training images left after leaving out {}",
        shown_path(path),
        if *copies { "images that validation or test have too" } else { "images that cannot be read" }
    )]
    OneClassLeft {
        /// The data set.
        path: PathBuf,
        /// The class that is left.
        class: String,
        /// Whether copies of images in later splits were left out, and not images that cannot be read.
        copies: bool,
    },
    /// A folder that may be a split or a class.
    #[error(
        "{}: {folder:?} may be a split or a class: it holds folders, as a split does, and lies beside \
         {others}",
        shown_path(path)
    )]
    SplitOrClass {
        /// The data set.
        path: PathBuf,
        /// The folder.
        folder: String,
        /// Folders beside it.
        others: String,
    },
    /// Several folders are named for one split.
    #[error("{}: {folders} are all named for the {split} split", shown_path(path))]
    SplitTwice {
        /// The data set.
        path: PathBuf,
        /// The split.
        split: Split,
        /// The folders.
        folders: String,
    },
    /// Folders of splits lie in some of the class folders, or have class folders of their own.
    #[error(
        "{}: {class:?} holds folders named for splits ({splits}), but not every folder beside it holds just \
         such folders with images",
        shown_path(path)
    )]
    SplitsInClass {
        /// The data set.
        path: PathBuf,
        /// The folder.
        class: String,
        /// The folders in it.
        splits: String,
    },
    /// Folders are nested without end, or nearly so.
    #[error("{}: lies more than {limit} folders deep", shown_path(path))]
    TooDeep {
        /// The folder.
        path: PathBuf,
        /// The most that is allowed.
        limit: usize,
    },
    /// A class that training does not have.
    #[error(
        "{}: class \"{}\" occurs in {split} but not in train{}",
        shown_path(path),
        shown(class),
        alike.as_ref().map_or(String::new(), |name| format!(", which has \"{}\"", shown(name)))
    )]
    UnknownClass {
        /// The data set.
        path: PathBuf,
        /// The class.
        class: String,
        /// Where it occurs.
        split: Split,
        /// A class of training that a person would take for it.
        alike: Option<String>,
    },
    /// A file ends before what its header declares.
    #[error(
        "{}: truncated: its header declares {expected} bytes of data, {found} are there",
        shown_path(path)
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes declared.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// The first bytes are not those of the format.
    #[error("{}: {found} is not the start of {expected}", shown_path(path))]
    WrongMagic {
        /// The file.
        path: PathBuf,
        /// The first bytes in hexadecimal.
        found: String,
        /// What the name promises.
        expected: &'static str,
    },
    /// The content contradicts the format.
    #[error("{}: {reason}", shown_path(path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What contradicts what.
        reason: String,
    },
    /// Something larger than the limits, refused before memory is taken.
    #[error("{}: {what} is {size}, over the limit of {limit}", shown_path(path))]
    TooLarge {
        /// The file or data set.
        path: PathBuf,
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: u64,
        /// The largest size allowed.
        limit: u64,
        /// The limit's name in [`Limits`](crate::Limits).
        option: &'static str,
    },
    /// A file that belongs to another is missing.
    #[error("{}: the file with its {missing} is missing", shown_path(path))]
    MissingPartner {
        /// The file that is there.
        path: PathBuf,
        /// What is missing.
        missing: &'static str,
    },
    /// An IDX file whose name does not say what it holds.
    #[error(
        "{}: is an IDX file, and its name does not say whether it holds images or labels",
        shown_path(path)
    )]
    IdxName {
        /// The file.
        path: PathBuf,
    },
    /// A folder of IDX files of several data sets.
    #[error("{}: holds the IDX files of several data sets ({})", shown_path(path), shown(sets))]
    SeveralSets {
        /// The folder.
        path: PathBuf,
        /// Their names.
        sets: String,
        /// A file of one.
        example: PathBuf,
    },
    /// Images and labels differ in number.
    #[error("{}: {labels} labels for {images} images", shown_path(path))]
    CountMismatch {
        /// The file with the labels.
        path: PathBuf,
        /// Number of images.
        images: u64,
        /// Number of labels.
        labels: u64,
    },
    /// A label that is no class index.
    #[error("{}: label {label} at index {index} is out of range", shown_path(path))]
    LabelOutOfRange {
        /// The file with the labels.
        path: PathBuf,
        /// The label.
        label: i64,
        /// Its position.
        index: u64,
        /// What the range is.
        hint: String,
    },
    /// Training and test arrays differ in shape.
    #[error("{}: images are {found}, those for training are {expected}", shown_path(path))]
    ShapeMismatch {
        /// The file or array.
        path: PathBuf,
        /// Shape found.
        found: String,
        /// Shape expected.
        expected: String,
    },
    /// A manifest without a column that it needs.
    #[error("{}:1: no column {column:?} (found: {})", shown_path(path), shown(found))]
    MissingColumn {
        /// The manifest.
        path: PathBuf,
        /// The missing column.
        column: &'static str,
        /// The columns that are there.
        found: String,
        /// What the first line must be.
        expected: &'static str,
    },
    /// A manifest that begins with a row of data.
    #[error("{}:1: the first line ({}) is a row of data", shown_path(path), shown(found))]
    MissingHeader {
        /// The manifest.
        path: PathBuf,
        /// The fields of the first line.
        found: String,
        /// What the first line must be.
        expected: &'static str,
    },
    /// A manifest in an encoding that is not read.
    #[error("{}:{line}: not UTF-8 text (it holds the byte {byte:02x})", shown_path(path))]
    NotUtf8 {
        /// The manifest.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// The first byte that does not fit.
        byte: u8,
    },
    /// A line of a manifest that cannot be used.
    #[error("{}:{line}: {}", shown_path(path), shown(reason))]
    ManifestLine {
        /// The manifest.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// An npz file without an array that it needs.
    #[error("{}: no array {name:?} (found: {found})", shown_path(path))]
    MissingArray {
        /// The file.
        path: PathBuf,
        /// The missing array.
        name: String,
        /// The arrays that are there.
        found: String,
    },
    /// An array whose type, shape or values cannot be used.
    #[error("{}: array {name:?} {reason}", shown_path(path))]
    BadArray {
        /// The file.
        path: PathBuf,
        /// The array.
        name: String,
        /// What is wrong and what is accepted.
        reason: String,
    },
    /// A NaN or an infinity among the pixels.
    #[error("{}: array {name:?}: {value} at index {index:?}", shown_path(path))]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The array.
        name: String,
        /// Position in every dimension.
        index: Vec<u64>,
        /// The value.
        value: f64,
    },
    /// A file that should be an image and cannot be used as one.
    #[error("{}: {}", shown_path(path), shown(&fault.to_string()))]
    BadImage {
        /// The image.
        path: PathBuf,
        /// Why it cannot be used.
        fault: Fault,
        /// Whether it belongs to a data set, which can be opened without such files.
        can_be_skipped: bool,
    },
    /// The observer of the options ended the reading.
    #[error("interrupted while images were read")]
    Interrupted,
    /// A split that the data set does not have.
    #[error("{}: has no {split} split", shown(path))]
    NoSplit {
        /// The data set.
        path: String,
        /// The split asked for.
        split: Split,
        /// What to do next.
        hint: &'static str,
    },
    /// Labels are needed and there are none.
    #[error("{}: its images have no labels, and {what} needs them", shown(path))]
    Unlabelled {
        /// The data set.
        path: String,
        /// What needs labels.
        what: &'static str,
        /// What to do next.
        hint: &'static str,
    },
    /// Nothing is left of a split after images were left out.
    #[error("{}: nothing is left of {split} after leaving out {reason}", shown(path))]
    NothingLeft {
        /// The data set.
        path: String,
        /// The split.
        split: Split,
        /// What was left out.
        reason: &'static str,
        /// What to do next: ways of which one is enough.
        ways: &'static [&'static str],
    },
    /// Batches of several classes that the data cannot fill.
    #[error("{name} = {value}: {reason}")]
    ClassBalance {
        /// `classes_per_batch` or `samples_per_class`.
        name: &'static str,
        /// Its value.
        value: usize,
        /// What there is.
        reason: String,
        /// The largest value that the data can fill.
        most: usize,
    },
    /// Fewer classes than splits without a class in common need.
    #[error(
        "{}: {num_classes} classes cannot be split by class; two for each of {splits} are needed",
        shown_path(path)
    )]
    TooFewClasses {
        /// The data set.
        path: PathBuf,
        /// Classes with samples.
        num_classes: usize,
        /// The splits that are to have classes, such as `train, val and test`.
        splits: &'static str,
    },
    /// An option outside its range.
    #[error("{name} = {value}: must be {allowed}")]
    InvalidOption {
        /// The option.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// An image of the caller's own [`ImageStore`](crate::ImageStore) that it could not give.
    #[error("{}: {}", shown(id), shown(&source.to_string()))]
    Store {
        /// [`ImageStore::id`](crate::ImageStore::id) of the image.
        id: String,
        /// What the store said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Parts that do not make a data set.
    #[error("parts of a data set disagree: {reason}")]
    Inconsistent {
        /// Which parts, with both numbers.
        reason: String,
    },
}

impl DataError {
    /// An error of the caller's own [`ImageStore`](crate::ImageStore) about the image `id`.
    pub fn store(id: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Store { id: id.into(), source: source.into() }
    }

    /// Wraps an I/O error with the path it is about; a missing file becomes [`DataError::NotFound`].
    pub(crate) fn io(path: &std::path::Path, source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound { path: path.to_owned() },
            _ => Self::Io { path: path.to_owned(), source },
        }
    }

    /// Why a file cannot be read, where that is a matter of this file: then it is one bad image among others.
    /// `None` where it is not, as when the system has no memory or no open files left.
    pub(crate) fn unreadable(&self) -> Option<Fault> {
        use std::io::ErrorKind::{OutOfMemory, PermissionDenied};
        /// `ENFILE` and `EMFILE` on Unix.
        const TOO_MANY_OPEN: [Option<i32>; 2] = [Some(23), Some(24)];
        let (reason, advice) = match self {
            Self::NotFound { .. } => {
                ("no such file, or a link that leads nowhere".to_owned(), "repair or remove the link")
            }
            Self::Io { source, .. } => match source.kind() {
                OutOfMemory => return None,
                _ if cfg!(unix) && TOO_MANY_OPEN.contains(&source.raw_os_error()) => return None,
                PermissionDenied => ("may not be read (permission denied)".to_owned(), "allow reading it"),
                _ => (format!("cannot be read ({source})"), "repair or remove it"),
            },
            Self::BadImage { fault, .. } => return Some(fault.clone()),
            _ => return None,
        };
        Some(Fault::Unreadable { reason, advice })
    }
}
