//! What can be wrong with data: each message is one line, `where: what`, and [`DataError::help`] says what to
//! do next.

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
        "{}: {folder:?} may be a split or a class: it holds folders, as a split does, and lies beside {others}",
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
        "{}: {class:?} holds folders named for splits ({splits}), but not every folder beside it holds just such folders with images",
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
    /// Parts that do not make a data set.
    #[error("parts of a data set disagree: {reason}")]
    Inconsistent {
        /// Which parts, with both numbers.
        reason: String,
    },
}

/// What to do about images that two splits share.
pub(crate) const DIFFERENT: &[&str] =
    &["give the splits different images", "keep them with `data.options.keep_duplicates`"];

impl DataError {
    /// What to do next: ways of which one is enough, such as `check the path`. A way that needs an option
    /// names its key in the configuration in backquotes, such as `` `data.options.on_bad_image` ``.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        let ways: &[&str] = match self {
            Self::NoDataSet { .. } => &["check the path", "use digits for the embedded data set"],
            Self::NotFound { .. } => &["check the path"],
            Self::Io { .. } => &["check that the file can be read"],
            Self::Unrecognised { .. } => {
                &["give a folder of images, a folder with IDX files, a .csv manifest or an .npz file"]
            }
            Self::Empty { hint, .. } | Self::LabelOutOfRange { hint, .. } => &[hint],
            Self::ClassName { .. } => &["rename it"],
            Self::OneClass { hint, .. } => &[hint],
            Self::OneClassLeft { copies: true, .. } => DIFFERENT,
            Self::OneClassLeft { copies: false, .. } => &["repair them", "add others"],
            Self::SplitOrClass { folder, .. } => {
                let inside = format!("name the folder \"{}\" itself to use the classes in it", shown(folder));
                return vec![inside, "rename it if it is a class".to_owned()];
            }
            Self::SplitTwice { .. } => &["put their images into one folder", "move the others away"],
            Self::SplitsInClass { class, .. } => {
                let inside = format!("name \"{}\" itself if the classes lie below", shown(class));
                return vec![inside, "give every class the same folders".to_owned()];
            }
            Self::TooDeep { .. } => &["name a folder further down", "move the images up"],
            Self::IdxName { .. } => &[
                "name it and its partner as those of MNIST: train-images-idx3-ubyte and train-labels-idx1-ubyte",
            ],
            Self::SeveralSets { example, .. } => {
                return vec![format!("name a file of one of them, such as {}", shown_path(example))];
            }
            Self::MissingHeader { expected, .. } => return vec![format!("put {expected} above it")],
            Self::NotUtf8 { .. } => &["save the file as UTF-8"],
            Self::UnknownClass { alike: Some(_), .. } => &["give both the same name if they are one class"],
            Self::UnknownClass { .. } => &["add it to train", "remove it"],
            Self::Truncated { .. } => &["fetch the file again"],
            Self::WrongMagic { .. } => &["check that the name fits the content"],
            Self::Damaged { .. } => &["write the file again", "fetch it again"],
            Self::TooLarge { option, .. } => return vec![format!("raise `data.options.limits.{option}`")],
            Self::MissingPartner { .. } => &["put it beside the other, plain or gzipped"],
            Self::CountMismatch { .. } => &["they must come from the same export"],
            Self::ShapeMismatch { .. } => &["export both at one size"],
            Self::MissingColumn { expected, .. } => {
                return vec![format!("the first line must be {expected}")];
            }
            Self::ManifestLine { .. } => &["correct the line", "remove it"],
            Self::MissingArray { .. } => &["write it with numpy.savez(file, x=images, y=labels)"],
            Self::BadArray { .. } => &["correct the array and save it again"],
            Self::NotFinite { .. } => &["replace values that are not finite"],
            Self::BadImage { fault, can_be_skipped, .. } => return bad_image_help(fault, *can_be_skipped),
            Self::NoSplit { hint, .. } | Self::Unlabelled { hint, .. } => &[hint],
            Self::NothingLeft { ways, .. } => ways,
            Self::Interrupted => &["the same command begins again"],
            Self::ClassBalance { name, most, .. } => return class_balance_help(name, *most),
            Self::TooFewClasses { .. } => &["add classes", "set `data.options.split_by` to sample"],
            Self::InvalidOption { .. } | Self::Inconsistent { .. } => &[],
        };
        ways.iter().map(|&way| way.to_owned()).collect()
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

/// Ways out for batches that need more classes, or more images of one, than there are `most` of.
fn class_balance_help(name: &str, most: usize) -> Vec<String> {
    let fewer = (most >= 2).then(|| format!("choose at most {most}"));
    let more = match name {
        "samples_per_class" => {
            let fractions = "`data.options.val_fraction` and `data.options.test_fraction`";
            vec![format!("lower {fractions}, which take images from training"), "add images".to_owned()]
        }
        _ => vec!["add classes".to_owned()],
    };
    fewer.into_iter().chain(more).collect()
}

/// A way out for the image itself; a data set can also be opened without it.
fn bad_image_help(fault: &Fault, can_be_skipped: bool) -> Vec<String> {
    let mut ways = vec![match fault {
        Fault::TooLarge { height, width, .. } => {
            format!("raise `data.options.limits.max_pixels` to {}", height.saturating_mul(*width))
        }
        fault => fault.advice(),
    }];
    if can_be_skipped {
        ways.push("set `data.options.on_bad_image` to skip or quarantine".to_owned());
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line_with_place_reason_and_next_step() {
        let error = DataError::Truncated { path: "a/b".into(), expected: 10, found: 7 };
        assert_eq!(error.to_string(), "a/b: truncated: its header declares 10 bytes of data, 7 are there");
        assert_eq!(error.help(), ["fetch the file again"]);
    }

    #[test]
    fn names_are_on_one_line_and_bounded() {
        let class = "L".repeat(70_000);
        let message =
            DataError::OneClass { path: "a\nb\u{1b}".into(), class, hint: String::new() }.to_string();
        assert!(
            message.starts_with(r#"a\nb\u{1b}: holds only the class "LLL"#) && message.len() < 500,
            "{message}"
        );
    }

    #[test]
    fn an_image_over_a_limit_is_not_called_damaged() {
        let help = |fault| DataError::BadImage { path: "a.png".into(), fault, can_be_skipped: true }.help();
        assert_eq!(help(Fault::Damaged("the file is empty".to_owned()))[0], "repair or remove the file");
        let large = Fault::TooLarge { height: 2, width: 5, max_pixels: 9 };
        assert_eq!(help(large)[0], "raise `data.options.limits.max_pixels` to 10");
    }
}
