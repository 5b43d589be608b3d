//! Short ways to say "the loss of these scores".

use burn::tensor::{Device, Int, Tensor, TensorData};
use mentor_loss::{Hinge, MulticlassSvm, ScoreLoss, SoftmaxCrossEntropy};
use mentor_testkit::gradient;

pub(crate) fn svm(margin: f64) -> ScoreLoss {
    ScoreLoss::Svm(MulticlassSvm::new(Hinge::WestonWatkins, margin).unwrap())
}

pub(crate) fn crammer_singer(margin: f64) -> ScoreLoss {
    ScoreLoss::Svm(MulticlassSvm::new(Hinge::CrammerSinger, margin).unwrap())
}

pub(crate) fn softmax() -> ScoreLoss {
    ScoreLoss::Softmax(SoftmaxCrossEntropy::new())
}

pub(crate) fn smoothed_and_weighted(label_smoothing: f64, weights: &[f64]) -> SoftmaxCrossEntropy {
    let loss = SoftmaxCrossEntropy::new().with_label_smoothing(label_smoothing).unwrap();
    if weights.is_empty() { loss } else { loss.with_class_weights(weights.to_vec()).unwrap() }
}

pub(crate) fn targets_on(targets: &[usize], device: &Device) -> Tensor<1, Int> {
    let targets: Vec<i64> = targets.iter().map(|&target| target as i64).collect();
    let shape = [targets.len()];
    Tensor::from_data(TensorData::new(targets, shape), device)
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// The losses of row-major scores, without a graph.
pub(crate) fn per_sample(loss: &ScoreLoss, scores: &[f32], targets: &[usize]) -> Vec<f32> {
    let device = Device::flex();
    let shape = [targets.len(), scores.len() / targets.len()];
    let scores = Tensor::<2>::from_data(TensorData::new(scores.to_vec(), shape), &device);
    values(loss.per_sample(scores, targets_on(targets, &device)))
}

/// The gradient of the sum of the losses.
pub(crate) fn gradient_of(loss: &ScoreLoss, scores: &[f32], targets: &[usize]) -> Vec<f32> {
    let shape = [targets.len(), scores.len() / targets.len()];
    gradient::autodiff(scores, shape, |scores| {
        let targets = targets_on(targets, &scores.device());
        loss.per_sample(scores, targets)
    })
}

/// Asserts that two slices agree to `tolerance·max(1, |expected|)`.
#[track_caller]
pub(crate) fn assert_close(actual: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len());
    for (k, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
        let error = (f64::from(actual) - expected).abs();
        assert!(error <= tolerance * expected.abs().max(1.0), "[{k}]: {actual}, expected {expected}");
    }
}
