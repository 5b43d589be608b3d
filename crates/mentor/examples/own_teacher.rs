//! A student that learns from what is no model of mentor's: the distances to the means of the classes. A
//! session of an ONNX runtime or a service takes the same place; scores that lie in a file are
//! `FixedOutputs`.
//!
//! `cargo run --release --example own_teacher`

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;

use mentor::burn::tensor::Device;
use mentor::data::{Augment, OpenOptions, Source, Split};
use mentor::loss::Distillation;
use mentor::model::{Model, ModelSpec};
use mentor::train::{AugmentedImages, DistillationObjective, Execution, Teacher, TeacherError, Trainer};

/// Scores a class by how near its mean image is.
struct NearestMean(Vec<Vec<f32>>);

impl Teacher for NearestMean {
    fn name(&self) -> &str {
        "nearest mean"
    }

    fn width(&self) -> usize {
        self.0.len()
    }

    fn fingerprint(&self) -> String {
        format!("{:?}", self.0)
    }

    fn outputs(
        &self,
        images: &AugmentedImages<'_>,
        draw: u64,
        samples: &[u32],
    ) -> Result<Vec<f32>, TeacherError> {
        let mut scores = Vec::with_capacity(samples.len() * self.width());
        for &sample in samples {
            let image = images.read(draw, sample)?;
            let distance = |mean: &Vec<f32>| -> f32 {
                mean.iter().zip(&image).map(|(mean, &byte)| (mean - f32::from(byte)).powi(2)).sum()
            };
            scores.extend(self.0.iter().map(|mean| -distance(mean) / 1e4));
        }
        Ok(scores)
    }
}

/// What the example is about.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let digits = Source::open("digits", &OpenOptions::default())?;
    let labelled = digits.load(Split::Train)?;
    let (counts, plain) = (labelled.class_counts(), AugmentedImages::plain(&labelled));
    let mut means = vec![vec![0.0; labelled.format().num_values()]; counts.len()];
    for (sample, &class) in (0..).zip(labelled.targets()) {
        let share = 1.0 / counts[class as usize] as f32;
        let sums = means[class as usize].iter_mut();
        sums.zip(plain.read(0, sample)?).for_each(|(sum, byte)| *sum += share * f32::from(byte));
    }
    let teacher = NearestMean(means);

    // The student sees no label. Its teacher sees the images as it does, in four shifted versions.
    let train = labelled.without_labels();
    let images = AugmentedImages::new(&train, Augment::SHIFT, 1);
    let student = DistillationObjective::new(Distillation::new(2.0, 1.0, 0.0)?, &[&teacher], images)?
        .with_num_augmentations(4.try_into()?);
    let mut config = mentor::run::Config::default();
    (config.data.augment, config.training.seed) = (Some(Augment::SHIFT), Some(1));

    let device = Device::flex();
    let model = Model::new(&ModelSpec::new("mlp:32", [1, 8, 8], 10), 0, &device)?;
    let trainer = Trainer::new(model, train.clone()).with_validation(digits.load(Split::Val)?);
    let trainer = trainer.with_config(config).with_epochs(6).with_learning_rate(0.05);
    let trained = trainer.train(&student, &Execution::new(&device))?.complete().ok_or("nobody stops it")?;
    println!("validation accuracy {:.3}", trained.summary.val_accuracy.unwrap_or_default());
    assert!(trained.summary.val_accuracy > Some(0.8));
    Ok(())
}
