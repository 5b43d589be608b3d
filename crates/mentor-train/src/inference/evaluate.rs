//! Runs a model over a data set.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Device, Tensor};
use mentor_data::{Augment, Dataset, Loader, LoaderOptions, Order, Preprocessing};
use mentor_loss::ScoreLoss;
use mentor_metrics::calibration::Calibration;
use mentor_metrics::classification::{SampleResult, judge};
use mentor_model::{Model, Pass};

use super::device::{images_to_device, targets_to_device, to_host};
use super::error::{InferenceError, go_on};

/// Gives the samples of a data set in their order, as they are: what every evaluation runs over.
pub(crate) fn in_order(dataset: &Arc<Dataset>, preprocessing: &Preprocessing, batch_size: usize) -> Loader {
    let options = LoaderOptions {
        batch_size,
        order: Order::Sequential,
        augment: Augment::None,
        ..LoaderOptions::default()
    };
    Loader::new(dataset.clone(), preprocessing.clone(), options)
}

/// Every sample that `loader` gives, until `stop` is set: classes and confidences of the calibrated scores,
/// losses of the raw ones.
pub(crate) fn evaluate_samples(
    model: &Model,
    loss: &ScoreLoss,
    calibration: Option<&Calibration>,
    loader: &Loader,
    device: &Device,
    stop: &AtomicBool,
) -> Result<Vec<SampleResult>, InferenceError> {
    let mut results = Vec::new();
    for batch in loader.epoch(0, 0) {
        go_on(stop)?;
        let mut batch = batch?;
        let scores = model.scores(images_to_device(&mut batch, device), &Pass::Inference);
        let losses = to_host(loss.per_sample(scores.clone(), targets_to_device(&batch.targets, device)));
        let num_classes = scores.dims()[1];
        let mut scores = to_host(scores);
        if let Some(calibration) = calibration {
            scores.chunks_exact_mut(num_classes).for_each(|row| calibration.apply(row));
        }
        for ((row, loss), &target) in scores.chunks_exact(num_classes).zip(losses).zip(&batch.targets) {
            results.push(judge(row, target, f64::from(loss)));
        }
    }
    Ok(results)
}

/// The embedding of every sample of `dataset`, in order: `[N, D]`.
pub(crate) fn embed_samples(
    model: &Model,
    dataset: &Arc<Dataset>,
    preprocessing: &Preprocessing,
    batch_size: usize,
    device: &Device,
    stop: &AtomicBool,
) -> Result<Vec<f32>, InferenceError> {
    let embed = |images| model.embeddings(images, &Pass::Inference);
    rows_of_samples(embed, dataset, preprocessing, batch_size, device, stop)
}

/// The raw scores of every sample of `dataset`, in order: `[N, C]`.
pub(crate) fn score_samples(
    model: &Model,
    dataset: &Arc<Dataset>,
    preprocessing: &Preprocessing,
    batch_size: usize,
    device: &Device,
    stop: &AtomicBool,
) -> Result<Vec<f32>, InferenceError> {
    let score = |images| model.scores(images, &Pass::Inference);
    rows_of_samples(score, dataset, preprocessing, batch_size, device, stop)
}

fn rows_of_samples(
    forward: impl Fn(Tensor<4>) -> Tensor<2>,
    dataset: &Arc<Dataset>,
    preprocessing: &Preprocessing,
    batch_size: usize,
    device: &Device,
    stop: &AtomicBool,
) -> Result<Vec<f32>, InferenceError> {
    let mut rows = Vec::new();
    for batch in in_order(dataset, preprocessing, batch_size).epoch(0, 0) {
        go_on(stop)?;
        rows.extend(to_host(forward(images_to_device(&mut batch?, device))));
    }
    Ok(rows)
}
