//! Trains on a data set type of the program's own, whose images are made when they are asked for.
//!
//! `cargo run --release --example own_data_set`

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::borrow::Cow;
use std::error::Error;

use mentor::burn::tensor::Device;
use mentor::data::{DataError, Dataset, ImageFormat, ImageStore, ReadObserver};
use mentor::loss::ScoreLoss;
use mentor::model::{Model, ModelSpec};
use mentor::train::{Execution, Trainer};

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
        // An error of a database would become one of the data set: `.map_err(|error|
        // DataError::store(self.id(index), error))`.
        let number = (self.range.start + index) / 2;
        for (place, byte) in out.iter_mut().enumerate() {
            let along = if index % 2 == 1 { place % 8 } else { place / 8 };
            *byte = if along == number % 8 { 255 - (number % 90) as u8 } else { (number * 7 % 40) as u8 };
        }
        Ok(())
    }
}

/// What the example is about.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // Reads every image once; from then on one is read whenever a batch needs it.
    let train = Dataset::from_store(Bars::new(0..400), &ReadObserver::default())?;
    println!("{} images, in memory: {}", train.len(), train.in_memory());
    let test = Dataset::from_store(Bars::new(1000..1100), &ReadObserver::default())?;
    let device = Device::flex();
    let model = Model::new(&ModelSpec::new("mlp:16", [1, 8, 8], 2), 0, &device)?;
    let trained = Trainer::new(model, train)
        .with_validation(test)
        .with_epochs(10)
        .with_batch_size(32)
        .with_learning_rate(0.05)
        .train(&ScoreLoss::SOFTMAX, &Execution::new(&device))?
        .complete()
        .ok_or("nobody stops it")?;
    let accuracy = trained.summary.val_accuracy.unwrap_or_default();
    println!("accuracy on bars that it has not seen: {accuracy:.3}");
    assert!(accuracy > 0.9);
    Ok(())
}
