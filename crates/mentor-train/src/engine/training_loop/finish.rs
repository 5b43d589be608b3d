//! The end of a run: the chosen model, what is found in it, the summary.

use mentor_model::{Model, to_safetensors, weights_blake3, with_parameters};
use mentor_run::{DataConfig, MODEL_FORMAT, Summary};

use crate::engine::analysed::{Ended, Findings};
use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::engine::job::{Files, Job};
use crate::engine::outcome::Trained;
use crate::engine::training_data::TrainingData;
use crate::engine::training_loop::Run;
use crate::inference::model_file::{ModelData, ModelFile, model_blake3};
use crate::inference::model_loss::ModelLoss;
use crate::inference::weights::WeightStatistics;

impl Run<'_> {
    /// Chooses the model, analyses it, and writes the files of a complete run; `summary.json` last, because
    /// it marks the run complete. Once training is to stop it ends with [`TrainError::Interrupted`], and the
    /// same run finishes when it is called again.
    ///
    /// The chosen weights are those of the best epoch on the validation split, and the last ones without it
    /// or where nothing is defined on it.
    pub(super) fn finish(&self, last: &Model) -> Result<Trained, TrainError> {
        let job = self.job;
        let last = self.judged(last)?;
        let chosen = match self.best.as_slice() {
            [] => last.clone(),
            best => with_parameters(last.clone(), best.to_vec())?,
        };
        let summary = self.summary(&chosen);
        let ended = Ended {
            chosen: &chosen,
            last: &last,
            trajectory: &self.trajectory,
            epochs: &self.journal.epochs,
            stop: job.execution.stop(),
        };
        complete(job, &ended, summary)
    }

    /// What every recipe has in its summary.
    fn summary(&self, chosen: &Model) -> Summary {
        let Self { job, progress, .. } = self;
        let penalty = WeightStatistics::of(chosen).penalty(&job.training.penalty);
        // Both of the kept epoch, so that training and validation can be read side by side.
        let of_best = progress.best.as_ref().and_then(|best| best.train);
        let (train_loss, train_accuracy) = of_best.unwrap_or(progress.last_train);
        let best = progress.best.as_ref().map(|best| &best.validation);
        let mut summary = summary_of(chosen, job.data, job.execution);
        if let Some(best) = best {
            if let Some(accuracy) = best.accuracy {
                summary.set_val_accuracy(accuracy);
            }
            summary.val_loss = best.data_loss.map(|data_loss| data_loss + penalty);
            summary.measures = best.measures.clone();
        }
        (summary.train_loss, summary.train_accuracy) = (train_loss, train_accuracy);
        summary.last_train_loss = Some(progress.last_train.0);
        summary.last_train_accuracy = progress.last_train.1;
        (summary.steps, summary.epochs) = (progress.step, progress.epoch);
        summary.best_epoch = progress.best.as_ref().map_or(progress.epoch, |best| best.epoch + 1);
        summary.stopped = progress.stopped.clone();
        summary.wall_secs = progress.wall_secs;
        summary
    }
}

/// Writes the files of a complete run, its analysis among them; `summary.json` last, because it marks the run
/// complete.
pub(crate) fn complete(
    job: &Job<'_>,
    ended: &Ended<'_>,
    mut summary: Summary,
) -> Result<Trained, TrainError> {
    let chosen = ended.chosen;
    if let Some(files) = &job.files {
        let model_file = model_file(job, files, chosen, summary.weights_blake3.clone());
        summary.model_blake3 = model_blake3(&mentor_run::json::line(&model_file).expect("plain data")).ok();
        files.dir.write("model.safetensors", &to_safetensors(chosen)?)?;
        files.dir.write_json("model.json", &model_file)?;
    }
    let findings = job.analysis.map_or_else(|| Ok(Findings::default()), |it| it.analyse(ended))?;
    if let Some(files) = &job.files {
        findings.write(files.dir)?;
    }
    summary.backbone.clone_from(&job.backbone);
    findings.complete(&mut summary);
    if let Some(files) = &job.files {
        files.dir.write_json("summary.json", &summary)?;
    }
    Ok(Trained { model: chosen.clone(), summary })
}

/// What can be said of the weights, the data and the device alone.
pub(crate) fn summary_of(chosen: &Model, data: &TrainingData, execution: &Execution<'_>) -> Summary {
    let statistics = WeightStatistics::of(chosen);
    let device = execution.device_name().to_owned();
    let mut summary = Summary::new(weights_blake3(chosen), data.fingerprint.clone(), device);
    summary.num_val = data.val.as_ref().map_or(0, |val| val.len());
    summary.num_params = chosen.num_params();
    summary.num_zero_weights = statistics.num_zero;
    summary.num_weights = statistics.num_weights;
    summary.weight_rms = statistics.rms();
    summary
}

/// The description that stands beside the weights.
fn model_file(job: &Job<'_>, files: &Files<'_>, chosen: &Model, weights_blake3: String) -> ModelFile {
    let DataConfig { source, options, .. } = files.config.data.clone();
    ModelFile {
        format: MODEL_FORMAT,
        spec: chosen.spec().clone(),
        backbone: job.backbone.clone(),
        classes: job.data.classes().to_vec(),
        preprocessing: job.data.preprocessing.clone(),
        loss: ModelLoss::from(job.loss),
        penalty: job.training.penalty,
        data: ModelData { source, options },
        source_blake3: Some(job.data.source_blake3.clone()),
        weights_blake3,
        calibration: None,
    }
}
