//! What a user should hear about a data set that was opened without an error.

use std::fmt;

use serde::Serialize;

use crate::split::Split;

/// A file that is left out because it cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadFile {
    /// The split that it would belong to.
    pub split: Split,
    /// The id of the sample.
    pub id: String,
    /// Where the file is.
    pub path: String,
    /// Why it cannot be decoded.
    pub reason: String,
}

/// Something that was decided for the user, or that the user may not know. Displayed as one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Note {
    /// An image is left out.
    BadImage {
        /// Which one, and why.
        file: BadFile,
        /// Whether the caller should write it to the list of such files.
        quarantine: bool,
    },
    /// Samples were removed because another split has byte-identical images.
    LeaksRemoved {
        /// The split that lost samples.
        from: Split,
        /// `[removed id, id of its twin]`.
        pairs: Vec<[String; 2]>,
    },
    /// As [`Note::LeaksRemoved`], but the user asked to keep them.
    LeaksKept {
        /// The split that keeps the samples.
        split: Split,
        /// `[kept id, id of its twin]`.
        pairs: Vec<[String; 2]>,
    },
    /// Byte-identical images inside one split. They stay.
    Repeated {
        /// The split.
        split: Split,
        /// `[first id, id of a later copy]`.
        pairs: Vec<[String; 2]>,
        /// How many of the pairs have two different labels.
        num_conflicting: usize,
    },
    /// Files in class folders whose extension is not that of an image.
    Ignored {
        /// How many.
        num_files: usize,
        /// One of them.
        example: String,
    },
    /// A folder beside `train`, `val` and `test` that is none of them.
    IgnoredFolder {
        /// Its name.
        name: String,
    },
    /// The data's own splits had classes in common, and the user asked for splits by class: all samples were put together
    /// and divided anew.
    DividedByClass {
        /// Classes of train, val and test.
        num_classes: [usize; 3],
    },
    /// JPEG or PNG files without the mark that ends an image. They are read: if pixels are missing too, decoding says so.
    WithoutEnd {
        /// How many.
        num_files: usize,
        /// One of them.
        example: String,
    },
    /// Images of several sizes, or very large ones, were brought to a size that nobody asked for.
    Resized {
        /// How many sizes the training images have.
        num_sizes: usize,
        /// `[height, width]` that was chosen.
        size: [usize; 2],
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadImage { file, quarantine } => {
                let verb = if *quarantine { "quarantined" } else { "skipped" };
                write!(f, "{verb} {} ({}): {}", file.path, file.split, file.reason)
            }
            Self::LeaksRemoved { from, pairs } => {
                let [removed, twin] = example(pairs);
                let images = images(pairs.len());
                write!(f, "removed {images} from {from} with a byte-identical twin in a later split")?;
                write!(f, " (such as {removed} = {twin})")
            }
            Self::LeaksKept { split, pairs } => {
                let [kept, twin] = example(pairs);
                let images = images(pairs.len());
                write!(f, "kept {images} in {split} with a byte-identical twin in a later split")?;
                write!(f, " (such as {kept} = {twin}): scores there are too good")
            }
            Self::Repeated { split, pairs, num_conflicting } => {
                let [first, copy] = example(pairs);
                let images = images(pairs.len());
                write!(f, "{split} repeats {images} byte for byte (such as {first} = {copy})")?;
                match num_conflicting {
                    0 => Ok(()),
                    count => write!(f, ", {count} of them under another label"),
                }
            }
            Self::Ignored { num_files: 1, example } => {
                write!(f, "left out {example}: its extension is not that of an image")
            }
            Self::Ignored { num_files, example } => {
                write!(
                    f,
                    "left out {num_files} files whose extension is not that of an image (such as {example})"
                )
            }
            Self::IgnoredFolder { name } => {
                write!(f, "left out the folder {name}: it is none of train, val and test")
            }
            Self::DividedByClass { num_classes: [train, val, test] } => {
                write!(
                    f,
                    "the data's own splits have classes in common; put together and divided by class: "
                )?;
                write!(f, "{train} for training, {val} for validation, {test} for testing")
            }
            Self::WithoutEnd { num_files, example } => {
                let files = if *num_files == 1 {
                    "1 file lacks".to_owned()
                } else {
                    format!("{num_files} files lack")
                };
                write!(
                    f,
                    "{files} the mark that ends an image (such as {example}); all pixels are there, or decoding fails"
                )
            }
            Self::Resized { num_sizes, size: [height, width] } => {
                let found = match num_sizes {
                    1 => "large images".to_owned(),
                    count => format!("images of {count} sizes"),
                };
                write!(f, "{found} are resized to {height}x{width}; set the size to choose another")
            }
        }
    }
}

fn images(count: usize) -> String {
    if count == 1 { "1 image".to_owned() } else { format!("{count} images") }
}

fn example(pairs: &[[String; 2]]) -> [&str; 2] {
    pairs.first().map_or(["?", "?"], |[first, second]| [first, second])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_as_one_sentence() {
        let pairs = vec![["train/a.png".to_owned(), "test/b.png".to_owned()]];
        let note = Note::LeaksRemoved { from: Split::Train, pairs };
        assert_eq!(
            note.to_string(),
            "removed 1 image from train with a byte-identical twin in a later split (such as train/a.png = test/b.png)"
        );
        let note = Note::Resized { num_sizes: 3, size: [2, 5] };
        assert_eq!(note.to_string(), "images of 3 sizes are resized to 2x5; set the size to choose another");
    }
}
