//! A run that was cut off ends in the same weights, bit for bit, as one that was not.

use std::fs;
use std::path::Path;

use mentor_run::{MetricsLine, RunDir, Summary, TrainEvent};
use mentor_train::Outcome;

use crate::runs::{complete, run, run_until, timeless};

const MLP: &str = "data.source = 'digits'\nmodel.name = 'mlp:16'\nmodel.dropout = 0.2\ndata.augment = \
                   'shift'\n\
    penalty = { l1 = 1e-5, l2 = 1e-4 }\noptimizer.batch_size = 64\ntraining = { epochs = 3, seed = 5 }";
const GD: &str = "data.source = 'digits'\nloss.name = 'svm'\noptimizer.name = 'gd'\npenalty.l2 = \
                  1e-3\ntraining.epochs = 12";

const ADAMW: &str = "data.source = 'digits'\nmodel.name = 'cnn'\noptimizer = { name = 'adamw', batch_size = \
                     256, weight_decay = 0.1, layer_decay = 0.7, clip_norm = 1.0 }\ntraining = { epochs = 2, \
                     seed = 5, ema = 0.9 }";

const TRIPLET: &str = "data = { source = 'digits', augment = 'shift' }\nmodel = \
                       { name = 'mlp:16', dropout = 0.1 }\n\
    loss.name = 'triplet'\ntraining = { epochs = 2, seed = 5 }";

/// What must not depend on interruptions: all but the seconds.
pub(crate) fn without_seconds(out: &Path, summary: &Summary) -> (Summary, Vec<MetricsLine>) {
    let metrics = RunDir::open(out).unwrap().metrics().unwrap().into_iter().map(|line| match line {
        MetricsLine::Epoch(mut metrics) => {
            (metrics.train_secs, metrics.loader_wait_secs, metrics.val_secs) = (0.0, 0.0, 0.0);
            MetricsLine::Epoch(metrics)
        }
        MetricsLine::Iteration(mut metrics) => {
            metrics.secs = 0.0;
            MetricsLine::Iteration(metrics)
        }
        step => step,
    });
    (timeless(summary), metrics.collect())
}

#[test]
fn interrupted_anywhere_the_weights_and_metrics_are_the_same() {
    for text in [MLP, GD, TRIPLET, ADAMW] {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("whole");
        let expected = complete(text, &whole);
        for steps in [1, 2, expected.steps / 2, expected.steps - 1] {
            let out = dir.path().join(format!("cut-{steps}"));
            let (outcome, _) = run_until(text, &out, steps);
            assert_eq!(outcome.unwrap(), Outcome::Interrupted { step: Some(steps) });
            let summary = complete(text, &out);
            assert_eq!(without_seconds(&out, &summary), without_seconds(&whole, &expected), "cut at {steps}");
        }
    }
}

#[test]
fn a_killed_process_loses_nothing_but_time() {
    // What a kill leaves: a checkpoint of some update, and metrics beyond it.
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    let text = format!("{MLP}\n");
    let expected = complete(&text, &whole);
    let out = dir.path().join("killed");
    run_until(&text, &out, 30).0.unwrap();
    let early = out.join("checkpoints/step-000000000030.safetensors");
    let saved = fs::read(&early).unwrap();
    run_until(&text, &out, 45).0.unwrap();
    fs::remove_file(out.join("checkpoints/step-000000000045.safetensors")).unwrap();
    fs::write(&early, saved).unwrap();
    fs::write(out.join("checkpoints/step-000000000046.safetensors.tmp"), "half a checkp").unwrap();
    let summary = complete(&text, &out);
    assert_eq!(without_seconds(&out, &summary), without_seconds(&whole, &expected));
}

#[test]
fn a_damaged_newest_checkpoint_is_passed_over_and_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let expected = complete(MLP, &dir.path().join("whole"));
    let out = dir.path().join("damaged");
    run_until(MLP, &out, 10).0.unwrap();
    run_until(MLP, &out, 20).0.unwrap();
    let newest = out.join("checkpoints/step-000000000020.safetensors");
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
    let (outcome, events) = run(MLP, &out);
    let Outcome::Complete(summary) = outcome.unwrap() else { panic!() };
    assert_eq!(summary.weights_blake3, expected.weights_blake3);
    let warned =
        |event: &TrainEvent| matches!(event, TrainEvent::Warning(text) if text.contains("step-000000000020"));
    assert!(events.iter().any(warned));
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let dir = tempfile::tempdir().unwrap();
    let first = complete(MLP, &dir.path().join("a"));
    let again = complete(MLP, &dir.path().join("b"));
    let other = complete(&MLP.replace("seed = 5", "seed = 6"), &dir.path().join("c"));
    assert_eq!(first.weights_blake3, again.weights_blake3);
    assert_eq!(first.val_loss, again.val_loss);
    assert_ne!(first.weights_blake3, other.weights_blake3);
}

#[test]
fn a_complete_run_is_not_run_again() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let summary = complete(GD, &out);
    let (outcome, events) = run(GD, &out);
    assert_eq!(outcome.unwrap(), Outcome::AlreadyComplete(summary));
    assert!(events.is_empty());
}
