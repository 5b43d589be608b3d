//! Warnings about a data set that was opened without an error.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::shown::{counted, shown, with_commas};
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

/// Why files or folders are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LeftOut {
    /// Files that neither have the extension of an image nor begin as one.
    NoImage,
    /// Hidden files and folders, and those that systems make, such as thumbnails and recycle bins.
    System,
    /// Images beside class folders.
    OutsideClasses,
    /// Images beside folders of splits.
    OutsideSplits,
    /// Folders beside splits whose names are those of no split.
    NoSplit,
    /// Folders of splits whose images lie in no class folders.
    SplitWithoutClasses,
    /// Folders of splits without images.
    EmptySplit,
    /// Links to a folder that holds them.
    Circle,
    /// Files and folders beside IDX files.
    BesideIdx,
}

impl LeftOut {
    fn describe(self, count: usize, example: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (one, many) = match self {
            Self::NoImage => {
                ("it holds no image of a known format", "files that hold no image of a known format")
            }
            Self::System => (
                "it is hidden, or made by a system",
                "files and folders that are hidden, or made by a system",
            ),
            Self::OutsideClasses => {
                ("an image outside the class folders", "images outside the class folders")
            }
            Self::OutsideSplits => {
                ("an image outside the folders of splits", "images outside the folders of splits")
            }
            Self::NoSplit => {
                ("it is none of train, val and test", "folders that are none of train, val and test")
            }
            Self::SplitWithoutClasses => (
                "its images lie in no class folders",
                "folders of splits whose images lie in no class folders",
            ),
            Self::EmptySplit => ("it holds no images", "folders of splits that hold no images"),
            Self::Circle => ("a link to a folder that holds it", "links to folders that hold them"),
            Self::BesideIdx => (
                "it is not among the IDX files of the data set",
                "files and folders that are not among the IDX files of the data set",
            ),
        };
        let folder = match self {
            Self::NoSplit | Self::SplitWithoutClasses | Self::EmptySplit => "the folder ",
            _ => "",
        };
        match count {
            1 => write!(f, "left out {folder}{example}: {one}"),
            count => write!(f, "left out {} {many} (such as {example})", with_commas(count)),
        }
    }
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
    /// Samples were removed because a later split has images of the same pixels.
    LeaksRemoved {
        /// The split that lost samples.
        from: Split,
        /// `[removed id, id of its twin]`.
        pairs: Vec<[String; 2]>,
        /// How many of the twins are files of other bytes.
        num_other_bytes: usize,
    },
    /// As [`Note::LeaksRemoved`], but the user asked to keep them.
    LeaksKept {
        /// The split that keeps the samples.
        split: Split,
        /// `[kept id, id of its twin]`.
        pairs: Vec<[String; 2]>,
        /// How many of the twins are files of other bytes.
        num_other_bytes: usize,
    },
    /// Images of the same pixels inside one split, or in all of the data. They stay.
    Repeated {
        /// The split; `None` if all of the data was read as one.
        split: Option<Split>,
        /// `[first id, id of a later copy]`.
        pairs: Vec<[String; 2]>,
        /// How many of the pairs have two different labels.
        num_conflicting: usize,
        /// How many of the copies are files of other bytes.
        num_other_bytes: usize,
    },
    /// Files or folders are left out.
    LeftOut {
        /// Why.
        reason: LeftOut,
        /// How many.
        count: usize,
        /// One of them.
        example: String,
    },
    /// A folder whose name is that of a split is taken for a class, as those beside it are.
    SplitAsClass {
        /// Its name.
        name: String,
    },
    /// Folders that are taken for classes, and hold folders of the same names, as splits do.
    ClassesLikeSplits {
        /// The folders.
        folders: Vec<String>,
        /// Names of folders that are in all of them.
        shared: Vec<String>,
    },
    /// A class whose name is written in several Unicode forms.
    MergedClass {
        /// The name, composed.
        class: String,
    },
    /// Classes whose names a person would take for one.
    AlikeClasses {
        /// Their names.
        classes: Vec<String>,
    },
    /// A label that usually stands for a missing one is taken for a class.
    MissingLabel {
        /// The label.
        class: String,
        /// Lines of the manifest that have it.
        count: usize,
    },
    /// How a manifest is written, where that is not UTF-8 text with commas.
    Dialect {
        /// The encoding and the separator.
        dialect: String,
    },
    /// Labels that a file of corrections has changed.
    Corrected {
        /// How many.
        count: usize,
    },
    /// Columns of a manifest that mean nothing.
    OtherColumns {
        /// Their names.
        columns: Vec<String>,
    },
    /// Paths of a manifest that name no file as they are written, but another way.
    PathsRead {
        /// What was done to them.
        how: &'static str,
        /// How many.
        count: usize,
        /// One as it is written, and the file that is meant.
        example: [String; 2],
    },
    /// An IDX file with several numbers an image, of which the first is the label.
    LabelColumns {
        /// The file.
        path: String,
        /// Numbers an image.
        columns: usize,
    },
    /// Lines of a manifest that name the file of an earlier line. They stay.
    RepeatedPaths {
        /// How many.
        count: usize,
        /// How many of them have another label than the first.
        num_conflicting: usize,
        /// One of the paths, of one with two labels if there is any.
        path: String,
        /// Its first line and a later one.
        lines: [u64; 2],
    },
    /// Classes without any image in a split that others have.
    AbsentClasses {
        /// The split.
        split: Split,
        /// Their names.
        classes: Vec<String>,
        /// Why, as in "their images were left out".
        reason: &'static str,
    },
    /// The data's own splits had classes in common, and the user asked for splits by class: all samples were
    /// put together and divided anew.
    DividedByClass {
        /// Classes of train, val and test.
        num_classes: [usize; 3],
    },
    /// JPEG or PNG files without the mark that ends an image. They are read: if pixels are missing too,
    /// decoding says so.
    WithoutEnd {
        /// How many.
        num_files: usize,
        /// One of them.
        example: String,
    },
    /// Floats of an array are rounded to pixels from 0 to 255, of which they use less than half.
    RoundedPixels {
        /// The array.
        name: String,
        /// The smallest value.
        min: f64,
        /// The largest value.
        max: f64,
    },
    /// Values of 16 bits or floats that lie close together, so that few bytes are left of them: pictures of
    /// 12 bits in words of 16 are nearly black.
    FewLevels {
        /// The split; `None` if all of the data was read as one.
        split: Option<Split>,
        /// How many files have such values.
        num_files: usize,
        /// One of them.
        example: String,
        /// The smallest and the largest value.
        range: [f64; 2],
        /// What stands for white.
        white: f64,
        /// How many bytes can be left of them.
        num_levels: usize,
    },
    /// Images of several sizes, or very large ones, were brought to a size that nobody asked for.
    Resized {
        /// The split whose images decide; `None` if there is no training image, so that all of them do.
        split: Option<Split>,
        /// How many sizes these images have.
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
                write!(f, "{verb} {} ({}): {}", shown(&file.path), file.split, file.reason)
            }
            Self::LeaksRemoved { from, pairs, num_other_bytes } => {
                let [removed, twin] = example(pairs);
                let images = counted(pairs.len(), "image", "images");
                let how = twin_of(pairs.len(), *num_other_bytes);
                write!(f, "removed {images} from {from} with a {how} in a later split")?;
                write!(f, " (such as {removed} = {twin})")
            }
            Self::LeaksKept { split, pairs, num_other_bytes } => {
                let [kept, twin] = example(pairs);
                let images = counted(pairs.len(), "image", "images");
                let how = twin_of(pairs.len(), *num_other_bytes);
                write!(f, "kept {images} in {split} with a {how} in a later split")?;
                write!(f, " (such as {kept} = {twin}): scores there are too good")
            }
            Self::Repeated { split, pairs, num_conflicting, num_other_bytes } => {
                let [first, copy] = example(pairs);
                match split {
                    Some(split) => write!(f, "{split} repeats {}", counted(pairs.len(), "image", "images"))?,
                    None => f.write_str(&counted(pairs.len(), "image repeats", "images repeat"))?,
                }
                let earlier = if split.is_none() { " an earlier one" } else { "" };
                let how = match num_other_bytes {
                    0 => "byte for byte",
                    _ => "pixel for pixel",
                };
                write!(f, "{earlier} {how} (such as {first} = {copy})")?;
                if *num_conflicting > 0 {
                    write!(f, ", {} of them under another label", with_commas(*num_conflicting))?;
                }
                if split.is_none() { f.write_str("; all of them count") } else { Ok(()) }
            }
            Self::LeftOut { reason, count, example } => reason.describe(*count, &shown(example), f),
            Self::SplitAsClass { name } => {
                write!(
                    f,
                    "took the folder {} for a class, though its name is that of a split: ",
                    shown(name)
                )?;
                write!(f, "it holds images as those beside it do; move it if it is a split")
            }
            Self::ClassesLikeSplits { folders, shared } => {
                write!(f, "took the folders {} for classes, though all hold ", quoted(folders))?;
                write!(f, "the folders {}; name them train, val and test if they are splits", quoted(shared))
            }
            Self::MergedClass { class } => {
                write!(f, "the class {class:?} is written in two Unicode forms; took both for one class")
            }
            Self::AlikeClasses { classes } => {
                write!(f, "the classes {} look alike; ", quoted(classes))?;
                write!(f, "give them one name if they are one class")
            }
            Self::MissingLabel { class, count } => {
                let lines = counted(*count, "line", "lines");
                write!(
                    f,
                    "took the label {class:?} of {lines} for a class; remove the lines if it says that the \
                     label is missing"
                )
            }
            Self::Corrected { count } => write!(f, "{} corrected", counted(*count, "label is", "labels are")),
            Self::Dialect { dialect } => write!(f, "read the manifest as {dialect}"),
            Self::OtherColumns { columns } => {
                let which = if columns.len() == 1 { "column" } else { "columns" };
                write!(
                    f,
                    "left out the {which} {} of the manifest: only path, label and split are read",
                    quoted(columns)
                )
            }
            Self::PathsRead { how, count, example: [written, read] } => {
                let paths = counted(*count, "path", "paths");
                write!(
                    f,
                    "read {paths} of the manifest {how} (such as {} as {})",
                    shown(written),
                    shown(read)
                )
            }
            Self::LabelColumns { path, columns } => {
                write!(f, "{}: took the first of {columns} numbers of each image for its label", shown(path))
            }
            Self::RepeatedPaths { count, num_conflicting, path, lines: [first, later] } => {
                let lines = counted(*count, "line names", "lines name");
                write!(
                    f,
                    "{lines} the file of an earlier line (such as {}, lines {first} and {later})",
                    shown(path)
                )?;
                match num_conflicting {
                    0 => Ok(()),
                    &count => write!(f, ", {} of them with another label", with_commas(count)),
                }
            }
            Self::AbsentClasses { split, classes, reason } => {
                let which = if classes.len() == 1 { "the class" } else { "the classes" };
                write!(f, "{split} has no image of {which} {}: {reason}", quoted(classes))
            }
            Self::DividedByClass { num_classes: [train, val, test] } => {
                write!(
                    f,
                    "the data's own splits have classes in common; put together and divided by class: "
                )?;
                write!(f, "{train} for training, {val} for validation, {test} for testing")
            }
            Self::WithoutEnd { num_files, example } => {
                let files = counted(*num_files, "file lacks", "files lack");
                write!(
                    f,
                    "{files} the mark that ends an image (such as {}); all pixels are there, or decoding \
                     fails",
                    shown(example)
                )
            }
            Self::RoundedPixels { name, min, max } => {
                write!(
                    f,
                    "{name} has floats from {min} to {max}, which are rounded to pixels from 0 to 255; "
                )?;
                f.write_str("if its maximum stands for white, divide by it")
            }
            Self::FewLevels { split, num_files, example, range: [min, max], white, num_levels } => {
                let of = split.map_or(String::new(), |split| format!("{split} "));
                let kind = if *white > 1.0 { "16 bits" } else { "floats" };
                let files = counted(*num_files, &format!("{of}image"), &format!("{of}images"));
                write!(
                    f,
                    "of {files} of {kind} (such as {}) the brightest pixel is {max} of ",
                    shown(example)
                )?;
                write!(f, "{white} and the darkest {min}: {num_levels} of 256 levels are left of them; ")?;
                write!(f, "scale them so that black is 0 and white {white}")
            }
            Self::Resized { split, num_sizes, size: [height, width] } => {
                let of = split.map_or(String::new(), |split| format!("{split} "));
                match num_sizes {
                    1 => write!(f, "the {of}images are large")?,
                    &count => write!(f, "the {of}images have {} sizes", with_commas(count))?,
                }
                write!(f, ": all are resized to {height}x{width}; set the size to choose another")
            }
        }
    }
}

/// Names for a message, not too many of them.
fn quoted(names: &[String]) -> String {
    const MOST: usize = 5;
    let list: Vec<String> = names.iter().take(MOST).map(|name| format!("{name:?}")).collect();
    match names.len().saturating_sub(MOST) {
        0 => list.join(", "),
        more => format!("{} and {more} more", list.join(", ")),
    }
}

/// What kind of twins images have.
fn twin_of(num_pairs: usize, num_other_bytes: usize) -> &'static str {
    if num_other_bytes == 0 {
        "byte-identical twin"
    } else if num_other_bytes == num_pairs {
        "twin of the same pixels in other bytes"
    } else {
        "twin of the same pixels"
    }
}

fn example(pairs: &[[String; 2]]) -> [Cow<'_, str>; 2] {
    pairs.first().map_or(["?".into(), "?".into()], |[first, second]| [shown(first), shown(second)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_as_one_sentence() {
        let pairs = vec![["train/a.png".to_owned(), "test/b.png".to_owned()]];
        let note = Note::LeaksRemoved { from: Split::Train, pairs, num_other_bytes: 0 };
        assert_eq!(
            note.to_string(),
            "removed 1 image from train with a byte-identical twin in a later split (such as train/a.png = \
             test/b.png)"
        );
        let resized = |split, num_sizes| Note::Resized { split, num_sizes, size: [2, 5] }.to_string();
        assert_eq!(
            resized(Some(Split::Train), 3),
            "the train images have 3 sizes: all are resized to 2x5; set the size to choose another"
        );
        assert!(resized(None, 1).starts_with("the images are large: all are resized to 2x5;"));
    }
}
