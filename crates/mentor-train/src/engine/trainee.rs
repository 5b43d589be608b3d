//! The network of a plan, its data and its objective, trained into a run directory.

use std::path::Path;

use burn::tensor::Device;
use mentor_model::{Head, Model, ModelSpec, TensorNames};
use mentor_run::{RunDir, Summary};

use crate::engine::analysed::Analysed;
use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::engine::job::{Files, Job};
use crate::engine::outcome::Outcome;
use crate::engine::training_data::TrainingData;
use crate::engine::training_loop::run;
use crate::inference::{FirstWeights, first_weights};
use crate::plan::Plan;

/// What a recipe trains, and on what.
pub(crate) struct Trainee<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) data: &'a TrainingData,
    pub(crate) objective: &'a dyn Analysed,
    pub(crate) head: Head,
}

impl Trainee<'_> {
    /// The summary of the complete run in `place`, if there is one.
    ///
    /// # Errors
    ///
    /// When it learned from something else, or is damaged.
    pub(crate) fn completed(&self, place: &Path) -> Result<Option<Summary>, TrainError> {
        match RunDir::completed_elsewhere(place, &self.plan.to_config())? {
            Some((run, summary)) if summary.data_blake3 != self.data.fingerprint => {
                Err(run.other_run().map_or(TrainError::DataChanged, TrainError::from))
            }
            found => Ok(found.map(|(_, summary)| summary)),
        }
    }

    /// The network with its first weights.
    pub(crate) fn model(&self, device: &Device) -> Result<Model, TrainError> {
        Ok(network(self.plan, self.data, self.head, device)?.model)
    }

    /// The summary of a complete run whose data has another name now.
    ///
    /// # Errors
    ///
    /// When what has that name is not the same.
    pub(crate) fn found_elsewhere(&self, run_dir: &RunDir) -> Result<Option<Summary>, TrainError> {
        let Self { plan, data, objective, .. } = *self;
        let Some(other) = run_dir.other_run().filter(|_| run_dir.is_complete()) else { return Ok(None) };
        let summary = run_dir.summary()?;
        // What there is beside the data, such as teachers, only a checkpoint remembers.
        let remembered = objective.fingerprint().is_none() || run_dir.has_checkpoints();
        if summary.data_blake3 != data.fingerprint || !remembered {
            return Err(other.into());
        }
        if objective.fingerprint().is_some() {
            return Ok(None);
        }
        run_dir.adopt(&plan.to_config())?;
        Ok(Some(summary))
    }

    /// Trains into the run directory, or continues there.
    pub(crate) fn train(&self, run_dir: &RunDir, execution: &Execution<'_>) -> Result<Outcome, TrainError> {
        let Self { plan, data, objective, head } = *self;
        let config = plan.to_config();
        if let Some(summary) = self.found_elsewhere(run_dir)? {
            return Ok(Outcome::AlreadyComplete(summary));
        }
        let device = execution.device().clone().autodiff();
        let FirstWeights { model, notes } = network(plan, data, head, &device)?;
        notes.iter().chain(objective.warnings()).for_each(|warning| execution.warn(warning.clone()));
        let job = Job {
            training: &plan.training,
            data,
            objective,
            analysis: Some(objective),
            files: Some(Files { dir: run_dir, config }),
            backbone: None,
            loss: &plan.loss,
            device,
            execution,
        };
        Ok(run(&job, model)?.map(|trained| trained.summary))
    }
}

/// A network with its first weights, random or those that the plan names.
pub(crate) fn network(
    plan: &Plan,
    data: &TrainingData,
    head: Head,
    device: &Device,
) -> Result<FirstWeights, TrainError> {
    let spec = ModelSpec {
        architecture: plan.architecture.to_string(),
        input: data.input(),
        head,
        dropout: plan.dropout,
        stochastic_depth: plan.stochastic_depth,
    };
    let model = Model::new(&spec, plan.training.seed, device)?;
    let mut first = match &plan.init_from {
        None => FirstWeights { model, notes: Vec::new() },
        Some(from) => first_weights(model, from, &TensorNames::default(), data.classes())?,
    };
    first.model = first.model.freeze(&plan.freeze)?;
    Ok(first)
}
