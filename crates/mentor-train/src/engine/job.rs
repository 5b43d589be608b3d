//! One training of one network.

use burn::tensor::Device;
use mentor_run::RunDir;

use crate::engine::objective::Objective;
use crate::engine::training_data::TrainingData;
use crate::plan::Plan;

/// What does not change over a run.
pub(crate) struct Job<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) run_dir: &'a RunDir,
    pub(crate) data: &'a TrainingData,
    pub(crate) objective: &'a dyn Objective,
    /// With gradients.
    pub(crate) device: Device,
    pub(crate) device_name: &'a str,
}
