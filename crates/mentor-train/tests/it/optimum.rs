//! Linear classifiers to a proven gap: the proof holds, and the run is one like any other.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use mentor_data::{Loader, LoaderOptions, OpenOptions, Order, Preprocessing, Source, Split};
use mentor_run::{Certificate, MetricsLine, RunDir, TrainEvent};
use mentor_testkit::oracle;
use mentor_train::{Outcome, TrainError, TrainedModel};

use crate::resume::without_seconds;
use crate::runs::{complete, run, run_until};

fn certificate(text: &str, out: &Path) -> Certificate {
    complete(text, out).certificate.unwrap()
}

/// The objective of a finished run on the digits, in nested loops of 64 bits.
fn objective(out: &Path, loss: &str, l1: f64, l2: f64) -> f64 {
    let train =
        Arc::new(Source::open("digits", &OpenOptions::default()).unwrap().load(Split::Train).unwrap());
    let preprocessing = Preprocessing::fit(&train);
    let options = LoaderOptions { order: Order::Sequential, ..LoaderOptions::default() };
    let loader = Loader::new(train.clone(), preprocessing, options);
    let model = TrainedModel::load(out, &Device::flex()).unwrap().model;
    let tensors = mentor_model::parameters(&model);
    let values = |rank: usize| -> Vec<f64> {
        let tensor = tensors.iter().find(|tensor| tensor.shape.len() == rank).unwrap();
        tensor.values.iter().copied().map(f64::from).collect()
    };
    let (weights, bias) = (values(2), values(1));
    let (mut sum, num_classes) = (0.0, bias.len());
    for batch in loader.epoch(0, 0) {
        let batch = batch.unwrap();
        let width = weights.len() / num_classes;
        for (row, &target) in batch.pixels.chunks_exact(width).zip(&batch.targets) {
            let score = |class: usize| {
                let products =
                    row.iter().enumerate().map(|(at, &x)| f64::from(x) * weights[at * num_classes + class]);
                bias[class] + products.sum::<f64>()
            };
            let scores: Vec<f64> = (0..num_classes).map(score).collect();
            let target = [target as usize];
            sum += match loss {
                "softmax" => oracle::softmax(&scores, num_classes, &target, 0.0, &[])[0],
                "svm" => oracle::weston_watkins(&scores, num_classes, &target, 1.0)[0],
                _ => oracle::crammer_singer(&scores, num_classes, &target, 1.0)[0],
            };
        }
    }
    sum / train.len() as f64 + oracle::penalty(&weights, l1, l2)
}

#[test]
fn the_gap_is_never_less_than_the_true_distance() {
    let dir = tempfile::tempdir().unwrap();
    for (loss, l1, l2) in [
        ("softmax", 0.0, 1e-3),
        ("softmax", 1e-3, 0.0),
        ("softmax", 1e-3, 1e-3),
        ("svm", 0.0, 1e-2),
        ("crammer-singer", 0.0, 1e-2),
    ] {
        let of = |gap: f64| {
            let out = dir.path().join(format!("{loss}-{l1}-{l2}-{gap}"));
            let text = format!(
                "data.source = 'digits'\nloss.name = '{loss}'\npenalty = {{ l1 = {l1}, l2 = {l2} }}\n\
                 optimizer.gap = {gap}"
            );
            let found = certificate(&text, &out);
            let primal = objective(&out, loss, l1, l2);
            assert!((found.primal - primal).abs() <= 1e-12 * primal, "{text}: {found:?} {primal}");
            assert!(found.certified && found.relative_gap <= gap, "{text}: {found:?}");
            assert_eq!(found.reason, "gap reached");
            found
        };
        let (near, nearer) = (of(1e-2), of(1e-7));
        assert!(near.gap >= near.primal - nearer.primal, "{loss}: {near:?} {nearer:?}");
        assert!(near.dual <= nearer.primal && nearer.gap < near.gap, "{loss}: {near:?} {nearer:?}");
    }
}

#[test]
fn a_run_to_a_gap_is_a_run_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let text = "data.source = 'digits'\npenalty.l1 = 1e-3\noptimizer.gap = 1e-3";
    let summary = complete(text, &dir.path().join("run"));
    let certificate = summary.certificate.as_ref().unwrap();
    assert!(summary.val_accuracy.unwrap() > 0.9 && summary.train_accuracy.unwrap() > 0.9, "{summary:?}");
    assert!(summary.val_loss.unwrap() > 0.0 && summary.num_zero_weights > 100, "{summary:?}");
    assert_eq!((summary.steps, summary.epochs), (certificate.num_iterations, 0));
    let run_dir = RunDir::open(&dir.path().join("run")).unwrap();
    let lines = run_dir.metrics().unwrap();
    let Some(MetricsLine::Iteration(last)) = lines.last() else { panic!("{lines:?}") };
    assert_eq!(
        (lines.len() as u64, last.iteration),
        (certificate.num_iterations, certificate.num_iterations)
    );
    assert!(run_dir.analysis().is_ok());
    assert_eq!(run_dir.summary().unwrap(), summary);
    let (again, _) = run(text, &dir.path().join("run"));
    assert_eq!(again.unwrap(), Outcome::AlreadyComplete(summary));
}

#[test]
fn a_run_that_was_cut_off_begins_anew_says_so_and_ends_in_the_same_weights() {
    let dir = tempfile::tempdir().unwrap();
    let text = "data.source = 'digits'\nloss.name = 'svm'\npenalty.l2 = 1e-2\noptimizer.gap = 1e-4";
    let whole = complete(text, &dir.path().join("whole"));
    let cut = dir.path().join("cut");
    let (outcome, _) = run_until(text, &cut, 2);
    assert_eq!(outcome.unwrap(), Outcome::Interrupted { step: None });
    assert_eq!(RunDir::open(&cut).unwrap().metrics().unwrap().len(), 2);
    let (outcome, events) = run(text, &cut);
    let summary = outcome.unwrap().complete().unwrap();
    assert!(
        events.iter().any(|event| matches!(event, TrainEvent::Stage(text) if text.contains("begins anew")))
    );
    assert_eq!(without_seconds(&cut, &summary), without_seconds(&dir.path().join("whole"), &whole));
}

#[test]
fn a_gap_below_rounding_is_not_claimed_and_the_way_out_is_said() {
    let dir = tempfile::tempdir().unwrap();
    for (more, reason, way) in [
        ("", "stalled at rounding", "ask for a larger --gap"),
        (", max_iterations = 2", "max iterations", "allow more"),
    ] {
        let text = format!("data.source = 'digits'\npenalty.l2 = 1e-3\noptimizer = {{ gap = 1e-17{more} }}");
        let (outcome, events) = run(&text, &dir.path().join(reason));
        let found = outcome.unwrap().complete().unwrap().certificate.unwrap();
        assert!(!found.certified && found.relative_gap > 1e-17 && found.reason == reason, "{found:?}");
        let told = |event: &TrainEvent| matches!(event, TrainEvent::Warning(text) if text.contains(way));
        assert!(events.iter().any(told), "{events:?}");
    }
}

#[test]
fn without_a_penalty_separable_data_has_no_optimum_and_no_run_begins() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let error = run("data.source = 'digits'\noptimizer.gap = 1e-3", &out).0.unwrap_err();
    assert!(
        matches!(error, TrainError::Linear(_)) && error.to_string().contains("there is no optimum"),
        "{error}"
    );
    assert_eq!(error.help(), ["set `penalty.l2`, such as to 1e-6"]);
    assert!(!out.exists());
}

#[test]
fn class_weights_are_those_of_the_engine() {
    let dir = tempfile::tempdir().unwrap();
    let text = "data.source = 'digits'\npenalty.l2 = 1e-2\n\
                loss.class_weights = [1.0, 3.0, 1.0, 1.0, 0.5, 1.0, 1.0, 1.0, 1.0, 2.0]\n";
    let summary = complete(&format!("{text}optimizer.gap = 1e-6"), &dir.path().join("gap"));
    let found = summary.certificate.unwrap();
    // Gradient descent comes to the same minimum from above.
    let descent = complete(
        &format!("{text}optimizer = {{ name = 'gd', learning_rate = 0.05 }}"),
        &dir.path().join("gd"),
    );
    let distance = descent.train_loss - found.primal;
    assert!(distance > -1e-6 && distance < 0.02 * found.primal, "{distance:e} {found:?}");
}

#[test]
fn weights_of_other_optimisers_are_certified_and_stay_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    for (loss, l2) in [("softmax", 1e-3), ("svm", 1e-2)] {
        let text =
            format!("data.source = 'digits'\nloss.name = '{loss}'\npenalty.l2 = {l2}\ntraining.epochs = 5\n");
        let plain = complete(&text, &dir.path().join(format!("{loss}-plain")));
        let out = dir.path().join(format!("{loss}-certified"));
        let summary = complete(&format!("{text}training.certify = true"), &out);
        assert_eq!(summary.weights_blake3, plain.weights_blake3);
        assert_eq!(plain.certificate, None);
        let found = summary.certificate.unwrap();
        let optimum = certificate(
            &format!("data.source = 'digits'\nloss.name = '{loss}'\npenalty.l2 = {l2}\noptimizer.gap = 1e-7"),
            &dir.path().join(format!("{loss}-optimum")),
        );
        let distance = found.primal - optimum.primal;
        assert!(distance > 0.0 && found.gap >= distance, "{found:?} {optimum:?}");
        // The bound is nearly the optimum itself.
        assert!(found.gap <= distance + 2e-4 * optimum.primal, "{found:?} {optimum:?}");
        assert!(found.certified && found.reason == "bound found", "{found:?}");
        let primal = objective(&out, loss, 0.0, l2);
        assert!((found.primal - primal).abs() <= 1e-12 * primal, "{found:?} {primal}");
    }
}

#[test]
fn a_path_ends_in_a_certified_run_at_the_chosen_penalty() {
    let dir = tempfile::tempdir().unwrap();
    let text = "data.source = 'digits'\npath = { l2 = [1e-5, 1.0], steps = 6, folds = 3 }\n";
    let out = dir.path().join("path");
    let summary = complete(text, &out);
    let found = RunDir::open(&out).unwrap().penalty_path().unwrap().unwrap();
    let losses: Vec<f64> = found.points.iter().map(|point| point.val_loss).collect();
    assert_eq!((found.points.len(), found.folds, found.chosen), (6, 3, found.best));
    assert!((found.points[0].l2, found.points[5].l2) == (1.0, 1e-5), "{found:?}");
    assert!(losses.iter().all(|&loss| loss >= losses[found.best]) && losses[0] > losses[found.best]);
    assert!(found.points.iter().all(|point| point.relative_gap <= 1e-3 && point.standard_deviation > 0.0));
    let l2 = found.chosen().unwrap().l2;
    assert_eq!(summary.measures["chosen_l2"], l2);
    // The same weights as of a run that is told this penalty.
    let told = format!("data.source = 'digits'\npenalty.l2 = {l2}\noptimizer.gap = 1e-4");
    let told = complete(&told, &dir.path().join("told"));
    assert_eq!((&told.weights_blake3, &told.certificate), (&summary.weights_blake3, &summary.certificate));
    assert_eq!(TrainedModel::load(&out, &Device::flex()).unwrap().file.penalty.l2(), l2);
    // A rule that prefers strong penalties.
    let text = text.replace("folds = 3", "folds = 3, rule = 'one-standard-error'");
    let out = dir.path().join("strong");
    complete(&text, &out);
    let strong = RunDir::open(&out).unwrap().penalty_path().unwrap().unwrap();
    assert_eq!(strong.points, found.points);
    assert!(strong.chosen == strong.one_standard_error && strong.chosen <= strong.best, "{strong:?}");
}

#[test]
fn a_path_over_l1_counts_the_weights_that_are_not_zero() {
    let dir = tempfile::tempdir().unwrap();
    let text =
        "data.source = 'digits'\npenalty.l2 = 1e-4\npath = { l1 = [1e-4, 1e-1], steps = 4, folds = 2 }\n";
    let summary = complete(text, dir.path());
    let found = RunDir::open(dir.path()).unwrap().penalty_path().unwrap().unwrap();
    let sizes: Vec<f64> = found.points.iter().map(|point| point.num_nonzero_weights).collect();
    assert!(sizes.windows(2).all(|pair| pair[0] < pair[1]), "{sizes:?}");
    assert!(found.points.iter().all(|point| point.l2 == 1e-4), "{found:?}");
    assert!(summary.num_zero_weights > 0 && summary.certificate.unwrap().certified);
}

#[test]
fn an_interrupted_path_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let text = "data.source = 'digits'\npath = { l2 = [1e-4, 1.0], steps = 3, folds = 2 }";
    let (outcome, _) = run_until(text, dir.path(), 1);
    assert_eq!(outcome.unwrap(), Outcome::Interrupted { step: None });
    assert!(run(text, dir.path()).0.unwrap().complete().unwrap().certificate.unwrap().certified);
}

#[test]
fn more_folds_than_samples_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let text = "data.source = 'digits'\npath = { folds = 100000 }";
    let error = run(text, &dir.path().join("run")).0.unwrap_err();
    assert!(error.to_string().starts_with("100000 folds need"), "{error}");
}
