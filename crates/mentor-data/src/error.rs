//! What can be wrong with data, each as one line: `where: what; what to do next`.

use std::path::PathBuf;

use mentor_codec::Fault;

use crate::split::Split;

/// Why data could not be read. Every message is one line that says where, what, and what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The path of a data set does not exist.
    #[error("{}: no such file or folder; check the path, or use `digits` for the embedded data set", path.display())]
    NoDataSet {
        /// What was asked for.
        path: PathBuf,
    },
    /// Another file or folder does not exist.
    #[error("{}: no such file or folder; check the path", path.display())]
    NotFound {
        /// What was asked for.
        path: PathBuf,
    },
    /// Reading failed for a reason of the operating system.
    #[error("{}: {source}; check that the file can be read", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The path is a file of no kind that holds a data set.
    #[error("{}: not a data set; give a folder of images, a folder with IDX files, a .csv manifest or an .npz file", path.display())]
    Unrecognised {
        /// The file.
        path: PathBuf,
    },
    /// No samples at all.
    #[error("{}: holds no {what}; {hint}", path.display())]
    Empty {
        /// The file or folder.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What to do next.
        hint: String,
    },
    /// The name of a class folder is no text: two such folders could look like one class.
    #[error("{}: the name of the folder is not UTF-8, and so no name of a class; rename it", path.display())]
    ClassName {
        /// The folder.
        path: PathBuf,
    },
    /// Fewer than two classes.
    #[error("{}: holds only the class {class:?}; a classifier needs at least two", path.display())]
    OneClass {
        /// The data set.
        path: PathBuf,
        /// The only class.
        class: String,
    },
    /// A class that training does not have.
    #[error("{}: class {class:?} occurs in {split} but not in train; add it to train or remove it", path.display())]
    UnknownClass {
        /// The data set.
        path: PathBuf,
        /// The class.
        class: String,
        /// Where it occurs.
        split: Split,
    },
    /// A file ends before what its header declares.
    #[error("{}: truncated: its header declares {expected} bytes of data, {found} are there; fetch the file again", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes declared.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// The first bytes are not those of the format.
    #[error("{}: {found} is not the start of {expected}; check that the name fits the content", path.display())]
    WrongMagic {
        /// The file.
        path: PathBuf,
        /// The first bytes in hexadecimal.
        found: String,
        /// What the name promises.
        expected: &'static str,
    },
    /// The content contradicts the format.
    #[error("{}: {reason}; write or fetch the file again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What contradicts what.
        reason: String,
    },
    /// Something larger than the limits, refused before memory is taken.
    #[error("{}: {what} is {size}, over the limit of {limit}; raise `{option}` if that is meant", path.display())]
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
    #[error("{}: the file with its {missing} is missing; put it beside the other, plain or gzipped", path.display())]
    MissingPartner {
        /// The file that is there.
        path: PathBuf,
        /// What is missing.
        missing: &'static str,
    },
    /// Images and labels differ in number.
    #[error("{}: {labels} labels for {images} images; they must come from the same export", path.display())]
    CountMismatch {
        /// The file with the labels.
        path: PathBuf,
        /// Number of images.
        images: u64,
        /// Number of labels.
        labels: u64,
    },
    /// A label that is no class index.
    #[error("{}: label {label} at index {index} is out of range; {hint}", path.display())]
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
    #[error("{}: images are {found}, those for training are {expected}; export both at one size", path.display())]
    ShapeMismatch {
        /// The file or array.
        path: PathBuf,
        /// Shape found.
        found: String,
        /// Shape expected.
        expected: String,
    },
    /// A manifest without a column that it needs.
    #[error("{}:1: no column {column:?} (found: {found}); the first line must be {expected}", path.display())]
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
    /// A line of a manifest that cannot be used.
    #[error("{}:{line}: {reason}; correct or remove the line", path.display())]
    ManifestLine {
        /// The manifest.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// An npz file without an array that it needs.
    #[error("{}: no array {name:?} (found: {found}); write it with numpy.savez(file, x=images, y=labels)", path.display())]
    MissingArray {
        /// The file.
        path: PathBuf,
        /// The missing array.
        name: String,
        /// The arrays that are there.
        found: String,
    },
    /// An array whose type, shape or values cannot be used.
    #[error("{}: array {name:?} {reason}; correct the array and save it again", path.display())]
    BadArray {
        /// The file.
        path: PathBuf,
        /// The array.
        name: String,
        /// What is wrong and what is accepted.
        reason: String,
    },
    /// A NaN or an infinity among the pixels.
    #[error("{}: array {name:?}: {value} at index {index:?}; replace values that are not finite", path.display())]
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
    #[error("{}: {fault}; {}{}", path.display(), fault.advice(), skip(*can_be_skipped))]
    BadImage {
        /// The image.
        path: PathBuf,
        /// Why it cannot be used.
        fault: Fault,
        /// Whether it belongs to a data set, which can be opened without such files.
        can_be_skipped: bool,
    },
    /// A split that the data set does not have.
    #[error("{path}: has no {split} split; {hint}")]
    NoSplit {
        /// The data set.
        path: String,
        /// The split asked for.
        split: Split,
        /// What to do next.
        hint: &'static str,
    },
    /// Labels are needed and there are none.
    #[error("{path}: its images have no labels, and {what} needs them; {hint}")]
    Unlabelled {
        /// The data set.
        path: String,
        /// What needs labels.
        what: &'static str,
        /// What to do next.
        hint: &'static str,
    },
    /// Nothing is left of a split after images were left out.
    #[error("{path}: nothing is left of {split} after leaving out {reason}; {hint}")]
    NothingLeft {
        /// The data set.
        path: String,
        /// The split.
        split: Split,
        /// What was left out.
        reason: &'static str,
        /// What to do next.
        hint: &'static str,
    },
    /// Batches of several classes that the data cannot fill.
    #[error("{name} = {value}: {reason}; choose fewer")]
    ClassBalance {
        /// `classes_per_batch` or `samples_per_class`.
        name: &'static str,
        /// Its value.
        value: usize,
        /// What there is.
        reason: String,
    },
    /// Fewer classes than splits without a class in common need.
    #[error("{}: {num_classes} classes cannot be split by class; two for each of {splits} are needed: add classes or split by sample", path.display())]
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

impl DataError {
    /// Wraps an I/O error with the path it is about; a missing file becomes [`DataError::NotFound`].
    pub(crate) fn io(path: &std::path::Path, source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound { path: path.to_owned() },
            _ => Self::Io { path: path.to_owned(), source },
        }
    }
}

fn skip(can_be_skipped: bool) -> &'static str {
    if can_be_skipped { ", or leave such files out with skip or quarantine" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line_with_place_reason_and_next_step() {
        let error = DataError::Truncated { path: "a/b".into(), expected: 10, found: 7 };
        assert_eq!(
            error.to_string(),
            "a/b: truncated: its header declares 10 bytes of data, 7 are there; fetch the file again"
        );
    }
}
