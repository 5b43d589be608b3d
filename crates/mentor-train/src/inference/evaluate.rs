//! Runs a model over a data set.

use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Int, Tensor, TensorData};
use mentor_data::{Augment, DataError, Dataset, HostBatch, Loader, LoaderOptions, Order, Preprocessing};
use mentor_loss::ScoreLoss;
use mentor_metrics::calibration::Calibration;
use mentor_metrics::classification::{SampleResult, judge};
use mentor_model::{Model, Pass};

/// The images `[B, C, H, W]` of a batch on a device; their pixels leave the batch.
pub(crate) fn images_to_device(batch: &mut HostBatch, device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(std::mem::take(&mut batch.pixels), batch.shape), device)
}

/// Targets `[B]` on a device.
pub(crate) fn targets_to_device(targets: &[u32], device: &Device) -> Tensor<1, Int> {
    let targets: Vec<i32> = targets.iter().map(|&target| target as i32).collect();
    let shape = [targets.len()];
    Tensor::from_data(TensorData::new(targets, shape), device)
}

/// Reads a float tensor back to the host. Waits for the device.
pub(crate) fn to_host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as::<f32>().expect("an f32 tensor can be read back as f32")
}

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

/// Every sample of `dataset`, in order: classes and confidences of the calibrated scores, losses of the raw ones.
pub(crate) fn evaluate_samples(
    model: &Model,
    loss: &ScoreLoss,
    calibration: Option<&Calibration>,
    dataset: &Arc<Dataset>,
    preprocessing: &Preprocessing,
    batch_size: usize,
    device: &Device,
) -> Result<Vec<SampleResult>, DataError> {
    let loader = in_order(dataset, preprocessing, batch_size);
    let mut results = Vec::with_capacity(dataset.len());
    for batch in loader.epoch(0, 0) {
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
) -> Result<Vec<f32>, DataError> {
    let embed = |images| model.embeddings(images, &Pass::Inference);
    rows_of_samples(embed, dataset, preprocessing, batch_size, device)
}

/// The raw scores of every sample of `dataset`, in order: `[N, C]`.
pub(crate) fn score_samples(
    model: &Model,
    dataset: &Arc<Dataset>,
    preprocessing: &Preprocessing,
    batch_size: usize,
    device: &Device,
) -> Result<Vec<f32>, DataError> {
    let score = |images| model.scores(images, &Pass::Inference);
    rows_of_samples(score, dataset, preprocessing, batch_size, device)
}

fn rows_of_samples(
    forward: impl Fn(Tensor<4>) -> Tensor<2>,
    dataset: &Arc<Dataset>,
    preprocessing: &Preprocessing,
    batch_size: usize,
    device: &Device,
) -> Result<Vec<f32>, DataError> {
    let mut rows = Vec::new();
    for batch in in_order(dataset, preprocessing, batch_size).epoch(0, 0) {
        rows.extend(to_host(forward(images_to_device(&mut batch?, device))));
    }
    Ok(rows)
}

/// Times what is called through it.
pub(crate) fn timed<T>(total: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *total += start.elapsed();
    result
}
