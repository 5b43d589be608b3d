//! What a student minimises: mean CE of labelled images + ratio · mean CE of pseudo-labelled ones.

use burn::tensor::{Tensor, TensorData};
use mentor_data::{HostBatch, Order};
use mentor_loss::SoftmaxCrossEntropy;
use mentor_metrics::pseudo_labels::{LabelKind, SoftTarget};
use mentor_model::{Model, Pass};

use crate::engine::analysed::{Analyse, Ended, Findings};
use crate::engine::error::TrainError;
use crate::engine::objective::Objective;
use crate::engine::objective::batch_loss::{BatchLoss, Measure, Sum};
use crate::engine::objective::validation::Validation;
use crate::engine::objective::validation_set::ValidationSet;
use crate::inference::device::targets_to_device;
use crate::pseudo_labels::WeightRamp;
use crate::recipes::supervised::Supervised;

/// Where the targets of unlabelled images come from.
pub(super) enum Unlabelled {
    /// A teacher: targets, and which of them each sample after the labelled ones has; copies of an image
    /// share one.
    Given { targets: Vec<SoftTarget>, of_rows: Vec<u32>, kind: LabelKind },
    /// The network's own classes in this update (Lee), with the weight of the epoch.
    Own { ramp: WeightRamp, steps_per_epoch: f64 },
}

/// Labelled samples come first in the training set, and first in each batch.
pub(super) struct NoisyStudent<'a> {
    /// Judges and analyses on labels.
    pub(super) supervised: Supervised<'a>,
    pub(super) num_labelled: u32,
    pub(super) unlabelled: Unlabelled,
    /// Weight of the unlabelled images' loss, except for Lee's.
    pub(super) ratio: f64,
    /// With label smoothing, if any.
    pub(super) labelled_loss: SoftmaxCrossEntropy,
}

impl NoisyStudent<'_> {
    /// The loss of each unlabelled sample, and the weight of their mean.
    fn unlabelled(&self, scores: Tensor<2>, samples: &[u32], pass: &Pass<'_>) -> (Tensor<1>, f64) {
        let (num_rows, num_classes) = (samples.len(), scores.dims()[1]);
        match &self.unlabelled {
            Unlabelled::Given { targets, of_rows, kind } => {
                let target =
                    |&sample: &u32| &targets[of_rows[(sample - self.num_labelled) as usize] as usize];
                let rows = samples.iter().map(target);
                match kind {
                    LabelKind::Hard => {
                        let labels: Vec<u32> = rows.map(|target| target.top[0].0).collect();
                        let labels = targets_to_device(&labels, &scores.device());
                        (self.labelled_loss.per_sample(scores, labels), self.ratio)
                    }
                    LabelKind::Soft { .. } => {
                        let rows: Vec<f32> = rows.flat_map(|target| target.dense(num_classes)).collect();
                        let probabilities = TensorData::new(rows, [num_rows, num_classes]);
                        let probabilities = Tensor::from_data(probabilities, &scores.device());
                        (SoftmaxCrossEntropy::new().per_sample_soft(scores, probabilities), self.ratio)
                    }
                }
            }
            Unlabelled::Own { ramp, steps_per_epoch } => {
                // Cycled batches have a draw an update.
                let step = pass.draw() as f64;
                let own = scores.clone().detach().argmax(1).squeeze_dim(1);
                (self.labelled_loss.per_sample(scores, own), ramp.weight(step / steps_per_epoch))
            }
        }
    }
}

impl Objective for NoisyStudent<'_> {
    fn order(&self) -> Order {
        self.supervised.order()
    }

    fn batch_loss(
        &self,
        model: &Model,
        images: Tensor<4>,
        batch: &HostBatch,
        pass: &Pass<'_>,
    ) -> Result<BatchLoss, TrainError> {
        let device = images.device();
        let scores = model.scores(images, pass);
        let [num_samples, num_classes] = scores.dims();
        let num_labelled = batch.samples.iter().filter(|&&sample| sample < self.num_labelled).count();
        let labelled = scores.clone().slice([0..num_labelled, 0..num_classes]);
        let others = scores.slice([num_labelled..num_samples, 0..num_classes]);
        let targets = targets_to_device(&batch.targets[..num_labelled], &device);
        let right = labelled.clone().detach().argmax(1).squeeze_dim(1).equal(targets.clone()).float();
        let labelled = self.labelled_loss.per_sample(labelled, targets);
        let (others, weight) = self.unlabelled(others, &batch.samples[num_labelled..], pass);
        let loss = labelled.clone().mean() + others.clone().mean().mul_scalar(weight);
        let num_others = (num_samples - num_labelled) as f64;
        let measure =
            |name, values: Tensor<1>, weight| Measure { name, sum: Sum::Device(Box::new(values)), weight };
        let measures = vec![
            measure("labelled_loss", labelled, num_labelled as f64),
            measure("labelled_accuracy", right, num_labelled as f64),
            measure("unlabelled_loss", others, num_others),
            Measure { name: "unlabelled_weight", sum: Sum::Host(weight), weight: 1.0 },
        ];
        Ok(BatchLoss { losses: loss, scores: None, measures })
    }

    fn loss_of_zero_scores(&self) -> Option<f64> {
        let weight = match &self.unlabelled {
            Unlabelled::Given { .. } => self.ratio,
            Unlabelled::Own { ramp, .. } => ramp.final_weight,
        };
        Some((1.0 + weight) * self.supervised.loss_of_zero_scores()?)
    }

    fn validate(&self, model: &Model, val: &ValidationSet<'_>) -> Result<Validation, TrainError> {
        self.supervised.validate(model, val)
    }
}

impl Analyse for NoisyStudent<'_> {
    fn analyse(&self, ended: &Ended<'_>) -> Result<Findings, TrainError> {
        self.supervised.analyse(ended)
    }
}
