//! `path.json`: how cross-validation has chosen the penalty of a linear classifier.

use serde::{Deserialize, Serialize};

use super::Record;

/// The penalties that were tried, strongest first, and the chosen one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PenaltyPath {
    /// Parts that the training samples were divided into.
    pub folds: u64,
    /// `min` or `one-standard-error`.
    pub rule: String,
    /// By falling λ.
    pub points: Vec<PenaltyPoint>,
    /// The index of the point with the least validation loss.
    pub best: usize,
    /// The index of the strongest penalty whose loss is within one standard error of the least.
    pub one_standard_error: usize,
    /// The index of the point that the run was trained with.
    pub chosen: usize,
}

/// One penalty: means over the folds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PenaltyPoint {
    /// λ of Σw².
    pub l2: f64,
    /// λ of Σ|w|.
    pub l1: f64,
    /// Mean loss of the samples left out, without the penalty.
    pub val_loss: f64,
    /// The same of each fold; empty in files of older versions.
    #[serde(default)]
    pub fold_losses: Vec<f64>,
    /// Standard deviation of that loss between folds, with folds − 1 as the divisor.
    pub standard_deviation: f64,
    /// Standard error of the mean: the deviation over √folds.
    pub standard_error: f64,
    /// Share of the samples left out whose class has the largest score.
    pub val_accuracy: f64,
    /// Weights that are not 0.
    pub num_nonzero_weights: f64,
    /// Largest relative gap of the models of the folds.
    pub relative_gap: f64,
}

impl PenaltyPath {
    /// The point that the run was trained with.
    pub fn chosen(&self) -> Option<&PenaltyPoint> {
        self.points.get(self.chosen)
    }
}

impl Record for PenaltyPath {
    fn check(&self) -> Result<(), String> {
        let places =
            [("best", self.best), ("chosen", self.chosen), ("one standard error", self.one_standard_error)];
        match places.into_iter().find(|(_, place)| *place >= self.points.len()) {
            Some((name, place)) => Err(format!("{name}: {place} is not one of {} points", self.points.len())),
            None => Ok(()),
        }
    }
}
