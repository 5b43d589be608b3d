//! The analysis of a classifier: each sample judged by a loss on scores.

use std::sync::Arc;

use burn::tensor::Device;
use mentor_data::Dataset;
use mentor_loss::ScoreLoss;
use mentor_model::{Architecture, Model};

use crate::analysis::classifier::analyse;
use crate::analysis::subject::Subject;
use crate::engine::analysed::{Analyse, Ended, Findings};
use crate::engine::error::TrainError;
use crate::engine::training_data::TrainingData;
use crate::inference::evaluate::{evaluate_samples, in_order};
use crate::plan::TrainingPlan;

/// A classifier, what it was trained on, and the loss that it is evaluated by.
pub(crate) struct Scored<'a> {
    pub(crate) architecture: Option<&'a Architecture>,
    pub(crate) training: &'a TrainingPlan,
    /// With labels.
    pub(crate) data: &'a TrainingData,
    pub(crate) loss: &'a ScoreLoss,
    /// Without gradients.
    pub(crate) device: &'a Device,
}

impl Analyse for Scored<'_> {
    fn analyse(&self, ended: &Ended<'_>) -> Result<Findings, TrainError> {
        let Self { architecture, training, data, loss, device } = *self;
        let judge = |model: &Model, dataset: &Arc<Dataset>| {
            let loader = in_order(dataset, &data.preprocessing, training.optimizer.batch_size);
            evaluate_samples(model, loss, None, &loader, device, ended.stop)
        };
        let subject = Subject {
            is_linear: architecture.is_some_and(Architecture::is_linear),
            penalty: training.penalty,
            epochs: training.epochs,
            train: &data.train,
            val: data.val.as_ref().filter(|val| val.is_labelled()),
            judge: &judge,
        };
        let analysis = analyse(&subject, ended.chosen, ended.last, ended.trajectory)?;
        Ok(Findings { analysis: Some(analysis), ..Findings::default() })
    }
}
