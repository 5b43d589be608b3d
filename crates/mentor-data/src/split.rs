//! The parts of a data set.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Parameters are fitted to it.
    Train,
    /// Models are chosen on it.
    Val,
    /// Opened by evaluation only.
    Test,
}

impl Split {
    /// All splits, train, val, test.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// Position in [`Split::ALL`].
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        })
    }
}
