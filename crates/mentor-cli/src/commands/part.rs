//! Which images of some data a command looks at: those of one split, or all.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use mentor_data::{DataError, Dataset, ImageFormat, Source, Split};
use serde::{Serialize, Serializer};

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

    /// The images, in `format`.
    ///
    /// # Errors
    ///
    /// When the part is empty, or an image cannot be read.
    pub(super) fn load(self, source: &Source, format: &ImageFormat) -> Result<Arc<Dataset>, DataError> {
        let Self::Split(split) = self else {
            let splits = Split::ALL.into_iter().filter(|&split| source.has(split));
            let parts = splits.map(|split| source.load_as(split, format)).collect::<Result<Vec<_>, _>>()?;
            let targets = parts.iter().flat_map(|part| part.targets().iter().copied()).collect();
            return Ok(Arc::new(Dataset::join(parts, source.classes(), targets)));
        };
        Ok(Arc::new(source.load_as(split, format)?))
    }
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
