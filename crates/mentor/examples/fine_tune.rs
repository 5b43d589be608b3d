//! Starts from the weights of another run, holds its first layer fixed, and trains the rest on other classes.
//!
//! `cargo run --release --example fine_tune`

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;
use std::fs;
use std::path::Path;

use mentor::burn::tensor::Device;
use mentor::data::{OpenOptions, Source, Split};
use mentor::model::{NamedTensor, parameters};
use mentor::run::{Config, TrainEvent};
use mentor::train::{Execution, Plan, TrainedModel, train};

/// The digits from `first` to `last` as a folder of images: ten of each for training, twenty for testing.
fn few_digits(folder: &Path, first: usize, last: usize) -> Result<(), Box<dyn Error>> {
    let digits = Source::open("digits", &OpenOptions::default())?.load(Split::Train)?;
    let mut seen = [0; 10];
    let mut pixels = [0; 64];
    for (index, &target) in digits.targets().iter().enumerate() {
        let (class, split) = (target as usize, if seen[target as usize] < 10 { "train" } else { "test" });
        if (first..=last).contains(&class) && seen[class] < 30 {
            seen[class] += 1;
            digits.read(index, &mut pixels)?;
            let place = folder.join(split).join(class.to_string());
            fs::create_dir_all(&place)?;
            fs::write(place.join(format!("{index}.pgm")), [b"P5 8 8 255 ".as_slice(), &pixels].concat())?;
        }
    }
    Ok(())
}

/// Trains what the text says into `run`, and gives the model.
fn trained(text: &str, run: &Path) -> Result<TrainedModel, Box<dyn Error>> {
    let plan = Plan::try_from(Config::from_toml(text, "example", &[])?)?;
    let mut told = |event: &TrainEvent| {
        if let TrainEvent::Warning(text) = event {
            println!("{text}");
        }
    };
    train(&plan, run, &Execution::new(&Device::flex()).with_observer(&mut told))?;
    Ok(TrainedModel::load(run, &Device::flex())?)
}

fn tensor(model: &TrainedModel, path: &str) -> Option<NamedTensor> {
    parameters(&model.model).into_iter().find(|tensor| tensor.path == path)
}

/// What the example is about.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let place = |name: &str| folder.path().join(name);
    let first =
        trained("data.source = 'digits'\nmodel.name = 'mlp:64,32'\ntraining.epochs = 10", &place("first"))?;

    // Three classes of ten images each: the head, which told ten apart, begins anew, and says so.
    few_digits(&place("few"), 7, 9)?;
    let text = format!(
        "data.source = {:?}\nmodel = \
         {{ name = 'mlp:64,32', init_from = {:?}, freeze = ['hidden.0'] }}\ntraining.epochs = 20",
        place("few"),
        place("first")
    );
    let tuned = trained(&text, &place("tuned"))?;
    assert_eq!(tensor(&tuned, "hidden.0.weight"), tensor(&first, "hidden.0.weight"), "held fixed");
    assert_ne!(tensor(&tuned, "hidden.1.weight"), tensor(&first, "hidden.1.weight"), "trained on");
    println!("{:?} of {:?}", tuned.classes(), tensor(&tuned, "head.weight").map(|head| head.shape));
    Ok(())
}
