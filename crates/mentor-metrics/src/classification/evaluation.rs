//! Evaluation of scores: loss, accuracy, calibration, confusion, per class and per sample.

use serde::{Deserialize, Serialize};

/// Bins of the expected calibration error.
pub const NUM_CALIBRATION_BINS: usize = 15;

/// What `mentor eval --json` prints.
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
    /// Share of samples whose target is among the five highest scores.
    pub top5_accuracy: f64,
    /// Expected calibration error of the softmax of the scores: 15 bins of equal width.
    pub ece: f64,
    /// One entry a class, in class order.
    pub per_class: Vec<ClassMetrics>,
    /// `confusion[target][predicted]`, counts.
    pub confusion: Vec<Vec<u64>>,
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
    /// Share of its predictions that are right; 0 where nothing was predicted.
    pub precision: f64,
    /// Share of its samples that were found; 0 where there are none.
    pub recall: f64,
    /// Harmonic mean of precision and recall; 0 where both are.
    pub f1: f64,
}

/// One bin of the calibration plot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Samples in the bin.
    pub num_samples: u64,
    /// Their mean confidence.
    pub confidence: f64,
    /// Their accuracy.
    pub accuracy: f64,
}
