//! The recipes: each says what is minimised and how a model is evaluated. They share one training loop.

mod distill;
mod labels;
mod metric_learning;
mod self_train;
mod supervised;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use mentor_run::{RunDir, TrainEvent};

use crate::engine::error::TrainError;
use crate::engine::trainee::{Trainee, tell_of_data, train_on};
use crate::engine::training_data::TrainingData;
use crate::plan::Plan;
use crate::recipes::labels::of_labels;

pub use crate::engine::outcome::Outcome;
pub use crate::recipes::self_train::{LabelInput, Labelling, estimate_self_training, label};

/// Trains what `plan` says into the directory `out`, or continues there.
///
/// `device_name` is what the summary calls the device. Once `stop` is set, the update under way is
/// finished and a checkpoint written. Nothing is written before the data has been read.
///
/// # Errors
///
/// [`TrainError`]; checkpoints written before stay as they are.
pub fn train(
    plan: &Plan,
    out: &Path,
    device: &Device,
    device_name: &str,
    stop: &AtomicBool,
    observer: &mut dyn FnMut(&TrainEvent),
) -> Result<Outcome, TrainError> {
    let config = plan.to_config();
    if let Some(summary) = RunDir::completed(out, &config)? {
        return Ok(Outcome::AlreadyComplete(summary));
    }
    if let Some(distill) = &plan.distill {
        return distill::distill(plan, distill, out, device, device_name, stop, observer);
    }
    if let Some(self_train) = &plan.self_train {
        return self_train::self_train(plan, self_train, out, device, device_name, stop, observer);
    }
    let data = TrainingData::load(plan)?;
    let (objective, head) = of_labels(plan, &data, device)?;
    let trainee = Trainee { plan, data: &data, objective: &*objective, head };
    // A network that cannot be built begins no run.
    trainee.model(device)?;
    let run_dir = RunDir::create(out, &config)?;
    tell_of_data(plan, &data, &run_dir, observer)?;
    train_on(&trainee, &run_dir, device, device_name, stop, observer)
}
