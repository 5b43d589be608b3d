//! What a model gives for images, flat, and why it gives nothing.

use std::sync::Arc;

use mentor_metrics::classification::ranked;

/// One row of numbers for each image, such as its scores, one row after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// `[image, value]`, row-major.
    pub values: Vec<f32>,
    /// Values of a row.
    pub width: usize,
}

impl Rows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.width.max(1))
    }
}

/// The classes of images, with their probabilities.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    pub(crate) classes: Arc<[String]>,
    /// Scores as they enter the softmax, with the calibration if the model has one.
    pub(crate) scores: Rows,
}

impl Predictions {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// The names of the classes, in the order of the scores.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Every class of image `index` with its probability, the likeliest first; of equal ones the first in the
    /// order of the classes. `None` if there is no such image.
    pub fn ranked(&self, index: usize) -> Option<Vec<(&str, f64)>> {
        let scores = self.scores.iter().nth(index)?;
        Some(ranked(scores).into_iter().map(|(class, p)| (self.classes[class].as_str(), p)).collect())
    }

    /// The likeliest class of image `index` and its probability.
    pub fn best(&self, index: usize) -> Option<(&str, f64)> {
        self.ranked(index)?.into_iter().next()
    }

    /// The likeliest class of every image in order, with its probability.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        (0..self.len()).filter_map(|index| self.best(index))
    }
}

/// Why a model gives nothing for images.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// The model gives embeddings.
    #[error("an embedding model has no classes to score")]
    NoScores,
    /// An image of another size, or with another number of channels.
    #[error("image {index} has {found} bytes, and the model takes {expected}")]
    WrongLength {
        /// Its place among the images.
        index: usize,
        /// Its bytes.
        found: usize,
        /// Channels times height times width.
        expected: usize,
    },
}
