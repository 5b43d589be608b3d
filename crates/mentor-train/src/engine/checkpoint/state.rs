//! The state between two updates.

use std::collections::BTreeMap;

use mentor_model::NamedTensor;
use serde::{Deserialize, Serialize};

use crate::engine::objective::validation::Validation;

/// Where a run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Epoch under way, from 0.
    pub(crate) epoch: usize,
    /// Batches of it that are done.
    pub(crate) batch: usize,
    /// Updates done.
    pub(crate) step: u64,
    /// Sums over the batches of the epoch under way.
    pub(crate) totals: EpochTotals,
    /// Training loss and accuracy of the last whole epoch.
    pub(crate) last_train: (f64, Option<f64>),
    /// The best epoch so far.
    pub(crate) best: Option<Best>,
    /// Why training has ended, once it has.
    pub(crate) stopped: Option<String>,
    /// Seconds spent so far, over all continuations.
    pub(crate) wall_secs: f64,
    /// Fingerprint of the training and validation data.
    pub(crate) data_blake3: String,
    /// Hash of what else is learned from, such as teachers.
    #[serde(default)]
    pub(crate) lessons_blake3: String,
    /// Updates done at each row of the trajectory.
    pub(crate) trajectory_steps: Vec<u64>,
}

/// Sums over the batches of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EpochTotals {
    pub(crate) num_samples: u64,
    /// Absent for embeddings.
    pub(crate) num_correct: Option<u64>,
    pub(crate) data_loss: f64,
    /// λ R(W) of the weights that each sample's update started from.
    #[serde(default)]
    pub(crate) penalty: f64,
    pub(crate) train_secs: f64,
    pub(crate) loader_wait_secs: f64,
    /// Sum and weight of each measure of the recipe.
    pub(crate) measures: BTreeMap<String, (f64, f64)>,
}

impl EpochTotals {
    /// The mean of each measure that has a weight.
    pub(crate) fn means(&self) -> BTreeMap<String, f64> {
        let weighed = self.measures.iter().filter(|(_, (_, weight))| *weight > 0.0);
        weighed.map(|(name, (sum, weight))| (name.clone(), sum / weight)).collect()
    }
}

/// The best epoch so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    /// From 0.
    pub(crate) epoch: usize,
    pub(crate) validation: Validation,
    /// Training loss and accuracy of that epoch; absent in older checkpoints.
    #[serde(default)]
    pub(crate) train: Option<(f64, Option<f64>)>,
}

/// The state between two updates.
pub(crate) struct Checkpoint {
    pub(crate) progress: Progress,
    pub(crate) model: Vec<NamedTensor>,
    /// Weights of the best epoch; empty before the first validation.
    pub(crate) best: Vec<NamedTensor>,
    /// Moving average of the weights; empty where none is kept.
    pub(crate) average: Vec<NamedTensor>,
    /// Velocity of each parameter, of AdamW its first moment; empty without momentum.
    pub(crate) velocity: Vec<NamedTensor>,
    /// AdamW's second moment of each parameter; empty otherwise.
    pub(crate) squares: Vec<NamedTensor>,
    /// Flattened weights after some epochs, one after the other.
    pub(crate) trajectory: Vec<f32>,
}
