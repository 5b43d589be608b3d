//! Supervised training: labels → classifier.

use burn::tensor::{Device, Tensor};
use mentor_data::{Augment, HostBatch, Order};
use mentor_loss::ScoreLoss;
use mentor_model::{Model, Pass};
use mentor_run::Certificate;

use crate::engine::analysed::{Analyse, Ended, Findings};
use crate::engine::error::TrainError;
use crate::engine::objective::Objective;
use crate::engine::objective::batch_loss::BatchLoss;
use crate::engine::optimum::{certify, features};
use crate::engine::scored::Scored;
use crate::engine::training_data::TrainingData;
use crate::plan::loss::{LossPlan, ScoreLossPlan};
use crate::plan::{Plan, Recipe, TrainingPlan};

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
            "the SVM's data loss is exactly 0 and nothing is penalised, so that the gradient is 0 and \
             further updates change nothing; add --l2, raise --margin, or use --loss softmax to go on"
                .to_owned()
        })
    }
}

impl Supervised<'_> {
    /// What is proven of the weights that are kept.
    fn certify(&self, ended: &Ended<'_>) -> Result<Certificate, TrainError> {
        let Self { plan, data, loss, .. } = self;
        let features = features::of_images(&data.train, &data.preprocessing, ended.stop)?;
        certify(&features.task(data.classes().len(), loss, plan.training.penalty), ended.chosen, ended.stop)
    }
}

impl Analyse for Supervised<'_> {
    fn analyse(&self, ended: &Ended<'_>) -> Result<Findings, TrainError> {
        let Self { plan, data, loss, device, .. } = self;
        // A plan with a pretrained network has another one by name, which says nothing of it.
        let is_tuned = matches!(plan.recipe, Recipe::FineTune(_));
        let architecture = (!is_tuned).then_some(&plan.architecture);
        let certificate = if plan.certify { Some(self.certify(ended)?) } else { None };
        let found = Scored { architecture, training: &plan.training, data, loss, device }.analyse(ended)?;
        Ok(Findings { certificate, ..found })
    }
}
