//! A loss that mentor does not have, in mentor's loop: the focal loss (Lin et al. 2017, equation 4), which
//! lets easy samples count less. Checkpoints and continuation come with the loop.
//!
//! `cargo run --release --example own_loss`

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};

use mentor::burn::tensor::activation::log_softmax;
use mentor::burn::tensor::{Device, Int, Tensor, TensorData};
use mentor::data::{HostBatch, OpenOptions, Source, Split};
use mentor::model::{Model, ModelSpec, Pass};
use mentor::run::TrainEvent;
use mentor::train::{BatchLoss, Execution, Measure, Objective, Outcome, TrainError, Trainer};

/// (1 − p)^γ · −ln p, where p is the softmax probability of the sample's class.
struct Focal {
    gamma: f32,
}

impl Objective for Focal {
    fn batch_loss(
        &self,
        model: &Model,
        images: Tensor<4>,
        batch: &HostBatch,
        pass: &Pass<'_>,
    ) -> Result<BatchLoss, TrainError> {
        let device = images.device();
        let targets: Vec<i32> = batch.targets.iter().map(|&target| target as i32).collect();
        let targets = TensorData::new(targets, [batch.targets.len(), 1]);
        let targets = Tensor::<2, Int>::from_data(targets, &device);
        let scores = model.scores(images, pass); // [B, C]
        let log_p = log_softmax(scores.clone(), 1).gather(1, targets).squeeze_dim(1); // [B]
        let p: Tensor<1> = log_p.clone().exp();
        let losses = (p.clone().neg() + 1.0).powf_scalar(self.gamma) * log_p.neg();
        Ok(BatchLoss::new(losses).with_scores(scores).with_measure(Measure::of_values("mean_p", p)))
    }

    fn fingerprint(&self) -> Option<String> {
        // A run that was begun with one γ is not continued with another.
        Some(format!("focal {}", self.gamma))
    }
}

/// What the example is about.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let digits = Source::open("digits", &OpenOptions::default())?;
    let device = Device::flex();
    let model = Model::new(&ModelSpec::new("mlp:32", [1, 8, 8], 10), 0, &device)?;
    let trainer = Trainer::new(model, digits.load(Split::Train)?)
        .with_validation(digits.load(Split::Val)?)
        .with_epochs(6)
        .with_learning_rate(0.1);
    let focal = Focal { gamma: 2.0 };
    let whole = trainer.train(&focal, &Execution::new(&device))?.complete().ok_or("nobody stops it")?;

    // The same in a run directory, stopped after 20 updates and continued: the same weights, bit for bit.
    let out = tempfile::tempdir()?;
    let trainer = trainer.with_run_dir(out.path().join("focal"));
    let stop = AtomicBool::new(false);
    let watched = Execution::new(&device).with_stop(&stop).with_observer(|event| {
        let last = matches!(event, TrainEvent::Step(metrics) if metrics.step == 20);
        stop.fetch_or(last, Ordering::Relaxed);
    });
    assert!(matches!(trainer.train(&focal, &watched)?, Outcome::Interrupted { step: Some(20) }));
    let continued = trainer.train(&focal, &Execution::new(&device))?.complete().ok_or("nobody stops it")?;
    assert_eq!(continued.summary.weights_blake3, whole.summary.weights_blake3);
    println!("validation accuracy {:.3}", whole.summary.val_accuracy.unwrap_or_default());
    Ok(())
}
