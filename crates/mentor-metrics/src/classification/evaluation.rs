//! Evaluation of scores: loss, accuracy, calibration, confusion, per class and per sample.

use serde::{Deserialize, Serialize};

use super::confusion::Confusion;

/// Bins of the expected calibration error.
pub const NUM_CALIBRATION_BINS: usize = 15;

/// What `mentor eval --json` prints, of at least one sample. What is undefined, such as the recall of a class
/// without samples, is `None` and `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// `train`, `val` or `test`.
    pub split: String,
    /// Samples evaluated.
    pub num_samples: usize,
    /// `data_loss + penalty`.
    pub loss: f64,
    /// Mean data loss.
    pub data_loss: f64,
    /// λ R(W).
    pub penalty: f64,
    /// Share of samples whose highest score is their target's; ties go to the lower class.
    pub accuracy: f64,
    /// 95 % Wilson interval of the accuracy, `[low, high]`; absent in files of earlier versions, as are the
    /// macro averages.
    #[serde(default)]
    pub accuracy_interval: Option<[f64; 2]>,
    /// Mean recall of the classes that have samples.
    #[serde(default)]
    pub macro_recall: Option<f64>,
    /// Mean F1 of the classes that have samples.
    #[serde(default)]
    pub macro_f1: Option<f64>,
    /// Share of samples whose target is among the five highest scores.
    pub top5_accuracy: f64,
    /// Expected calibration error of the softmax of the scores: 15 bins of equal width.
    pub ece: f64,
    /// One entry a class, in class order.
    pub per_class: Vec<ClassMetrics>,
    /// Which classes were taken for which.
    pub confusion: Confusion,
    /// The bins behind `ece`.
    pub calibration: Vec<CalibrationBin>,
}

/// Precision, recall and F1 of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Its name.
    pub class: String,
    /// Samples of the class.
    pub num_samples: u64,
    /// Samples predicted as the class.
    pub num_predicted: u64,
    /// Share of its predictions that are right; undefined if nothing was predicted as the class.
    pub precision: Option<f64>,
    /// Share of its samples that were found; undefined if it has none.
    pub recall: Option<f64>,
    /// 2·right / (samples + predictions), the harmonic mean of precision and recall where both are defined;
    /// undefined without samples and predictions.
    pub f1: Option<f64>,
}

/// One bin of the calibration plot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Samples in the bin.
    pub num_samples: u64,
    /// Their mean confidence; undefined without samples.
    pub confidence: Option<f64>,
    /// Their accuracy; undefined without samples.
    pub accuracy: Option<f64>,
}
