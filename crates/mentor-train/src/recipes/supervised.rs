//! Supervised training: labels → classifier.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Device, Tensor};
use mentor_data::{Augment, Dataset, HostBatch, Order};
use mentor_loss::ScoreLoss;
use mentor_metrics::classification::SampleResult;
use mentor_model::{Model, Pass};

use crate::analysis::classifier::analyse;
use crate::analysis::subject::Subject;
use crate::engine::analysed::{Analysed, Ended, Findings};
use crate::engine::error::TrainError;
use crate::engine::objective::{BatchLoss, Objective};
use crate::engine::training_data::TrainingData;
use crate::inference::error::InferenceError;
use crate::inference::evaluate::{evaluate_samples, in_order};
use crate::plan::loss::{LossPlan, ScoreLossPlan};
use crate::plan::{Plan, TrainingPlan};

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
        Self { plan, data, loss, order: Order::Shuffled, device }
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
        let batch_size = plan.training.optimizer.batch_size;
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
        self.loss.batch_loss(model, images, batch, pass)
    }

    fn loss_of_zero_scores(&self) -> Option<f64> {
        let LossPlan::Scores(loss) = &self.plan.loss else { return None };
        // An SVM with the margin 0 has the loss 0 there, which says nothing.
        Some(loss.of_zero_scores(self.data.classes().len())).filter(|&loss| loss > 0.0)
    }

    fn reason_to_stop(&self, train_data_loss: f64) -> Option<String> {
        let Plan { dropout, stochastic_depth, training, .. } = self.plan;
        let TrainingPlan { penalty, augment, .. } = training;
        let noise = *dropout > 0.0 || *stochastic_depth > 0.0 || *augment != Augment::None;
        let svm = matches!(self.plan.loss, LossPlan::Scores(ScoreLossPlan::Svm { .. }));
        (svm && train_data_loss == 0.0 && penalty.is_zero() && !noise).then(|| {
            "the SVM's data loss is exactly 0 and nothing is penalised, so that the gradient is 0 and further updates change nothing; add --l2, raise --margin, or use --loss softmax to go on"
                .to_owned()
        })
    }
}

impl Analysed for Supervised<'_> {
    fn analyse(&self, ended: &Ended<'_>) -> Result<Findings, TrainError> {
        let judge = |model: &Model, dataset: &Arc<Dataset>| self.evaluate(model, dataset, ended.stop);
        let TrainingData { train, val, .. } = self.data;
        let subject = Subject { plan: self.plan, train, val: val.as_ref(), judge: &judge };
        let analysis = analyse(&subject, ended.chosen, ended.last, ended.trajectory)?;
        Ok(Findings { analysis: Some(analysis), ..Findings::default() })
    }
}
