//! Trains on images that a program made itself: no file is read or written.
//!
//! `cargo run --release --example own_tensors`

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;

use mentor::burn::tensor::{Device, Tensor};
use mentor::data::{Dataset, ImageFormat, Preprocessing};
use mentor::loss::{ScoreLoss, SoftmaxCrossEntropy};
use mentor::model::{Model, ModelSpec, Pass};
use mentor::train::{Execution, Trainer};

const SIDE: usize = 12;

/// An image of stripes, lying or standing, at some phase and some brightness.
fn stripes(stands: bool, number: usize) -> Vec<u8> {
    let (phase, bright) = (number % 4, 120 + (number * 37 % 130) as u8);
    let pixel = |place: usize| {
        let along = if stands { place % SIDE } else { place / SIDE };
        if (along + phase) % 4 < 2 { bright } else { (number * 13 % 60) as u8 }
    };
    (0..SIDE * SIDE).map(pixel).collect()
}

/// `count` images: their pixels `[count, 1, SIDE, SIDE]`, one byte each, and a class each.
fn dataset(first: usize, count: usize) -> Result<Dataset, Box<dyn Error>> {
    let numbers = first..first + count;
    let pixels = numbers.clone().flat_map(|number| stripes(number % 2 == 1, number / 2)).collect();
    let targets = numbers.clone().map(|number| (number % 2) as u32).collect();
    let ids = numbers.map(|number| format!("stripes {number}")).collect();
    let classes = vec!["lying".to_owned(), "standing".to_owned()];
    Ok(Dataset::from_parts(classes, ImageFormat::new(1, SIDE, SIDE), pixels, targets, ids)?)
}

/// What the example is about.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let (train, val) = (dataset(0, 160)?, dataset(1000, 40)?);
    let preprocessing = Preprocessing::fit(&train);
    let device = Device::flex();
    let model = Model::new(&ModelSpec::new("mlp:16", [1, SIDE, SIDE], 2), 0, &device)?;

    let loss = ScoreLoss::Softmax(SoftmaxCrossEntropy::new());
    let trained = Trainer::new(model, train)
        .with_validation(val)
        .with_preprocessing(preprocessing.clone())
        .with_epochs(15)
        .with_batch_size(16)
        .with_learning_rate(0.05)
        .train(&loss, &Execution::new(&device))?
        .complete()
        .ok_or("nobody stops it")?;
    let accuracy = trained.summary.val_accuracy.unwrap_or_default();
    println!("{} updates, validation accuracy {accuracy:.3}", trained.summary.steps);
    assert!(accuracy > 0.9);

    // The model is in memory. What it is shown is normalised as its training images were.
    let mut pixels = vec![0.0; SIDE * SIDE];
    preprocessing.apply(&stripes(true, 77), &mut pixels);
    let image = Tensor::<1>::from_floats(pixels.as_slice(), &device).reshape([1, 1, SIDE, SIDE]);
    let scores = trained.model.scores(image, &Pass::Inference);
    println!("scores of standing stripes: {}", scores.into_data());
    Ok(())
}
