//! The options of opening a data set.

pub(crate) mod observer;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::format::Resize;
use crate::options::observer::ReadObserver;
use crate::split::Split;

/// What happens to a file that cannot be decoded. No file of the user is ever moved or changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadImage {
    /// The first one, in the order of the data set, stops with its name.
    #[default]
    Error,
    /// Left out and listed in the notes.
    Skip,
    /// As skip, and its note asks the caller to write the list of such files.
    Quarantine,
}

impl FromStr for BadImage {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "error" => Ok(Self::Error),
            "skip" => Ok(Self::Skip),
            "quarantine" => Ok(Self::Quarantine),
            _ => Err(DataError::InvalidOption {
                name: "on_bad_image",
                value: text.to_owned(),
                allowed: "error, skip or quarantine",
            }),
        }
    }
}

impl fmt::Display for BadImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Skip => "skip",
            Self::Quarantine => "quarantine",
        })
    }
}

/// What is kept together when splits are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitBy {
    /// Nothing: each class gives a share of its samples to each split. What a classifier needs.
    #[default]
    Sample,
    /// Classes: each belongs to one split, so that retrieval is tested on classes never seen in training.
    /// Splits that the data has are kept where they have no class in common; otherwise they are put together
    /// and divided anew.
    Class,
}

impl FromStr for SplitBy {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "sample" => Ok(Self::Sample),
            "class" => Ok(Self::Class),
            _ => Err(DataError::InvalidOption {
                name: "split_by",
                value: text.to_owned(),
                allowed: "sample or class",
            }),
        }
    }
}

impl fmt::Display for SplitBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sample => "sample",
            Self::Class => "class",
        })
    }
}

/// What data are opened for, which decides what must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// At least two classes, each with training images; numbers as labels leave no gap.
    Training,
    /// Any classes: the model knows which there are.
    Evaluation,
}

/// Sizes that are refused before memory is taken for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Pixels of one image file, from its header. Default 64 million.
    pub max_pixels: u64,
    /// Bytes of one image file. Default 256 MiB.
    pub max_file_bytes: u64,
    /// Bytes of a split held in memory, and of an IDX or npz array. An image folder above it is
    /// decoded on demand; an array above it is refused. Default 4 GiB.
    pub max_memory_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_pixels: 64_000_000, max_file_bytes: 256 << 20, max_memory_bytes: 4 << 30 }
    }
}

/// How a data set is opened. The default suits a first look at any data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenOptions {
    /// Share of each class of the training samples that becomes validation where the data has none of
    /// its own. In `[0, 1)`, default 0.1. With [`SplitBy::Class`]: share of the training classes.
    pub val_fraction: f64,
    /// Share of each class that becomes test where the data has no splits at all. In `[0, 1)`,
    /// default 0.2. With [`SplitBy::Class`]: share of the classes.
    pub test_fraction: f64,
    /// Whether samples or whole classes are assigned to splits.
    pub split_by: SplitBy,
    /// Seed of the membership in splits, default 0. Independent of the seed of training.
    pub split_seed: u64,
    /// What happens to files that cannot be decoded.
    pub on_bad_image: BadImage,
    /// 1 (gray) or 3 (colour); `None`: decided from the training images.
    pub channels: Option<usize>,
    /// `[height, width]`; `None`: the arrays' own size, or the common size of the training images,
    /// or 32x32 where they differ or have a side over 256.
    pub size: Option<[usize; 2]>,
    /// What happens to images of another size.
    pub resize: Resize,
    /// Keep training samples whose pixels a validation or test sample has too, and validation samples that
    /// test has. Default false.
    pub keep_duplicates: bool,
    /// A CSV file `path,label` of labels that replace those of the data, such as those of a page of
    /// `mentor check-labels`. The splits stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrections: Option<PathBuf>,
    /// Sizes that are refused.
    pub limits: Limits,
    /// Folder in which splits that are too large for memory keep their decoded images, in the format of the
    /// model; `None`: they are decoded again whenever they are needed. No part of a configuration.
    #[serde(skip)]
    pub pixel_cache: Option<PathBuf>,
    /// Who hears of the files that are read. No part of a configuration.
    #[serde(skip)]
    pub observer: ReadObserver,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            val_fraction: 0.1,
            test_fraction: 0.2,
            split_by: SplitBy::default(),
            split_seed: 0,
            on_bad_image: BadImage::default(),
            channels: None,
            size: None,
            resize: Resize::default(),
            keep_duplicates: false,
            corrections: None,
            limits: Limits::default(),
            pixel_cache: None,
            observer: ReadObserver::default(),
        }
    }
}

impl OpenOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidOption`] names the first option outside its range.
    pub fn check(&self) -> Result<(), DataError> {
        for (name, value) in [("val_fraction", self.val_fraction), ("test_fraction", self.test_fraction)] {
            if !(0.0..1.0).contains(&value) {
                let value = value.to_string();
                return Err(DataError::InvalidOption { name, value, allowed: "at least 0 and below 1" });
            }
        }
        let [height, width] = self.size.unwrap_or([1, 1]);
        let channels = self.channels.unwrap_or(1);
        crate::format::ImageFormat { channels, height, width, resize: self.resize }.check()
    }
}

impl FromStr for Split {
    type Err = DataError;

    /// Reads `train`, `val` (also `valid`, `validation`) or `test`.
    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "train" => Ok(Self::Train),
            "val" | "valid" | "validation" => Ok(Self::Val),
            "test" => Ok(Self::Test),
            _ => Err(DataError::InvalidOption {
                name: "split",
                value: text.to_owned(),
                allowed: "train, val or test",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_outside_their_range_are_refused_also_nan() {
        assert!(OpenOptions::default().check().is_ok());
        for value in [-0.1, 1.0, f64::NAN, f64::INFINITY] {
            assert!(OpenOptions { val_fraction: value, ..Default::default() }.check().is_err(), "{value}");
            assert!(OpenOptions { test_fraction: value, ..Default::default() }.check().is_err(), "{value}");
        }
        assert!(OpenOptions { channels: Some(2), ..Default::default() }.check().is_err());
        assert!(OpenOptions { size: Some([0, 8]), ..Default::default() }.check().is_err());
    }
}
