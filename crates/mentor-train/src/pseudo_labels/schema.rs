//! The columns of a file of pseudo-labels, and what can be wrong with one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mentor_data::shown_path;
use mentor_metrics::pseudo_labels::OrderError;
use mentor_run::RunDirError;
use parquet::errors::ParquetError;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::TypePtr;

/// One row an image. `scores` are logits, one a class: probabilities in f32 lose the tail that another
/// temperature needs. They are the model's raw scores; of a model with class biases b they are those plus
/// T·b, so that softmax(scores / T) is calibrated in both cases.
const SCHEMA: &str = "
    message pseudo_labels {
        required binary id (UTF8);
        required fixed_len_byte_array(32) image_blake3;
        required group scores (LIST) { repeated group list { required float element; } }
        required float confidence;
        required int32 label;
        required int32 round;
        required binary teacher_blake3 (UTF8);
    }";

/// Key of the header in the file's metadata.
pub(super) const HEADER_KEY: &str = "mentor.pseudo_labels";

/// Rows of a row group: what a reader or a writer holds at a time.
pub(super) const GROUP_ROWS: usize = 16_384;

pub(super) fn schema() -> TypePtr {
    Arc::new(parse_message_type(SCHEMA).expect("the schema above is valid"))
}

/// What can go wrong with files of pseudo-labels.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] RunDirError),
    /// No file of pseudo-labels.
    #[error("{}: holds no pseudo-labels", shown_path(path))]
    None {
        /// The folder.
        path: PathBuf,
    },
    /// A file without its manifest.
    #[error(
        "{}: has no manifest ({}), so it was never finished or was moved without it",
        shown_path(path),
        shown_path(manifest)
    )]
    Unfinished {
        /// The file.
        path: PathBuf,
        /// Where its manifest would be.
        manifest: PathBuf,
    },
    /// A file that is not what its manifest says.
    #[error("{}: damaged: {reason}", shown_path(path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A whole file, of something else than what is to be labelled.
    #[error("{}: holds labels of other {field}", shown_path(path))]
    OtherLabels {
        /// The file.
        path: PathBuf,
        /// In what it differs.
        field: &'static str,
    },
    /// Files of different teachers.
    #[error(
        "{} is of teacher {}, {} of teacher {}",
        shown_path(first),
        short(first_teacher),
        shown_path(other),
        short(other_teacher)
    )]
    MixedTeachers {
        /// A file.
        first: PathBuf,
        /// Hash of its teacher's weights.
        first_teacher: String,
        /// Another file.
        other: PathBuf,
        /// Hash of its teacher's weights.
        other_teacher: String,
    },
    /// Files of one teacher that do not belong together.
    #[error("{} and {} differ in their {field}", shown_path(first), shown_path(other))]
    Mixed {
        /// A file.
        first: PathBuf,
        /// Another file.
        other: PathBuf,
        /// In what they differ.
        field: &'static str,
    },
    /// Shards are missing or there twice.
    #[error("{}: shard {shard} is {problem}", shown_path(path))]
    Incomplete {
        /// The folder, or the first file.
        path: PathBuf,
        /// The shard, as `index/count`.
        shard: String,
        /// Missing, or there twice.
        problem: &'static str,
        /// What to do about that.
        help: &'static str,
    },
    /// A row that cannot be written.
    #[error("image {id:?}: {reason}")]
    BadRow {
        /// The image.
        id: String,
        /// What is wrong with its scores.
        reason: String,
    },
    /// Two rounds with other images.
    #[error(transparent)]
    Order(#[from] OrderError),
}

impl LabelsError {
    /// What to do next, as [`DataError::help`](mentor_data::DataError::help) says it.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        let ways: &[&str] = match self {
            Self::File(error) => return error.help(),
            Self::None { .. } => &["write them with mentor label"],
            Self::Unfinished { .. } => &["run the same mentor label command again"],
            Self::Damaged { .. } => &["delete it and run the same mentor label command again"],
            Self::OtherLabels { .. } => &["choose another place", "delete it"],
            Self::MixedTeachers { .. } => &["give the shards of one teacher"],
            Self::Mixed { .. } => &["give the shards of one mentor label command"],
            Self::Incomplete { help, .. } => &[help],
            Self::BadRow { .. } => &["check the teacher's weights"],
            Self::Order(_) => &["label the same folder in both rounds"],
        };
        ways.iter().map(|&way| way.to_owned()).collect()
    }
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Any complaint of the format's library about `path`.
pub(super) fn damaged(path: &Path) -> impl Fn(ParquetError) -> LabelsError + use<'_> {
    |error| LabelsError::Damaged { path: path.to_owned(), reason: error.to_string() }
}
