//! Runs a model over the samples of a loader.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Device, Tensor};
use mentor_data::{Augment, Dataset, HostBatch, Loader, LoaderOptions, Order, Preprocessing};
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
    each_batch(loader, device, stop, |images, batch| {
        let scores = model.scores(images, &Pass::Inference);
        let losses = to_host(loss.per_sample(scores.clone(), targets_to_device(&batch.targets, device)));
        let num_classes = scores.dims()[1];
        let mut scores = to_host(scores);
        if let Some(calibration) = calibration {
            scores.chunks_exact_mut(num_classes).for_each(|row| calibration.apply(row));
        }
        for ((row, loss), &target) in scores.chunks_exact(num_classes).zip(losses).zip(&batch.targets) {
            results.push(judge(row, target, f64::from(loss)));
        }
    })?;
    Ok(results)
}

/// The embedding of every sample that `loader` gives: `[N, D]`.
pub(crate) fn embed_samples(
    model: &Model,
    loader: &Loader,
    device: &Device,
    stop: &AtomicBool,
) -> Result<Vec<f32>, InferenceError> {
    let mut rows = Vec::new();
    each_batch(loader, device, stop, |images, _| {
        rows.extend(to_host(model.embeddings(images, &Pass::Inference)));
    })?;
    Ok(rows)
}

/// The raw scores of every sample that `loader` gives: `[N, C]`.
pub(crate) fn score_samples(
    model: &Model,
    loader: &Loader,
    device: &Device,
    stop: &AtomicBool,
) -> Result<Vec<f32>, InferenceError> {
    let mut rows = Vec::new();
    each_batch(loader, device, stop, |images, _| {
        rows.extend(to_host(model.scores(images, &Pass::Inference)));
    })?;
    Ok(rows)
}

/// One pass over all batches, until `stop` is set.
fn each_batch(
    loader: &Loader,
    device: &Device,
    stop: &AtomicBool,
    mut use_batch: impl FnMut(Tensor<4>, &HostBatch),
) -> Result<(), InferenceError> {
    for batch in loader.epoch(0, 0) {
        go_on(stop)?;
        let mut batch = batch?;
        let images = images_to_device(&mut batch, device);
        use_batch(images, &batch);
    }
    Ok(())
}
