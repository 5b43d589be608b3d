//! What differs between recipes: the loss of a batch, how a model is judged, and what its analysis holds.
//!
//! The loop ([`mentor_train::training_loop`]) does the rest for all of them.

use std::num::NonZeroU64;
use std::sync::atomic::AtomicBool;

use burn::tensor::Tensor;
use mentor_data::{HostBatch, Order};
use mentor_model::{Model, Pass};
use mentor_run::{RunDir, Summary};

use crate::analysis::trajectory::Trajectory;
use crate::engine::error::TrainError;
use crate::engine::validation::Validation;

/// What a recipe minimises, and how it judges the result.
pub(crate) trait Objective {
    /// In which order the training samples come.
    fn order(&self) -> Order;

    /// How many fixed versions of each image training shows; `None`: a new one every epoch.
    fn views(&self) -> Option<NonZeroU64> {
        None
    }

    /// A hash of what is learned from beside the data; a run is continued with the same only. Empty where
    /// there is nothing else.
    fn lessons_blake3(&self) -> String {
        String::new()
    }

    /// What the user should hear before the first step.
    fn warnings(&self) -> &[String] {
        &[]
    }

    /// The data loss of a batch, with its graph; `images` are its pixels, on the device that trains.
    fn batch_loss(
        &self,
        model: &Model,
        images: Tensor<4>,
        batch: &HostBatch,
        pass: &Pass<'_>,
    ) -> Result<BatchLoss, TrainError>;

    /// Judges a model without autodiff on the validation split; `None` if there is none.
    fn validate(&self, model: &Model) -> Result<Option<Validation>, TrainError>;

    /// The mean data loss of a model whose scores are all zero, or more than that; `None` if it says nothing
    /// of a model.
    fn loss_of_zero_scores(&self) -> Option<f64> {
        None
    }

    /// A sentence where training has nothing left to do, from the data loss of the last epoch.
    fn reason_to_stop(&self, _train_data_loss: f64) -> Option<String> {
        None
    }

    /// Writes what the report draws: of the `chosen` model, and of the way to the `last` one. Ends with
    /// [`TrainError::Interrupted`] within a second or a batch once `stop` is set.
    fn analyse(
        &self,
        run_dir: &RunDir,
        chosen: &Model,
        last: &Model,
        trajectory: &Trajectory,
        stop: &AtomicBool,
    ) -> Result<(), TrainError>;

    /// Adds what only this recipe knows to the summary of the `chosen` model; called after
    /// [`Objective::analyse`].
    fn complete(&self, _: &RunDir, _: &mut Summary) -> Result<(), TrainError> {
        Ok(())
    }
}

/// The data loss of a batch of B samples.
pub(crate) struct BatchLoss {
    /// Their mean is minimised: `[B]`, one loss a sample, or `[1]`, one of the batch as a whole.
    pub(crate) losses: Tensor<1>,
    /// `[B, C]`, of which the accuracy is counted; `None` for embeddings.
    pub(crate) scores: Option<Tensor<2>>,
    /// What else the metrics tell of.
    pub(crate) measures: Vec<Measure>,
}

/// A named mean: a sum over batches divided by a weight over batches.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) sum: Sum,
    /// What the sum is divided by; the mean of an epoch with weight 0 is left out.
    pub(crate) weight: f64,
}

/// A number, where it is.
pub(crate) enum Sum {
    Host(f64),
    /// Values that are summed when the loop reads back from the device.
    Device(Box<Tensor<1>>),
}
