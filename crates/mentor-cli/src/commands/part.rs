//! The images of a data set that a command reads: those of one split, or all.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use mentor_data::{DataError, Dataset, ImageFormat, OpenOptions, Source, Split};
use serde::{Serialize, Serializer};

use crate::terminal::reading::reading_bar;

/// A split, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Split(Split),
    All,
}

impl Part {
    /// As a heading has it.
    pub(super) fn described(self) -> String {
        match self {
            Self::Split(split) => format!("{split} split"),
            Self::All => "all of it".to_owned(),
        }
    }

    /// Opens the data, whatever classes it has.
    ///
    /// # Errors
    ///
    /// When the data cannot be opened.
    pub(super) fn open(self, data: &str, options: &OpenOptions) -> Result<Source, DataError> {
        let options = OpenOptions { observer: reading_bar(false), ..options.clone() };
        match self {
            Self::Split(_) => Source::open_for_evaluation(data, &options),
            Self::All => Source::open_undivided(data, &options),
        }
    }

    /// The images, in `format`. Of data that the model was trained on these are the images of training,
    /// without those that a later split has too; of other data all.
    ///
    /// # Errors
    ///
    /// When the part is empty, or an image cannot be read.
    pub(super) fn load(
        self,
        source: &Source,
        format: &ImageFormat,
        trained_on: bool,
    ) -> Result<Arc<Dataset>, DataError> {
        Ok(Arc::new(match self {
            Self::Split(split) if trained_on => source.load_as(split, format)?,
            Self::Split(split) => source.load_whole_as(split, format)?,
            Self::All => source.load_all_as(format)?,
        }))
    }
}

/// The values of `--split`: the splits and `all`.
pub(crate) fn part_parser() -> impl TypedValueParser<Value = Part> {
    let values = split_names().into_iter().chain([PossibleValue::new("all")]);
    PossibleValuesParser::new(values).try_map(|name| name.parse::<Part>())
}

/// The values of a flag that names a split.
pub(crate) fn split_parser() -> impl TypedValueParser<Value = Split> {
    PossibleValuesParser::new(split_names()).try_map(|name| name.parse::<Split>())
}

fn split_names() -> [PossibleValue; 3] {
    let val = PossibleValue::new("val").aliases(["valid", "validation"]);
    [PossibleValue::new("train"), val, PossibleValue::new("test")]
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Split(split) => split.fmt(f),
            Self::All => f.write_str("all"),
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            split => split.parse().map(Self::Split).map_err(|_| "write train, val, test or all".to_owned()),
        }
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
