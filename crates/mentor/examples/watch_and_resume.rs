//! Trains from a configuration, watches, stops half-way, and continues to the same weights.
//!
//! `cargo run --release --example watch_and_resume`

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use mentor::burn::tensor::Device;
use mentor::run::{Config, RunDir, TrainEvent};
use mentor::train::{Execution, Outcome, Plan, train};

/// Trains `plan` in `out`; stops after update `last`, if there is one.
fn run(plan: &Plan, out: &Path, last: Option<u64>) -> Result<Outcome, Box<dyn Error>> {
    // Another thread, or a handler of Ctrl-C, may set it as well.
    let stop = AtomicBool::new(false);
    let watch = |event: &TrainEvent| match event {
        TrainEvent::Started(started) => {
            println!(
                "{} with {} parameters, from update {}",
                started.model, started.num_params, started.resumed_step
            );
        }
        TrainEvent::Step(metrics) => {
            stop.store(last.is_some_and(|last| metrics.step >= last), Ordering::Relaxed);
        }
        TrainEvent::Epoch(metrics) => {
            let accuracy = metrics.val_accuracy.unwrap_or_default();
            println!("epoch {}: loss {:.4}, accuracy {accuracy:.4}", metrics.epoch + 1, metrics.train_loss);
        }
        TrainEvent::Warning(text) => println!("warning: {text}"),
        _ => {}
    };
    Ok(train(plan, out, &Execution::new(&Device::flex()).with_stop(&stop).with_observer(watch))?)
}

/// What the example is about.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // What a user writes, as fields or as TOML; the plan states every default, or says all that is wrong.
    let mut config = Config::from_toml("data.source = 'digits'\nmodel.name = 'mlp:32'", "example", &[])?;
    config.training.epochs = Some(4);
    let plan = Plan::try_from(config)?;
    println!("learning rate {}", plan.training().optimizer.learning_rate);
    let mut wrong = plan.to_config();
    wrong.training.epochs = Some(0);
    println!("refused: {}", Plan::try_from(wrong).err().ok_or("0 epochs are refused")?);

    let folder = tempfile::tempdir()?;
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    let Outcome::Complete(summary) = run(&plan, &whole, None)? else { return Err("nobody stops it".into()) };

    let Outcome::Interrupted { step } = run(&plan, &cut, Some(15))? else {
        return Err("it is stopped".into());
    };
    println!("stopped after update {step:?}");
    let Outcome::Complete(continued) = run(&plan, &cut, None)? else { return Err("nobody stops it".into()) };
    assert_eq!(continued.weights_blake3, summary.weights_blake3);

    // Called once more it finds the run complete. Everything is on disk, too.
    assert!(matches!(run(&plan, &cut, None)?, Outcome::AlreadyComplete(_)));
    assert_eq!(RunDir::open(&cut)?.summary()?, continued);
    Ok(())
}
