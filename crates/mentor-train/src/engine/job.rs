//! One training of one network.

use burn::tensor::Device;
use mentor_run::{BackboneRecord, Config, RunDir};

use crate::engine::analysed::Analyse;
use crate::engine::execution::Execution;
use crate::engine::objective::Objective;
use crate::engine::objective::validation_set::ValidationSet;
use crate::engine::training_data::TrainingData;
use crate::plan::{LossPlan, TrainingPlan};

/// What does not change over a training.
pub(crate) struct Job<'a> {
    pub(crate) training: &'a TrainingPlan,
    pub(crate) data: &'a TrainingData,
    pub(crate) objective: &'a dyn Objective,
    /// What looks at the trained model.
    pub(crate) analysis: Option<&'a dyn Analyse>,
    /// Where the run is kept, if it is.
    pub(crate) files: Option<Files<'a>>,
    /// The pretrained network that the first weights are of, if they are.
    pub(crate) backbone: Option<BackboneRecord>,
    /// The loss that the finished model is evaluated by.
    pub(crate) loss: &'a LossPlan,
    /// With gradients.
    pub(crate) device: Device,
    pub(crate) execution: &'a Execution<'a>,
}

/// Where a run is kept, and the resolved configuration that it is of.
pub(crate) struct Files<'a> {
    pub(crate) dir: &'a RunDir,
    pub(crate) config: Config,
}

impl<'a> Job<'a> {
    /// What models are judged on, if there is anything.
    pub(crate) fn validation_set(&self) -> Option<ValidationSet<'a>> {
        Some(ValidationSet {
            dataset: self.data.val.as_ref()?,
            preprocessing: &self.data.preprocessing,
            batch_size: self.training.optimizer.batch_size,
            device: self.execution.device(),
        })
    }
}
