//! The events of training. Observers turn them into progress bars and `metrics.jsonl`.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use super::certificate::IterationMetrics;
use super::summary::Summary;

/// Something that happened in a run, in the order in which it happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TrainEvent {
    /// A part of the work begins, in a few words; each part that trains has its own `Started` and `Finished`.
    Stage(String),
    /// What a recipe of several stages is about to train, and about how long it takes.
    Planned(Vec<PlannedStage>),
    /// The first event: what is about to run.
    Started(Started),
    /// One update of the weights.
    Step(StepMetrics),
    /// One epoch, with its validation.
    Epoch(EpochMetrics),
    /// One iteration of a solver that stops at a gap.
    Iteration(IterationMetrics),
    /// One model of the cross-validation of penalties.
    PathModel(PathModel),
    /// A checkpoint was written.
    Checkpoint {
        /// Updates done when it was written.
        step: u64,
    },
    /// Something the user should hear, once.
    Warning(String),
    /// Training ended before its last epoch.
    StoppedEarly {
        /// A sentence that says why.
        reason: String,
    },
    /// The last event: the run is complete.
    Finished(Box<Summary>),
}

/// A model that judges a penalty on a fold. Folds are trained side by side, so that their order is chance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PathModel {
    /// Models that are trained, this one among them.
    pub num_done: u64,
    /// Penalties times folds.
    pub num_models: u64,
    /// Counted from 0.
    pub fold: u64,
    /// λ of Σw².
    pub l2: f64,
    /// λ of Σ|w|.
    pub l1: f64,
    /// Mean loss of the samples left out.
    pub val_loss: f64,
}

/// A stage of self-training before it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedStage {
    /// Such as `teacher` or `round 2`.
    pub name: String,
    /// Name of the network.
    pub model: String,
    /// Updates, or of a stage whose length is yet to be found the most that it makes.
    pub updates: u64,
    /// Whether it may make fewer.
    pub at_most: bool,
    /// Seconds of these updates, from a few that were timed; validation and labelling come on top.
    pub secs: f64,
}

/// What is about to run.
#[derive(Clone, Debug)]
pub struct Started {
    /// Name of the model.
    pub model: String,
    /// Trainable parameters.
    pub num_params: usize,
    /// Classes.
    pub num_classes: usize,
    /// Samples of the training split.
    pub num_train: usize,
    /// Samples of the validation split.
    pub num_val: usize,
    /// Epochs of the whole run; 0 of a solver that stops at a gap.
    pub epochs: usize,
    /// The updates that the epochs are to make at least, if there are more of them than planned for that.
    pub min_updates: Option<NonZeroU64>,
    /// Updates of one epoch.
    pub steps_per_epoch: u64,
    /// Batches (forward passes) of one epoch.
    pub batches_per_epoch: usize,
    /// Margin of a ranking loss.
    pub margin: Option<f64>,
    /// Updates already done by the run that this one continues; 0 for a new one.
    pub resumed_step: u64,
}

/// One update of the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Updates done, this one included.
    pub step: u64,
    /// Epoch it belongs to, from 0.
    pub epoch: usize,
    /// Mean data loss of the samples of the update, at the weights before it.
    pub data_loss: f64,
    /// Learning rate of the update.
    pub learning_rate: f64,
    /// Samples of the update.
    pub num_samples: usize,
}

/// One epoch: training means over its batches as they came, validation after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// From 0.
    pub epoch: usize,
    /// Updates done.
    pub step: u64,
    /// Learning rate of the last update.
    pub learning_rate: f64,
    /// `train_data_loss + penalty`: the mean of the objective over the samples, each at the weights that its
    /// update starts from. With `gd` it is J at the weights before the epoch.
    pub train_loss: f64,
    /// Mean data loss of the training samples, each at the weights that its update starts from.
    pub train_data_loss: f64,
    /// Accuracy of the training samples, each at the weights that its update starts from; absent for
    /// embeddings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_accuracy: Option<f64>,
    /// Mean of λ R(W) over the training samples, each at the weights that its update starts from.
    pub penalty: f64,
    /// `val_data_loss` and the penalty of the weights that were judged, of their average where one is kept;
    /// absent without validation samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_loss: Option<f64>,
    /// Mean data loss of the validation samples; of triplets the mean hinge over all valid ones of up to
    /// 2,048 samples, whatever is mined, at margin 0 for the soft margin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_data_loss: Option<f64>,
    /// Accuracy on the validation samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_accuracy: Option<f64>,
    /// Penalised weights that are exactly zero.
    pub num_zero_weights: usize,
    /// Root mean square of the penalised weights.
    pub weight_rms: f64,
    /// Seconds of the epoch's training.
    pub train_secs: f64,
    /// Of these, seconds spent waiting for the loader.
    pub loader_wait_secs: f64,
    /// Seconds of the validation.
    pub val_secs: f64,
    /// What else the recipe measures, by name.
    #[serde(flatten)]
    pub measures: BTreeMap<String, f64>,
}

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum MetricsLine {
    /// One update.
    Step(StepMetrics),
    /// One epoch.
    Epoch(EpochMetrics),
    /// One iteration of a solver that stops at a gap.
    Iteration(IterationMetrics),
}
