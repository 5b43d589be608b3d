//! Trains a network of the program's own, saves its weights, and loads them again.
//!
//! `cargo run --release --example own_network`

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;

use mentor::burn::module::{Module, Param};
use mentor::burn::tensor::{Device, Tensor};
use mentor::data::{OpenOptions, Source, Split};
use mentor::loss::ScoreLoss;
use mentor::model::{Head, Model, Network, Output, Pass, load_safetensors, to_safetensors, weights_blake3};
use mentor::train::{Execution, Trainer};

/// Two layers, and a shortcut from the image to the scores. The names of its parameters are those of its
/// fields.
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

/// What the example is about.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let source = Source::open("digits", &OpenOptions::default())?;
    let (train, val) = (source.load(Split::Train)?, source.load(Split::Val)?);
    let device = Device::flex();
    let outcome = Trainer::new(model(&device)?, train)
        .with_validation(val)
        .with_epochs(10)
        .with_learning_rate(0.05)
        .train(&ScoreLoss::SOFTMAX, &Execution::new(&device))?;
    let found = outcome.complete().ok_or("nobody stops it")?;
    let (trained, accuracy) = (found.model, found.summary.val_accuracy.unwrap_or_default());
    println!("{} parameters, validation accuracy {accuracy:.3}", trained.num_params());
    assert!(accuracy > 0.9);

    // Weights go out and in by name, into any network of the same fields.
    let bytes = to_safetensors(&trained)?;
    let loaded = load_safetensors(model(&device)?, &bytes)?;
    assert_eq!(weights_blake3(&loaded), weights_blake3(&trained));
    Ok(())
}
