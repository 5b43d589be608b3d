//! Numbers from PyTorch and scikit-learn; `reference/score_losses.py` made them.

use burn::tensor::{Device, Tensor, TensorData};
use mentor_loss::{ScoreLoss, soft_threshold};
use mentor_testkit::gradient;
use serde_json::Value;

use crate::support::{
    assert_close, crammer_singer, gradient_of, per_sample, smoothed_and_weighted, svm, values,
};

const GOLDEN: &str = include_str!("../../../../reference/golden/score_losses.json");

fn golden() -> Value {
    serde_json::from_str(GOLDEN).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn matrix(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().flat_map(numbers).collect()
}

fn narrow(values: &[f64]) -> Vec<f32> {
    let narrow: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    assert!(narrow.iter().zip(values).all(|(&a, &b)| f64::from(a) == b), "inputs must be exact in f32");
    narrow
}

fn indices(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|index| index.as_u64().unwrap() as usize).collect()
}

/// The cases of one name, which must exist.
fn cases(name: &str, count: usize) -> Vec<Value> {
    let all = golden()["cases"].as_array().unwrap().clone();
    let cases: Vec<Value> = all.into_iter().filter(|case| case["name"] == name).collect();
    assert_eq!(cases.len(), count, "cases named {name}");
    cases
}

fn class_weights(case: &Value) -> Vec<f64> {
    if case["class_weights"].is_null() { Vec::new() } else { numbers(&case["class_weights"]) }
}

#[test]
fn weston_watkins_is_pytorchs_multi_margin_times_the_number_of_classes() {
    for case in cases("multi_margin", 10) {
        let (scores, targets) = (matrix(&case["scores"]), indices(&case["targets"]));
        let num_classes = (scores.len() / targets.len()) as f64;
        let times_classes =
            |values: Vec<f64>| values.iter().map(|value| value * num_classes).collect::<Vec<_>>();
        let loss = svm(case["margin"].as_f64().unwrap());
        let scores = narrow(&scores);
        assert_close(
            &per_sample(&loss, &scores, &targets),
            &times_classes(numbers(&case["per_sample"])),
            5e-7,
        );
        assert_close(&gradient_of(&loss, &scores, &targets), &times_classes(matrix(&case["gradient"])), 1e-7);
    }
}

#[test]
fn softmax_is_pytorchs_cross_entropy_with_smoothing_and_weights() {
    for case in cases("cross_entropy", 30) {
        let (scores, targets) = (narrow(&matrix(&case["scores"])), indices(&case["targets"]));
        let smoothing = case["label_smoothing"].as_f64().unwrap();
        let weights = class_weights(&case);
        let loss = ScoreLoss::Softmax(smoothed_and_weighted(smoothing, &weights));
        let expected = numbers(&case["per_sample"]);
        assert_close(&per_sample(&loss, &scores, &targets), &expected, 1e-6);
        assert_close(&gradient_of(&loss, &scores, &targets), &matrix(&case["gradient"]), 1e-6);
        for (sample, row) in matrix(&case["scores"]).chunks_exact(scores.len() / targets.len()).enumerate() {
            let explained = loss.explain(row, targets[sample]).unwrap();
            // PyTorch's own log-sum-exp minus s_y is good to an ulp of the scores, 2e-12 for 1e4.
            let tolerance = 1e-11 * expected[sample].abs().max(1.0);
            assert!((explained.loss - expected[sample]).abs() < tolerance, "{explained:?}");
        }
    }
}

#[test]
fn soft_targets_are_pytorchs() {
    for case in cases("cross_entropy_soft", 4) {
        let (scores, probs) = (narrow(&matrix(&case["scores"])), narrow(&matrix(&case["target_probs"])));
        let shape = [6, 5];
        let loss = smoothed_and_weighted(case["label_smoothing"].as_f64().unwrap(), &class_weights(&case));
        let soft = |scores: Tensor<2>| {
            let probs = Tensor::from_data(TensorData::new(probs.clone(), shape), &scores.device());
            loss.per_sample_soft(scores, probs)
        };
        let tensor = Tensor::from_data(TensorData::new(scores.clone(), shape), &Device::flex());
        assert_close(&values(soft(tensor)), &numbers(&case["per_sample"]), 1e-6);
        assert_close(&gradient::autodiff(&scores, shape, soft), &matrix(&case["gradient"]), 1e-6);
    }
}

#[test]
fn crammer_singer_is_scikit_learns_hinge_loss() {
    let case = &golden()["crammer_singer"];
    let (scores, targets) = (narrow(&matrix(&case["scores"])), indices(&case["targets"]));
    let losses = per_sample(&crammer_singer(1.0), &scores, &targets);
    let mean = losses.iter().sum::<f32>() / losses.len() as f32;
    assert_close(&[mean], &[case["mean"].as_f64().unwrap()], 3e-7);
}

#[test]
fn the_soft_threshold_is_pytorchs_softshrink() {
    let case = &golden()["softshrink"];
    let weights = narrow(&numbers(&case["values"]));
    let weights = Tensor::<1>::from_data(TensorData::new(weights, [12]), &Device::flex());
    let shrunk = values(soft_threshold(weights, case["amount"].as_f64().unwrap()));
    assert_close(&shrunk, &numbers(&case["shrunk"]), 0.0);
}
