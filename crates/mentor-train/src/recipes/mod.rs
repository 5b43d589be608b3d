//! Ways to train. A recipe says what is minimised and how a model is judged; the loop is common to all.

mod distill;
mod labels;
mod metric_learning;
mod self_train;
mod supervised;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use mentor_data::{DataError, OpenOptions, Source};
use mentor_run::{RunDir, TrainEvent};

use crate::engine::error::TrainError;
use crate::engine::trainee::{Trainee, tell_of_data, train_on};
use crate::engine::training_data::TrainingData;
use crate::inference::model_file::ModelFile;
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
        check_unchanged(plan, out)?;
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
        Err(DataError::Empty { .. } | DataError::OneClass { .. }) if plan.distill.is_some() => {
            Source::open_unlabelled(&plan.source, &options)?
        }
        opened => opened?,
    };
    if source.fingerprint() == recorded { Ok(()) } else { Err(TrainError::DataChanged) }
}
