//! `summary.json`: the result of a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use mentor_metrics::{Interval, accuracy_interval};

use super::backbone::BackboneRecord;
use super::certificate::Certificate;
use super::distillation::{BaselineSummary, TeacherSummary};
use super::self_training::{DistilledSummary, RoundSummary};

/// `summary.json`: the run in a few numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// Accuracy of the chosen model on the validation split; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_accuracy: Option<f64>,
    /// Its 95 % interval of Wilson; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_accuracy_interval: Option<Interval>,
    /// Validation loss of the chosen model, penalty included; absent without validation samples, or if they
    /// define nothing to choose by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_loss: Option<f64>,
    /// Validation samples; 0 in files of earlier versions.
    #[serde(default)]
    pub num_val: usize,
    /// Training loss of epoch `best_epoch`, penalty included, at the weights during it (see
    /// `EpochMetrics::train_loss`).
    pub train_loss: f64,
    /// Training accuracy of epoch `best_epoch`; absent for embeddings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_accuracy: Option<f64>,
    /// Training loss of the last epoch, which may be another one; absent in older files, whose `train_loss`
    /// it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_train_loss: Option<f64>,
    /// Training accuracy of the last epoch; absent for embeddings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_train_accuracy: Option<f64>,
    /// Updates done, or iterations of a solver that stops at a gap.
    pub steps: u64,
    /// Epochs done; 0 of a solver that stops at a gap.
    pub epochs: usize,
    /// The epoch that the chosen weights are from, counted from 1: the last one without validation samples,
    /// or if they define nothing to choose by; 0 of a solver that stops at a gap.
    pub best_epoch: usize,
    /// Why training ended before its last epoch, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// Seconds of training and validation, over all continuations.
    pub wall_secs: f64,
    /// Trainable parameters.
    pub num_params: usize,
    /// Penalised weights that are exactly zero.
    pub num_zero_weights: usize,
    /// Penalised weights in all.
    pub num_weights: usize,
    /// Root mean square of the penalised weights.
    pub weight_rms: f64,
    /// blake3 of the chosen weights.
    pub weights_blake3: String,
    /// blake3 of `model.json` without its calibration; runs of older versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_blake3: Option<String>,
    /// blake3 of the training and validation data.
    pub data_blake3: String,
    /// What the device was, such as `cpu`.
    pub device: String,
    /// Version of mentor that wrote it.
    pub mentor_version: String,
    /// The pretrained network that the model stands on, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backbone: Option<BackboneRecord>,
    /// Seconds in which its features were computed, or read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features_secs: Option<f64>,
    /// Of a student: its teachers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<TeacherSummary>,
    /// Of a student: the same network trained from scratch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineSummary>,
    /// Of self-training: accuracy of the chosen model on the test split, which was opened once, at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// Of self-training: its rounds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<RoundSummary>,
    /// Of self-training: the small model that it ended with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distilled: Option<DistilledSummary>,
    /// Of a linear classifier that was trained to a gap, or certified: what is proven of its weights.
    #[serde(flatten)]
    pub certificate: Option<Certificate>,
    /// What else the recipe measured of the chosen model on the validation split, by name.
    #[serde(flatten)]
    pub measures: BTreeMap<String, f64>,
}

impl Summary {
    /// Names the weights, the data and the device; all that is measured is absent or 0 until it is set.
    pub fn new(weights_blake3: String, data_blake3: String, device: String) -> Self {
        Self {
            val_accuracy: None,
            val_accuracy_interval: None,
            val_loss: None,
            num_val: 0,
            train_loss: 0.0,
            train_accuracy: None,
            last_train_loss: None,
            last_train_accuracy: None,
            steps: 0,
            epochs: 0,
            best_epoch: 0,
            stopped: None,
            wall_secs: 0.0,
            num_params: 0,
            num_zero_weights: 0,
            num_weights: 0,
            weight_rms: 0.0,
            weights_blake3,
            model_blake3: None,
            data_blake3,
            device,
            mentor_version: env!("CARGO_PKG_VERSION").to_owned(),
            backbone: None,
            features_secs: None,
            teacher: None,
            baseline: None,
            test_accuracy: None,
            rounds: Vec::new(),
            distilled: None,
            certificate: None,
            measures: BTreeMap::new(),
        }
    }

    /// Sets the accuracy on the `num_val` validation samples, and the interval that they give it.
    pub fn set_val_accuracy(&mut self, accuracy: f64) {
        self.val_accuracy = Some(accuracy);
        self.val_accuracy_interval = Some(accuracy_interval(accuracy, self.num_val));
    }
}
