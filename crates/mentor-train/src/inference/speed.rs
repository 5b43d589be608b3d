//! The speed of a model.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};
use mentor_model::{Head, Model, Pass};
use mentor_run::records::distillation::{SPEED_BATCH, Speed};

use crate::inference::device::to_host;
use crate::inference::error::{InferenceError, go_on};

/// Times a model on zeros, which take as long as any image, until `stop` is set.
pub(crate) fn speed(model: &Model, device: &Device, stop: &AtomicBool) -> Result<Speed, InferenceError> {
    let [channels, height, width] = model.spec().input;
    let fastest = |num_images: usize| {
        let images = Tensor::<4>::zeros([num_images, channels, height, width], device);
        let mut best = f64::INFINITY;
        let begun = Instant::now();
        for repeat in 0..50 {
            go_on(stop)?;
            let start = Instant::now();
            to_host(match model.spec().head {
                Head::Classifier { .. } => model.scores(images.clone(), &Pass::Inference),
                Head::Embedding { .. } => model.embeddings(images.clone(), &Pass::Inference),
            });
            best = best.min(start.elapsed().as_secs_f64());
            // The first pass warms up; a slow model is not run for minutes.
            if repeat >= 2 && begun.elapsed() > Duration::from_millis(300) {
                break;
            }
        }
        Ok::<f64, InferenceError>(best.max(f64::MIN_POSITIVE))
    };
    Ok(Speed { latency_secs: fastest(1)?, images_per_sec: SPEED_BATCH as f64 / fastest(SPEED_BATCH)? })
}
