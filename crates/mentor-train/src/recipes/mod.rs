//! The recipes: each says what is minimised and how a model is evaluated. They share one training loop.

mod distill;
mod fine_tune;
mod frozen;
mod labels;
mod metric_learning;
mod optimum;
mod self_train;
mod supervised;
mod told;

use std::path::Path;

use mentor_data::{DataError, OpenOptions, Source};
use mentor_run::RunDir;

use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::engine::outcome::Outcome;
use crate::inference::model_file::ModelFile;
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
    let ended = of_recipe(plan, out, execution);
    execution.ranks().leave(ended.as_ref());
    ended
}

fn of_recipe(plan: &Plan, out: &Path, execution: &Execution<'_>) -> Result<Outcome, TrainError> {
    if let Some(summary) = RunDir::completed(out, &plan.to_config())? {
        check_unchanged(plan, out)?;
        if let Recipe::Frozen(frozen) | Recipe::FineTune(frozen) = &plan.recipe {
            frozen::check_unchanged(frozen, &summary)?;
        }
        return Ok(Outcome::AlreadyComplete(summary));
    }
    match &plan.recipe {
        Recipe::Labels => labels::train(plan, out, execution),
        Recipe::Optimum(optimum) => optimum::train(plan, optimum, out, execution),
        Recipe::Frozen(frozen) => match &frozen.pool {
            None => frozen::train(plan, frozen, out, execution),
            Some(pool) => self_train::train_head(plan, frozen, pool, out, execution),
        },
        Recipe::FineTune(frozen) => fine_tune::train(plan, frozen, out, execution),
        Recipe::Distill(distill) => distill::train(plan, distill, out, execution),
        Recipe::SelfTrain(self_train) => self_train::train(plan, self_train, out, execution),
    }
}

/// Compares the labelled data of a complete run with what is there now: its name may lead to other images,
/// from another folder or after a change. Every file is read and none decoded. Data that is gone is not
/// missed: the run is complete without it. Of older runs nothing is recorded to compare with.
fn check_unchanged(plan: &Plan, out: &Path) -> Result<(), TrainError> {
    let recorded = ModelFile::read(&RunDir::open(out)?).ok().and_then(|file| file.source_blake3);
    let Some(recorded) = recorded else { return Ok(()) };
    // Size and colour are not compared, and would be decided by decoding images.
    let (size, channels) = (plan.options.size.or(Some([32, 32])), plan.options.channels.or(Some(1)));
    let options = OpenOptions { size, channels, ..plan.options.clone() };
    let source = match Source::open(&plan.source, &options) {
        Err(DataError::NoDataSet { .. }) => return Ok(()),
        Err(DataError::Empty { .. } | DataError::OneClass { .. }) if plan.distill().is_some() => {
            Source::open_unlabelled(&plan.source, &options)?
        }
        opened => opened?,
    };
    if source.fingerprint() == recorded { Ok(()) } else { Err(TrainError::DataChanged) }
}
