//! Ways to train. A recipe says what is minimised and how a model is judged; the loop is common to all.

mod distill;
mod metric_learning;
mod self_train;
pub(crate) mod supervised;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use mentor_data::BadImage;
use mentor_model::{Head, Model, ModelSpec};
use mentor_run::TrainEvent;

use crate::engine::error::TrainError;
use crate::engine::objective::Objective;
use crate::plan::Plan;
use crate::plan::loss::LossPlan;
use crate::recipes::metric_learning::Ranking;
pub use crate::recipes::self_train::{Labelling, label};
use mentor_run::{RunDir, Summary};

use crate::engine::training_data::{TrainingData, quarantined};
use crate::engine::training_loop::{Job, run};
use crate::recipes::supervised::Supervised;

/// How a call of [`train`] ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The run is complete.
    Complete(Summary),
    /// The run was complete before.
    AlreadyComplete(Summary),
    /// `stop` was set; a checkpoint was written, and the same call continues.
    Interrupted {
        /// Updates done.
        step: u64,
    },
}

/// Why a recipe of several stages ends early.
enum Halt {
    /// By the user, after this many updates of the stage.
    Stopped {
        step: u64,
    },
    Failed(TrainError),
}

impl<E: Into<TrainError>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Halt {
    /// What the caller of the recipe is told.
    fn ended(result: Result<Outcome, Self>) -> Result<Outcome, TrainError> {
        match result {
            Ok(outcome) => Ok(outcome),
            Err(Self::Stopped { step }) => Ok(Outcome::Interrupted { step }),
            Err(Self::Failed(error)) => Err(error),
        }
    }
}

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

/// Says, once a run, what is worth knowing of its data, and lists the images that were left out.
fn tell_of_data(
    plan: &Plan,
    data: &TrainingData,
    run_dir: &RunDir,
    observer: &mut dyn FnMut(&TrainEvent),
) -> Result<(), TrainError> {
    for note in &data.notes {
        observer(&TrainEvent::Warning(note.to_string()));
    }
    if plan.patience > 0 && data.val.is_none() {
        let text = "--patience stops nothing here: there is no validation split; give --val-fraction a share";
        observer(&TrainEvent::Warning(text.to_owned()));
    }
    if plan.options.on_bad_image == BadImage::Quarantine {
        run_dir.write("quarantine.txt", quarantined(&data.notes).as_bytes())?;
    }
    Ok(())
}

/// What labels alone teach, and the head that learns it.
fn of_labels<'a>(
    plan: &'a Plan,
    data: &'a TrainingData,
    device: &Device,
) -> Result<(Box<dyn Objective + 'a>, Head), TrainError> {
    Ok(match &plan.loss {
        LossPlan::Scores(loss) => {
            let loss = loss.build(data.classes().len())?;
            (Box::new(Supervised::new(plan, data, loss, device.clone())), data.classifier())
        }
        LossPlan::Ranking(ranking) => {
            (Box::new(Ranking::new(plan, ranking, data, device.clone())?), ranking.head())
        }
    })
}

/// What is trained, and on what.
pub(crate) struct Trainee<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) data: &'a TrainingData,
    pub(crate) objective: &'a dyn Objective,
    pub(crate) head: Head,
}

impl Trainee<'_> {
    /// The summary of the complete run in `place`, if there is one.
    ///
    /// # Errors
    ///
    /// When it learned from something else, or is damaged.
    pub(crate) fn completed(&self, place: &Path) -> Result<Option<Summary>, TrainError> {
        match RunDir::completed(place, &self.plan.to_config())? {
            Some(summary) if summary.data_blake3 != self.data.fingerprint => Err(TrainError::DataChanged),
            found => Ok(found),
        }
    }

    /// The network with its first weights.
    pub(crate) fn model(&self, device: &Device) -> Result<Model, TrainError> {
        network(self.plan, self.data, self.head, device)
    }
}

/// A network with its first weights.
fn network(plan: &Plan, data: &TrainingData, head: Head, device: &Device) -> Result<Model, TrainError> {
    let spec = ModelSpec {
        architecture: plan.architecture.to_string(),
        input: data.input(),
        head,
        dropout: plan.dropout,
        stochastic_depth: plan.stochastic_depth,
    };
    Ok(Model::new(&spec, plan.seed, device)?)
}

/// Trains into the run directory, or continues there.
pub(crate) fn train_on(
    trainee: &Trainee<'_>,
    run_dir: &RunDir,
    device: &Device,
    device_name: &str,
    stop: &AtomicBool,
    observer: &mut dyn FnMut(&TrainEvent),
) -> Result<Outcome, TrainError> {
    let Trainee { plan, data, objective, .. } = *trainee;
    let device = device.clone().autodiff();
    let model = trainee.model(&device)?;
    for warning in objective.warnings() {
        observer(&TrainEvent::Warning(warning.clone()));
    }
    let job = Job { plan, run_dir, data, objective, device, device_name };
    run(&job, model, stop, observer)
}
