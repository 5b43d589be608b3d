//! A network, its data and its objective, trained into a run directory.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use mentor_data::{BadImage, Note, SplitBy};
use mentor_model::{Architecture, Head, Model, ModelSpec};
use mentor_run::{RunDir, Summary, TrainEvent};

use crate::engine::error::TrainError;
use crate::engine::job::Job;
use crate::engine::objective::Objective;
use crate::engine::outcome::Outcome;
use crate::engine::training_data::{TrainingData, quarantined};
use crate::engine::training_loop::run;
use crate::plan::Plan;
use crate::plan::loss::LossPlan;

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
        match RunDir::completed_elsewhere(place, &self.plan.to_config())? {
            Some((run, summary)) if summary.data_blake3 != self.data.fingerprint => {
                Err(run.other_run().map_or(TrainError::DataChanged, TrainError::from))
            }
            found => Ok(found.map(|(_, summary)| summary)),
        }
    }

    /// The network with its first weights.
    pub(crate) fn model(&self, device: &Device) -> Result<Model, TrainError> {
        network(self.plan, self.data, self.head, device)
    }
}

/// A network with its first weights.
pub(crate) fn network(
    plan: &Plan,
    data: &TrainingData,
    head: Head,
    device: &Device,
) -> Result<Model, TrainError> {
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
    if run_dir.is_complete()
        && let Some(other) = run_dir.other_run()
    {
        let summary = run_dir.summary()?;
        // What there is beside the data, such as teachers, only a checkpoint remembers.
        let remembered = objective.lessons_blake3().is_empty() || run_dir.has_checkpoints();
        if summary.data_blake3 != data.fingerprint || !remembered {
            return Err(other.into());
        }
        if objective.lessons_blake3().is_empty() {
            run_dir.adopt(&plan.to_config())?;
            return Ok(Outcome::AlreadyComplete(summary));
        }
    }
    let device = device.clone().autodiff();
    let model = trainee.model(&device)?;
    for warning in objective.warnings() {
        observer(&TrainEvent::Warning(warning.clone()));
    }
    let job = Job { plan, run_dir, data, objective, device, device_name };
    run(&job, model, stop, observer)
}

/// Says, once a run, what is worth knowing of its data, and lists the images that were left out.
pub(crate) fn tell_of_data(
    plan: &Plan,
    data: &TrainingData,
    run_dir: &RunDir,
    observer: &mut dyn FnMut(&TrainEvent),
) -> Result<(), TrainError> {
    for note in &data.notes {
        observer(&TrainEvent::Warning(note.to_string()));
    }
    if plan.options.split_by == SplitBy::Class && matches!(plan.loss, LossPlan::Scores(_)) {
        let text = "--split-by class gives validation and test classes that a classifier never learns, so that its \
                    accuracy there is 0 and chooses no weights; it is for embeddings (--loss triplet, or mentor eval \
                    --retrieval)";
        observer(&TrainEvent::Warning(text.to_owned()));
    }
    if plan.patience > 0 && data.val.is_none() {
        let text = "--patience stops nothing here: there is no validation split; give --val-fraction a share";
        observer(&TrainEvent::Warning(text.to_owned()));
    }
    if let Some(advice) = advice_on_photographs(plan, data) {
        observer(&TrainEvent::Warning(advice));
    }
    if plan.options.on_bad_image == BadImage::Quarantine {
        run_dir.write("quarantine.txt", quarantined(&data.notes).as_bytes())?;
    }
    Ok(())
}

/// What a network without convolutions sees of colour pictures, or of ones that were shrunk: most of them are
/// photographs.
fn advice_on_photographs(plan: &Plan, data: &TrainingData) -> Option<String> {
    let dense = matches!(plan.architecture, Architecture::Linear | Architecture::Mlp { .. });
    let [channels, height, width] = data.input();
    let resized = data.notes.iter().any(|note| matches!(note, Note::Resized { .. }));
    (dense && (channels > 1 || resized)).then(|| {
        format!(
            "{} is trained on {height}x{width} pixels, each by itself; for photographs --model cnn is better, and --size 64x64 or \
             more shows it more",
            plan.architecture
        )
    })
}
