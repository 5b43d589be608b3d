//! The recipes: each says what is minimised and how a model is evaluated. They share one training loop.

mod distill;
mod labels;
mod metric_learning;
mod self_train;
mod supervised;
mod told;

use std::path::Path;

use mentor_run::RunDir;

use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::engine::outcome::Outcome;
use crate::plan::{Plan, Recipe};

pub use self::distill::DistillationObjective;
pub use self::self_train::{LabelInput, Labelling, estimate_self_training, label};

/// Trains what `plan` says into the directory `out`, or continues there.
///
/// Nothing is written before the data has been read.
///
/// # Errors
///
/// [`TrainError`]; checkpoints written before stay as they are.
pub fn train(plan: &Plan, out: &Path, execution: &Execution<'_>) -> Result<Outcome, TrainError> {
    if let Some(summary) = RunDir::completed(out, &plan.to_config())? {
        return Ok(Outcome::AlreadyComplete(summary));
    }
    match &plan.recipe {
        Recipe::Labels => labels::train(plan, out, execution),
        Recipe::Distill(distill) => distill::train(plan, distill, out, execution),
        Recipe::SelfTrain(self_train) => self_train::train(plan, self_train, out, execution),
    }
}
