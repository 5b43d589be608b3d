//! Trains a network of the program's own, saves its weights, and loads them again.
//!
//! `cargo run --release --example own_network`

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use mentor::data::{HostBatch, Loader, LoaderOptions, OpenOptions, Preprocessing, Source, Split};
use mentor::loss::{Penalty, ScoreLoss};
use mentor::model::{
    Head, Model, Network, Noise, Output, Pass, load_safetensors, to_safetensors, weights_blake3,
};
use mentor::train::{Optimizer, OptimizerPlan, ParameterTensors};

/// Two layers, and a shortcut from the image to the scores. The names of its parameters are those of its fields.
#[derive(Module, Debug)]
struct Shortcut {
    hidden: Param<Tensor<2>>,
    head: Param<Tensor<2>>,
    direct: Param<Tensor<2>>,
}

impl Shortcut {
    fn new(inputs: usize, units: usize, classes: usize, device: &Device) -> Self {
        // Any first values will do, as long as a second process draws the same.
        let weight = |rows: usize, columns: usize, scale: f32| {
            let values: Vec<f32> = (0..rows * columns).map(|i| scale * (i as f32 * 0.7).sin()).collect();
            Param::from_tensor(Tensor::<1>::from_floats(values.as_slice(), device).reshape([rows, columns]))
        };
        Self {
            hidden: weight(inputs, units, 0.2),
            head: weight(units, classes, 0.2),
            direct: weight(inputs, classes, 0.0),
        }
    }
}

impl Network for Shortcut {
    fn forward(&self, images: Tensor<4>, _: &Pass<'_>) -> Output {
        let pixels: Tensor<2> = images.flatten(1, 3); // [B, C·H·W]
        let features = pixels.clone().matmul(self.hidden.val()).tanh(); // [B, units]
        let head = features.clone().matmul(self.head.val()) + pixels.matmul(self.direct.val());
        Output { features, head }
    }
}

/// A model of such a network for the digits.
fn model(device: &Device) -> Result<Model, Box<dyn Error>> {
    let network = Shortcut::new(64, 24, 10, device);
    Ok(Model::custom("shortcut", [1, 8, 8], Head::Classifier { num_classes: 10 }, network)?)
}

/// One update by plain gradient descent, from the mean loss of a batch.
fn step(model: Model, batch: HostBatch, device: &Device) -> Model {
    let images = Tensor::<4>::from_data(TensorData::new(batch.pixels, batch.shape), device);
    let targets: Vec<i32> = batch.targets.iter().map(|&target| target as i32).collect();
    let targets = Tensor::<1, Int>::from_data(TensorData::new(targets, [batch.samples.len()]), device);
    let noise = Noise { seed: 0, epoch: batch.version, samples: &batch.samples };
    let losses = ScoreLoss::SOFTMAX.per_sample(model.scores(images, &Pass::Training(&noise)), targets);
    let gradients = ParameterTensors::of_gradients(losses.mean().backward(), &model);
    let plan = OptimizerPlan {
        full_batch: false,
        learning_rate: 0.1,
        momentum: 0.0,
        nesterov: false,
        batch_size: 32,
        clip_norm: 0.0,
    };
    Optimizer::new(plan, Penalty::default()).step(model, gradients, 0.1)
}

/// What the example is about.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let source = Source::open("digits", &OpenOptions::default())?;
    let (train, val) = (source.load(Split::Train)?, source.load(Split::Val)?);
    let device = Device::flex();
    let (preprocessing, autodiff) = (Preprocessing::fit(&train), Device::flex().autodiff());
    let loader = Loader::new(train, preprocessing.clone(), LoaderOptions::default());
    let mut trained = model(&autodiff)?;
    for epoch in 0..15 {
        for batch in loader.epoch(epoch, 0) {
            trained = step(trained, batch?, &autodiff);
        }
    }
    let trained = trained.inference();
    let num_val = val.len();
    let mut right = 0;
    for batch in Loader::new(val, preprocessing, LoaderOptions::default()).epoch(0, 0) {
        let HostBatch { pixels, shape, targets, .. } = batch?;
        let images = Tensor::<4>::from_data(TensorData::new(pixels, shape), &device);
        let best = trained.scores(images, &Pass::Inference).argmax(1).into_data();
        right +=
            best.iter::<i64>().zip(&targets).filter(|(best, target)| *best == i64::from(**target)).count();
    }
    println!("{} parameters, {right} of {num_val} validation images right", trained.num_params());
    assert!(right * 10 > num_val * 9);

    // Weights go out and in by name, into any network of the same fields.
    let bytes = to_safetensors(&trained)?;
    let loaded = load_safetensors(model(&device)?, &bytes)?;
    assert_eq!(weights_blake3(&loaded), weights_blake3(&trained));
    Ok(())
}
