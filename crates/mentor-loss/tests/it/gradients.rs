//! Automatic differentiation against central differences of the f64 oracles, away from kinks.

use burn::tensor::{Device, Tensor, TensorData};
use mentor_random::{Purpose, Stream};
use mentor_testkit::gradient::gradient_check;
use mentor_testkit::oracle;

use crate::support::{crammer_singer, smoothed_and_weighted, svm, targets_on};

const SHAPE: [usize; 2] = [7, 5];
const TARGETS: [usize; 7] = [0, 1, 2, 3, 4, 0, 2];
const WEIGHTS: [f64; 5] = [0.5, 2.0, 1.0, 0.0, 3.5];

/// Scores whose hinge terms are at least 0.01 from the kink and whose largest terms at least 0.01 apart.
fn scores_away_from_kinks(seed: u64, margin: f32) -> Vec<f32> {
    let mut stream = Stream::new(seed, Purpose::Weights, &[]);
    let mut scores = Vec::new();
    for target in TARGETS {
        loop {
            let row: Vec<f32> = (0..SHAPE[1]).map(|_| 2.0 * stream.normal()).collect();
            let near = |a: f32, b: f32| (a - b).abs() < 0.01;
            let kink =
                (0..SHAPE[1]).any(|class| class != target && near(row[class] - row[target] + margin, 0.0));
            let tie = (0..SHAPE[1]).any(|a| (0..a).any(|b| near(row[a], row[b])));
            if !kink && !tie {
                scores.extend(row);
                break;
            }
        }
    }
    scores
}

#[test]
fn hinge_gradients_are_the_derivatives() {
    for (seed, margin) in [(1, 1.0f32), (2, 0.0), (3, 2.5)] {
        let scores = scores_away_from_kinks(seed, margin);
        let margin = f64::from(margin);
        type Oracle = fn(&[f64], usize, &[usize], f64) -> Vec<f64>;
        let oracles: [(_, Oracle); 2] =
            [(svm(margin), oracle::weston_watkins), (crammer_singer(margin), oracle::crammer_singer)];
        for (loss, oracle) in oracles {
            let tensors = |scores: Tensor<2>| {
                let targets = targets_on(&TARGETS, &scores.device());
                loss.per_sample(scores, targets)
            };
            let plain = |scores: &[f64]| oracle(scores, SHAPE[1], &TARGETS, margin).iter().sum();
            gradient_check(&scores, SHAPE, tensors, plain, 1e-6).unwrap();
        }
    }
}

#[test]
fn softmax_gradients_are_the_derivatives() {
    let scores = scores_away_from_kinks(4, 1.0);
    for (smoothing, weights) in [(0.0, &[][..]), (0.1, &[]), (1.0, &[]), (0.0, &WEIGHTS), (0.1, &WEIGHTS)] {
        let loss = smoothed_and_weighted(smoothing, weights);
        let tensors = |scores: Tensor<2>| {
            let targets = targets_on(&TARGETS, &scores.device());
            loss.per_sample(scores, targets)
        };
        let plain =
            |scores: &[f64]| oracle::softmax(scores, SHAPE[1], &TARGETS, smoothing, weights).iter().sum();
        gradient_check(&scores, SHAPE, tensors, plain, 1e-6).unwrap();
    }
}

#[test]
fn soft_target_gradients_are_the_derivatives() {
    let scores = scores_away_from_kinks(5, 1.0);
    let probs: Vec<f32> = (0..35).map(|k| [0.5, 0.25, 0.0, 0.125, 0.125][(k + k / 5) % 5]).collect();
    let probs_f64: Vec<f64> = probs.iter().map(|&prob| f64::from(prob)).collect();
    for (smoothing, weights) in [(0.0, &[][..]), (0.2, &[]), (0.0, &WEIGHTS), (0.2, &WEIGHTS)] {
        let loss = smoothed_and_weighted(smoothing, weights);
        let tensors = |scores: Tensor<2>| {
            let probs = TensorData::new(probs.clone(), SHAPE);
            let probs = Tensor::from_data(probs, &scores.device());
            loss.per_sample_soft(scores, probs)
        };
        let plain = |scores: &[f64]| {
            oracle::softmax_soft(scores, SHAPE[1], &probs_f64, smoothing, weights).iter().sum()
        };
        gradient_check(&scores, SHAPE, tensors, plain, 1e-6).unwrap();
    }
}

#[test]
fn no_gradient_flows_into_soft_targets() {
    let device = Device::flex().autodiff();
    let logits = Tensor::<2>::from_floats([[1.0, 2.0]], &device).require_grad();
    let scores = Tensor::<2>::from_floats([[0.5, -0.5]], &device).require_grad();
    let target_probs = burn::tensor::activation::softmax(logits.clone(), 1);
    let loss = smoothed_and_weighted(0.0, &[]).per_sample_soft(scores.clone(), target_probs);
    let gradients = loss.sum().backward();
    assert!(scores.grad(&gradients).is_some() && logits.grad(&gradients).is_none());
}

#[test]
fn a_cut_in_the_graph_does_not_change_the_gradient_of_scores_that_are_computed() {
    // Scores that come out of a layer, not a leaf: what training does. dL/dW = xᵀ·dL/ds.
    let device = Device::flex().autodiff();
    let weights = Tensor::<2>::from_floats([[1.6, 2.55, -0.85]], &device).require_grad();
    let inputs = Tensor::<2>::from_floats([[2.0]], &device);
    let loss =
        smoothed_and_weighted(0.0, &[]).per_sample(inputs.matmul(weights.clone()), targets_on(&[0], &device));
    let gradient = weights.grad(&loss.sum().backward()).unwrap();
    crate::support::assert_close(
        &crate::support::values(gradient),
        &[-0.870017 * 2.0, 0.869050 * 2.0, 0.000968 * 2.0],
        2e-6,
    );
}
