//! The end of a run: the chosen model, its analysis, the summary.

use std::sync::atomic::AtomicBool;

use mentor_model::{Model, NamedTensor, to_safetensors, weights_blake3, with_parameters};
use mentor_run::{MODEL_FORMAT, Summary};

use crate::analysis::trajectory::Trajectory;
use crate::engine::checkpoint::Progress;
use crate::engine::error::TrainError;
use crate::engine::job::Job;
use crate::inference::model_file::{ModelData, ModelFile, model_blake3};
use crate::inference::model_loss::ModelLoss;
use crate::inference::weights::WeightStatistics;

/// Writes the files of a complete run; `summary.json` last, because it marks the run complete. Once `stop` is
/// set it ends with [`TrainError::Interrupted`], and the same run finishes when it is called again.
///
/// `last` is without autodiff. The chosen weights are those of the best epoch on the validation split, and
/// the last ones without it or where nothing is defined on it.
pub(crate) fn finish(
    job: &Job<'_>,
    last: Model,
    best: Vec<NamedTensor>,
    progress: Progress,
    trajectory: &Trajectory,
    stop: &AtomicBool,
) -> Result<Summary, TrainError> {
    let chosen = if best.is_empty() { last.clone() } else { with_parameters(last.clone(), best)? };
    let statistics = WeightStatistics::of(&chosen);
    let penalty = statistics.penalty(&job.plan.penalty);
    let weights_blake3 = weights_blake3(&chosen);
    let model_file = ModelFile {
        format: MODEL_FORMAT,
        spec: chosen.spec().clone(),
        classes: job.data.classes().to_vec(),
        preprocessing: job.data.preprocessing.clone(),
        loss: ModelLoss::from(&job.plan.loss),
        penalty: job.plan.penalty,
        data: ModelData { source: Some(job.plan.source.clone()), options: job.plan.options.clone() },
        source_blake3: Some(job.data.source_blake3.clone()),
        weights_blake3: weights_blake3.clone(),
        calibration: None,
    };
    // Both of the kept epoch, so that training and validation can be read side by side.
    let of_best = progress.best.as_ref().and_then(|best| best.train);
    let (train_loss, train_accuracy) = of_best.unwrap_or(progress.last_train);
    let best = progress.best.as_ref().map(|best| &best.validation);
    let mut summary = Summary {
        val_accuracy: best.and_then(|best| best.accuracy),
        val_loss: best.and_then(|best| best.data_loss).map(|data_loss| data_loss + penalty),
        num_val: job.data.val.as_ref().map_or(0, |val| val.len()),
        train_loss,
        train_accuracy,
        last_train_loss: Some(progress.last_train.0),
        last_train_accuracy: progress.last_train.1,
        steps: progress.step,
        epochs: progress.epoch,
        best_epoch: progress.best.as_ref().map_or(progress.epoch, |best| best.epoch + 1),
        stopped: progress.stopped,
        wall_secs: progress.wall_secs,
        num_params: chosen.num_params(),
        num_zero_weights: statistics.num_zero,
        num_weights: statistics.num_weights,
        weight_rms: statistics.rms(),
        weights_blake3,
        model_blake3: model_blake3(&mentor_run::json::line(&model_file).expect("plain data")).ok(),
        data_blake3: progress.data_blake3,
        device: job.device_name.to_owned(),
        mentor_version: env!("CARGO_PKG_VERSION").to_owned(),
        teacher: None,
        baseline: None,
        test_accuracy: None,
        rounds: Vec::new(),
        distilled: None,
        measures: best.map(|best| best.measures.clone()).unwrap_or_default(),
    };
    job.run_dir.write("model.safetensors", &to_safetensors(&chosen)?)?;
    job.run_dir.write_json("model.json", &model_file)?;
    job.objective.analyse(job.run_dir, &chosen, &last, trajectory, stop)?;
    job.objective.complete(job.run_dir, &mut summary)?;
    job.run_dir.write_json("summary.json", &summary)?;
    Ok(summary)
}
