//! How a model did on the validation split.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a model did on the validation split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Validation {
    /// Higher is better: the model of the best epoch is kept.
    pub(crate) score: f64,
    /// Decides between equal scores; lower is better.
    pub(crate) data_loss: f64,
    /// Share of right predictions; absent for embeddings.
    pub(crate) accuracy: Option<f64>,
    /// What else the metrics tell of; those of the best epoch are in the summary.
    pub(crate) measures: BTreeMap<String, f64>,
}

impl Validation {
    /// Whether this is better than the best so far.
    pub(crate) fn is_better_than(&self, best: &Self) -> bool {
        self.score > best.score || (self.score == best.score && self.data_loss < best.data_loss)
    }
}
