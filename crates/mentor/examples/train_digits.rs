//! Trains a linear classifier on the embedded digits, evaluates it, and classifies one image.
//!
//! `cargo run --release --example train_digits [DIRECTORY]`; a second call finds the run complete.

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mentor::burn::tensor::Device;
use mentor::data::{OpenOptions, Source, Split};
use mentor::run::{Config, TrainEvent};
use mentor::train::{Execution, Outcome, Plan, TrainedModel, train};

const CONFIG: &str = "
[data]
source = 'digits'

[model]
name = 'linear'

[penalty]
l2 = 1e-4

[training]
epochs = 10
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("runs/example"), PathBuf::from);
    let plan = Plan::try_from(Config::from_toml(CONFIG, "example", &[])?)?;
    let device = Device::flex();

    // Setting `stop` from elsewhere ends training after the update under way, with a checkpoint.
    let stop = AtomicBool::new(false);
    let mut observer = |event: &TrainEvent| {
        if let TrainEvent::Epoch(metrics) = event {
            let accuracy = metrics.val_accuracy.unwrap_or_default();
            println!(
                "epoch {:2}: loss {:.4}, val accuracy {accuracy:.4}",
                metrics.epoch + 1,
                metrics.train_loss
            );
        }
    };
    let execution = Execution::new(&device).with_stop(&stop).with_observer(&mut observer);
    match train(&plan, &out, &execution)? {
        Outcome::Complete(summary) => println!("trained in {:.1} s", summary.wall_secs),
        Outcome::AlreadyComplete(_) => println!("{} holds the complete run", out.display()),
        Outcome::Interrupted { step } => println!("stopped after update {}", step.unwrap_or(0)),
    }

    // Whoever uses a model needs its run directory only: classes and preprocessing are in it.
    let trained = TrainedModel::load(&out, &device)?;
    let format = &trained.file.preprocessing.format;
    let test = Arc::new(Source::open("digits", &OpenOptions::default())?.load_as(Split::Test, format)?);
    let (evaluation, _) = trained.evaluate(&test, Split::Test, 256)?;
    println!("test accuracy {:.4} of {} images", evaluation.accuracy, evaluation.num_samples);

    let mut image = vec![0; format.channels * format.height * format.width];
    test.read(0, &mut image)?;
    let predictions = trained.predict(&[image])?;
    let (class, probability) = predictions.best(0).ok_or("one image has one prediction")?;
    println!(
        "{} is a {}, says the model with {probability:.3}: {class}",
        test.id(0),
        test.classes()[test.targets()[0] as usize],
    );
    Ok(())
}
