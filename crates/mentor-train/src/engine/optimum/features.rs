//! What a linear classifier sees of images: their normalised pixels.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mentor_data::{Dataset, Preprocessing};
use mentor_loss::{Penalty, ScoreLoss};

use super::LinearTask;
use crate::engine::error::TrainError;
use crate::inference::error::go_on;
use crate::inference::evaluate::in_order;

/// Images that are read at a time.
const BATCH: usize = 256;

/// Features of labelled samples.
pub(crate) struct Features {
    /// `[N, D]`, row-major.
    pub(crate) values: Vec<f32>,
    /// `[N]`.
    pub(crate) targets: Vec<u32>,
}

impl Features {
    /// The objective of a classifier on them.
    pub(crate) fn task<'a>(
        &'a self,
        num_classes: usize,
        loss: &'a ScoreLoss,
        penalty: Penalty,
    ) -> LinearTask<'a> {
        let Self { values, targets } = self;
        let num_features = values.len() / targets.len().max(1);
        LinearTask {
            features: values,
            num_features,
            targets,
            sample_weights: None,
            num_classes,
            loss,
            penalty,
        }
    }
}

/// The normalised pixels of all images, as the linear network flattens them.
///
/// # Errors
///
/// When an image cannot be read, and [`TrainError::Interrupted`] once `stop` is set.
pub(crate) fn of_images(
    dataset: &Arc<Dataset>,
    preprocessing: &Preprocessing,
    stop: &AtomicBool,
) -> Result<Features, TrainError> {
    let num_features: usize = dataset.format().shape().iter().product();
    let mut features = Features {
        values: Vec::with_capacity(num_features * dataset.len()),
        targets: Vec::with_capacity(dataset.len()),
    };
    for batch in in_order(dataset, preprocessing, BATCH).epoch(0, 0) {
        go_on(stop)?;
        let batch = batch?;
        features.values.extend(batch.pixels);
        features.targets.extend(batch.targets);
    }
    Ok(features)
}
