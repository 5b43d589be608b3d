//! Supervised training: labels → classifier.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Device, Tensor};
use mentor_data::{Augment, Dataset, HostBatch, Order};
use mentor_loss::ScoreLoss;
use mentor_metrics::classification::{SampleResult, summarise};
use mentor_model::{Model, Pass};
use mentor_run::RunDir;

use crate::analysis::classifier::analyse;
use crate::analysis::subject::Subject;
use crate::analysis::trajectory::Trajectory;
use crate::engine::error::TrainError;
use crate::engine::objective::{BatchLoss, Objective};
use crate::engine::training_data::TrainingData;
use crate::engine::validation::Validation;
use crate::inference::device::targets_to_device;
use crate::inference::error::{InferenceError, NEVER};
use crate::inference::evaluate::{evaluate_samples, in_order};
use crate::plan::Plan;
use crate::plan::loss::{LossPlan, ScoreLossPlan};

/// The mean of a loss on scores, judged by accuracy.
pub(crate) struct Supervised<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) data: &'a TrainingData,
    loss: ScoreLoss,
    order: Order,
    /// Without gradients.
    device: Device,
}

impl<'a> Supervised<'a> {
    pub(crate) fn new(plan: &'a Plan, data: &'a TrainingData, loss: ScoreLoss, device: Device) -> Self {
        // The exact gradient is a sum over all samples: its order is that of the data.
        let order = if plan.optimizer.full_batch { Order::Sequential } else { Order::Shuffled };
        Self { plan, data, loss, order, device }
    }

    /// With the samples in another order.
    pub(crate) fn in_order(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// Every sample of `dataset`, in order, until `stop` is set.
    pub(crate) fn evaluate(
        &self,
        model: &Model,
        dataset: &Arc<Dataset>,
        stop: &AtomicBool,
    ) -> Result<Vec<SampleResult>, InferenceError> {
        let Self { plan, data, loss, device, .. } = self;
        let batch_size = plan.optimizer.batch_size;
        let loader = in_order(dataset, &data.preprocessing, batch_size);
        evaluate_samples(model, loss, None, &loader, device, stop)
    }
}

impl Objective for Supervised<'_> {
    fn order(&self) -> Order {
        self.order.clone()
    }

    fn batch_loss(
        &self,
        model: &Model,
        images: Tensor<4>,
        batch: &HostBatch,
        pass: &Pass<'_>,
    ) -> Result<BatchLoss, TrainError> {
        let targets = targets_to_device(&batch.targets, &images.device());
        let scores = model.scores(images, pass);
        let losses = self.loss.per_sample(scores.clone(), targets); // [B]
        Ok(BatchLoss { losses, scores: Some(scores), measures: Vec::new() })
    }

    fn validate(&self, model: &Model) -> Result<Option<Validation>, TrainError> {
        let Some(val) = &self.data.val else { return Ok(None) };
        let evaluation = summarise("val", self.data.classes(), &self.evaluate(model, val, &NEVER)?, 0.0);
        Ok(Some(Validation {
            score: Some(evaluation.accuracy),
            data_loss: Some(evaluation.data_loss),
            accuracy: Some(evaluation.accuracy),
            ..Validation::default()
        }))
    }

    fn loss_of_zero_scores(&self) -> Option<f64> {
        let LossPlan::Scores(loss) = &self.plan.loss else { return None };
        // An SVM with the margin 0 has the loss 0 there, which says nothing.
        Some(loss.of_zero_scores(self.data.classes().len())).filter(|&loss| loss > 0.0)
    }

    fn reason_to_stop(&self, train_data_loss: f64) -> Option<String> {
        let Plan { penalty, dropout, stochastic_depth, augment, .. } = self.plan;
        let noise = *dropout > 0.0 || *stochastic_depth > 0.0 || *augment != Augment::None;
        let svm = matches!(self.plan.loss, LossPlan::Scores(ScoreLossPlan::Svm { .. }));
        (svm && train_data_loss == 0.0 && penalty.is_zero() && !noise).then(|| {
            "the SVM's data loss is exactly 0 and nothing is penalised, so that the gradient is 0 and further updates change nothing; add --l2, raise --margin, or use --loss softmax to go on"
                .to_owned()
        })
    }

    fn analyse(
        &self,
        run_dir: &RunDir,
        chosen: &Model,
        last: &Model,
        trajectory: &Trajectory,
        stop: &AtomicBool,
    ) -> Result<(), TrainError> {
        let judge = |model: &Model, dataset: &Arc<Dataset>| self.evaluate(model, dataset, stop);
        let TrainingData { train, val, .. } = self.data;
        let subject = Subject { plan: self.plan, train, val: val.as_ref(), judge: &judge };
        Ok(run_dir.write_json("analysis.json", &analyse(&subject, chosen, last, trajectory)?)?)
    }
}
