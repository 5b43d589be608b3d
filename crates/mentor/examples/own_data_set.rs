//! Trains on a data set type of the program's own: images that are made when they are asked for, as a database, an
//! archive or a video would give them.
//!
//! `cargo run --release --example own_data_set`

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::borrow::Cow;
use std::error::Error;

use burn::tensor::{Device, Int, Tensor, TensorData};
use mentor::data::{
    DataError, Dataset, HostBatch, ImageFormat, ImageStore, Loader, LoaderOptions, Preprocessing,
    ReadObserver,
};
use mentor::loss::{Penalty, ScoreLoss};
use mentor::model::{Model, ModelSpec, Noise, Pass};
use mentor::train::{Optimizer, OptimizerPlan, ParameterTensors};

/// Pictures of a bar, lying or standing, at some place and of some brightness.
#[derive(Debug)]
struct Bars {
    format: ImageFormat,
    classes: Vec<String>,
    range: std::ops::Range<usize>,
}

impl Bars {
    fn new(range: std::ops::Range<usize>) -> Self {
        let classes = vec!["lying".to_owned(), "standing".to_owned()];
        Self { format: ImageFormat::new(1, 8, 8), classes, range }
    }
}

impl ImageStore for Bars {
    fn len(&self) -> usize {
        self.range.len()
    }

    fn format(&self) -> &ImageFormat {
        &self.format
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn target(&self, index: usize) -> Option<u32> {
        Some((index % 2) as u32)
    }

    fn id(&self, index: usize) -> Cow<'_, str> {
        format!("bar {}", self.range.start + index).into()
    }

    fn read(&self, index: usize, out: &mut [u8]) -> Result<(), DataError> {
        // An error of a database would become one of the data set: `.map_err(|error| DataError::store(self.id(index), error))`.
        let number = (self.range.start + index) / 2;
        for (place, byte) in out.iter_mut().enumerate() {
            let along = if index % 2 == 1 { place % 8 } else { place / 8 };
            *byte = if along == number % 8 { 255 - (number % 90) as u8 } else { (number * 7 % 40) as u8 };
        }
        Ok(())
    }
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
    // Reads every image once; from then on one is read whenever a batch needs it.
    let train = Dataset::from_store(Bars::new(0..400), &ReadObserver::default())?;
    println!("{} images, in memory: {}", train.len(), train.in_memory());
    let test = Bars::new(1000..1100);
    let (preprocessing, device) = (Preprocessing::fit(&train), Device::flex().autodiff());
    let options = LoaderOptions { batch_size: 32, ..LoaderOptions::default() };
    let loader = Loader::new(train, preprocessing.clone(), options);
    let mut model = Model::new(&ModelSpec::new("mlp:16", [1, 8, 8], 2), 0, &device)?;
    for epoch in 0..10 {
        for batch in loader.epoch(epoch, 0) {
            model = step(model, batch?, &device);
        }
    }
    // A loader takes a store as it is, too.
    let (model, plain) = (model.inference(), Device::flex());
    let mut right = 0;
    for batch in Loader::new(test, preprocessing, LoaderOptions::default()).epoch(0, 0) {
        let HostBatch { pixels, shape, targets, .. } = batch?;
        let images = Tensor::<4>::from_data(TensorData::new(pixels, shape), &plain);
        let best = model.scores(images, &Pass::Inference).argmax(1).into_data();
        right +=
            best.iter::<i64>().zip(&targets).filter(|(best, target)| *best == i64::from(**target)).count();
    }
    println!("{right} of 100 bars that it has not seen are right");
    assert!(right > 90);
    Ok(())
}
