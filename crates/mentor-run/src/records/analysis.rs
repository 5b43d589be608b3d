//! What the report draws, beyond the curves: `analysis.json`.
//!
//! Computed once, when a run ends, on the validation split (on the training split if there is none).

use mentor_metrics::classification::Evaluation;
use serde::{Deserialize, Serialize};

use super::picture::Picture;

/// Everything that the report needs and that needs the model or the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// Evaluation of the chosen model.
    pub evaluation: Evaluation,
    /// Samples of the highest loss, worst first.
    pub hardest: Vec<HardSample>,
    /// For `linear`: one picture a class, the row of the weights, of at most 40 classes.
    pub weight_images: Vec<WeightImage>,
    /// Histogram of the penalised weights.
    pub histogram: Histogram,
    /// The cost along one weight; for models small enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub along_weight: Option<Landscape>,
    /// The cost along the straight line from the first to the last weights; for models small enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub along_line: Option<Landscape>,
}

/// A sample with a high loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HardSample {
    /// Its id.
    pub id: String,
    /// Index of its class.
    pub target: u32,
    /// Index of the class with the highest score.
    pub predicted: u32,
    /// Softmax probability of the predicted class.
    pub confidence: f64,
    /// Its data loss.
    pub loss: f64,
    /// The image as the model sees it, before normalisation.
    pub picture: Picture,
}

/// The weights of one class of a linear model, as signed values: `[channels, height, width]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightImage {
    /// Index of the class.
    pub class: usize,
    /// 1 or 3.
    pub channels: usize,
    /// Pixels.
    pub height: usize,
    /// Pixels.
    pub width: usize,
    /// The weights; the same scale for all classes, so that colours compare.
    pub values: Vec<f32>,
}

/// Counts over bins of equal width.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Lower edge of the first bin.
    pub low: f64,
    /// Upper edge of the last bin.
    pub high: f64,
    /// Values in each bin; exact zeros are left out.
    pub counts: Vec<u64>,
    /// Values that are exactly zero.
    pub num_zero: u64,
    /// All values, zeros included.
    pub num_weights: u64,
    /// Root mean square of all values.
    pub rms: f64,
}

/// The cost J = data loss + penalty along one direction, on a fixed part of the training samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Landscape {
    /// What varies, such as `weight layer.weight[31, 4]` or `from the first to the last weights`.
    pub label: String,
    /// Training samples that the cost is the mean of.
    pub num_samples: usize,
    /// Coordinates: the weight's value, or 0 at the first and 1 at the last weights.
    pub at: Vec<f64>,
    /// J at each coordinate.
    pub cost: Vec<f64>,
    /// The optimiser's way: weights after some updates, projected on the direction.
    pub path: Vec<PathPoint>,
}

/// A place on the optimiser's way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PathPoint {
    /// Updates done.
    pub step: u64,
    /// Coordinate of its projection.
    pub at: f64,
    /// J at the weights themselves, which need not lie on the line.
    pub cost: f64,
}
