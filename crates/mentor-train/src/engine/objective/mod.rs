//! What is minimised, and how a model is judged. The loop does the rest for every objective.

pub(crate) mod batch_loss;
mod judged;
pub(crate) mod validation;
pub(crate) mod validation_set;

use std::num::NonZeroU64;

use burn::tensor::Tensor;
use mentor_data::{HostBatch, Order};
use mentor_loss::ScoreLoss;
use mentor_model::{Model, Pass};

use crate::engine::error::TrainError;
use crate::engine::objective::batch_loss::BatchLoss;
use crate::engine::objective::judged::Judged;
use crate::engine::objective::validation::Validation;
use crate::engine::objective::validation_set::ValidationSet;
use crate::inference::device::targets_to_device;

/// What is minimised, and how a model is judged.
///
/// Only [`Objective::batch_loss`] must be written; the loop of [`Trainer`](crate::Trainer) is the one that
/// recipes use too. A [`ScoreLoss`] is an objective: the mean of the loss, judged by accuracy.
///
/// ```
/// use burn::tensor::Tensor;
/// use mentor_data::HostBatch;
/// use mentor_model::{Model, Pass};
/// use mentor_train::{BatchLoss, Objective, TrainError};
///
/// /// The mean square of the scores, whatever the labels.
/// struct SmallScores;
///
/// impl Objective for SmallScores {
///     fn batch_loss(
///         &self,
///         model: &Model,
///         images: Tensor<4>,
///         _: &HostBatch,
///         pass: &Pass<'_>,
///     ) -> Result<BatchLoss, TrainError> {
///         let scores = model.scores(images, pass); // [B, C]
///         Ok(BatchLoss::new(scores.clone().square().mean_dim(1).squeeze_dim(1)).with_scores(scores)) // [B]
///     }
/// }
/// ```
pub trait Objective {
    /// The data loss of a batch, with its graph; `images` `[B, C, H, W]` are its pixels, on the device that
    /// computes. `pass` tells the model whether it trains, and [`Pass::draw`] the number of the draw of
    /// augmentation and dropout.
    ///
    /// # Errors
    ///
    /// Training ends with any.
    fn batch_loss(
        &self,
        model: &Model,
        images: Tensor<4>,
        batch: &HostBatch,
        pass: &Pass<'_>,
    ) -> Result<BatchLoss, TrainError>;

    /// Of a loss that compares the samples of a batch with each other: the same loss, from the embeddings of
    /// the batch alone. With virtual shards it is then taken of the whole batch, whichever shards its samples
    /// are in. `None`, the default: the loss of a batch is the mean of those of its shards, weighed by their
    /// samples.
    fn across_samples(&self) -> Option<&dyn AcrossSamples> {
        None
    }

    /// Judges a model without gradients. By default the mean of [`Objective::batch_loss`] in inference, and
    /// of labelled samples with scores their accuracy, which is then what chooses the model.
    ///
    /// # Errors
    ///
    /// Training ends with any.
    fn validate(&self, model: &Model, val: &ValidationSet<'_>) -> Result<Validation, TrainError> {
        let mut judged = Judged::default();
        val.for_each(|images, batch| {
            judged.add(self.batch_loss(model, images, batch, &Pass::Inference)?, batch);
            Ok(())
        })?;
        Ok(judged.validation(val.dataset()))
    }

    /// In which order the training samples come. The loader panics if the data has no such order
    /// ([`Loader::new`](mentor_data::Loader::new)).
    fn order(&self) -> Order {
        Order::Shuffled
    }

    /// How many fixed augmented versions of each image training shows; `None`: a new one every epoch.
    fn num_augmentations(&self) -> Option<NonZeroU64> {
        None
    }

    /// A hash of what is learned from beside the data, if anything: a run is continued with the same only.
    fn fingerprint(&self) -> Option<String> {
        None
    }

    /// What the user should hear before the first step.
    fn warnings(&self) -> &[String] {
        &[]
    }

    /// The mean data loss of a model whose scores are all zero, or more than that; `None` if it says nothing
    /// of a model.
    fn loss_of_zero_scores(&self) -> Option<f64> {
        None
    }

    /// Whether the weights of the last epoch are kept, and not those of the best one: where validation is too
    /// small to choose by.
    fn keeps_last(&self) -> bool {
        false
    }

    /// A sentence if training has nothing left to do, from the data loss of the last epoch.
    fn reason_to_stop(&self, _train_data_loss: f64) -> Option<String> {
        None
    }
}

/// A loss that compares the samples of a batch with each other.
pub trait AcrossSamples {
    /// The loss of the embeddings `[B, D]` of a batch, with its graph; the pixels have left `batch`.
    ///
    /// # Errors
    ///
    /// Training ends with any.
    fn loss_of_embeddings(&self, embeddings: Tensor<2>, batch: &HostBatch) -> Result<BatchLoss, TrainError>;
}

impl Objective for ScoreLoss {
    fn batch_loss(
        &self,
        model: &Model,
        images: Tensor<4>,
        batch: &HostBatch,
        pass: &Pass<'_>,
    ) -> Result<BatchLoss, TrainError> {
        if batch.targets.is_empty() {
            return Err(TrainError::Other("a loss on scores needs labels, and the images have none".into()));
        }
        let targets = targets_to_device(&batch.targets, &images.device());
        let scores = model.scores(images, pass);
        let losses = self.per_sample(scores.clone(), targets); // [B]
        Ok(BatchLoss::new(losses).with_scores(scores))
    }
}
