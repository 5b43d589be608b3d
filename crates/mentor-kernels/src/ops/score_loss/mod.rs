//! Losses on scores: the loss of every sample and its gradient in one pass, where a tape would record ten
//! operations.
//!
//! `mentor-loss` documents the equations; the functions here are what it calls.

mod fallback;
mod rows;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Dispatch, Flex, TensorMetadata};
use burn::tensor::{Int, Tensor};

use crate::host::buffer::{CpuTensor, classes, contiguous, is_on_cpu, to_tensor, values};
use crate::host::pointwise;
use crate::ops::extension::KernelOps;

/// Which loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Formula {
    Softmax,
    WestonWatkins { margin: f32 },
    CrammerSinger { margin: f32 },
}

/// Softmax cross-entropy of each sample, in nats: L = −ln( e^{s_y} / Σ_j e^{s_j} ).
///
/// `scores` `[N, C]`, `targets` `[N]` in `0..C`; result `[N]`. The gradient of row i is p − onehot(y).
/// Computed as M + log1p(Σ_{j≠y} e^{s_j − s_y − M} + expm1(−M)) with M = max(0, max_{j≠y} s_j − s_y), which
/// keeps the digits of losses near 0; the gradient of the target is −Σ_{j≠y} p_j, for the same reason.
///
/// # Panics
///
/// If the shapes do not fit, or, on the CPU, if a target is not in `0..C`.
#[track_caller]
pub fn softmax_cross_entropy(scores: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    apply(scores, targets, Formula::Softmax)
}

/// The multiclass hinge of Weston and Watkins of each sample: L = Σ_{j≠y} max(0, s_j − s_y + Δ).
///
/// `scores` `[N, C]`, `targets` `[N]` in `0..C`; result `[N]`. At the kink the gradient is 0.
///
/// # Panics
///
/// As [`softmax_cross_entropy`].
#[track_caller]
pub fn weston_watkins(scores: Tensor<2>, targets: Tensor<1, Int>, margin: f64) -> Tensor<1> {
    apply(scores, targets, Formula::WestonWatkins { margin: margin as f32 })
}

/// The multiclass hinge of Crammer and Singer of each sample: L = max(0, max_{j≠y} s_j − s_y + Δ).
///
/// `scores` `[N, C]`, `targets` `[N]` in `0..C`; result `[N]`. At the kink the gradient is 0; of several
/// largest classes one takes it.
///
/// # Panics
///
/// As [`softmax_cross_entropy`].
#[track_caller]
pub fn crammer_singer(scores: Tensor<2>, targets: Tensor<1, Int>, margin: f64) -> Tensor<1> {
    apply(scores, targets, Formula::CrammerSinger { margin: margin as f32 })
}

#[track_caller]
fn apply(scores: Tensor<2>, targets: Tensor<1, Int>, formula: Formula) -> Tensor<1> {
    let [num_samples, num_classes] = scores.dims();
    assert!(
        num_classes > 0 && targets.dims() == [num_samples],
        "scores {:?} and targets {:?} do not fit",
        scores.dims(),
        targets.dims(),
    );
    if is_on_cpu(&scores) {
        let (scores, targets) = (scores.into_dispatch(), targets.into_dispatch());
        Tensor::from_dispatch(<Dispatch as KernelOps>::mentor_score_loss(scores, targets, formula))
    } else {
        fallback::apply(scores, targets, formula)
    }
}

/// The losses on the CPU, and the gradient `[N, C]` of each in the scores.
fn compute(scores: CpuTensor, targets: &IntTensor<Flex>, formula: Formula) -> (CpuTensor, Vec<f32>) {
    let shape = scores.shape();
    let [num_samples, num_classes] = [shape[0], shape[1]];
    let scores = contiguous(scores);
    let targets = classes(targets, num_classes);
    let (losses, gradient) = rows::losses(num_classes, values(&scores), &targets, formula);
    (to_tensor(losses, &[num_samples]), gradient)
}

/// The losses without a tape.
pub(crate) fn forward(scores: CpuTensor, targets: &IntTensor<Flex>, formula: Formula) -> CpuTensor {
    compute(scores, targets, formula).0
}

/// The losses with their backward pass on the tape.
pub(crate) fn record<C: CheckpointStrategy>(
    scores: FloatTensor<Autodiff<Flex>>,
    targets: &IntTensor<Flex>,
    formula: Formula,
) -> FloatTensor<Autodiff<Flex>> {
    let (scores, node) = scores.into_parts();
    let shape = scores.shape().to_vec();
    let (losses, gradient) = compute(scores, targets, formula);
    match ScoreLossBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(to_tensor(gradient, &shape), losses),
        OpsKind::UnTracked(prep) => prep.finish(losses),
    }
}

#[derive(Debug)]
struct ScoreLossBackward;

impl Backward<Flex, 1> for ScoreLossBackward {
    /// The gradient of each loss in its row of scores.
    type State = CpuTensor;

    fn backward(self, ops: Ops<CpuTensor, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node] = ops.parents;
        let g = contiguous(grads.consume::<Flex>(&ops.node));
        if let Some(node) = node {
            grads.register::<Flex>(node.id, pointwise::scale_rows(ops.state, values(&g)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, random};
    use burn::tensor::{Device, TensorData};

    const FORMULAS: [Formula; 4] = [
        Formula::Softmax,
        Formula::WestonWatkins { margin: 1.0 },
        Formula::WestonWatkins { margin: 0.0 },
        Formula::CrammerSinger { margin: 0.5 },
    ];

    /// Losses, and the gradient of Σ_i (i + 1) L_i.
    fn run(
        call: fn(Tensor<2>, Tensor<1, Int>, Formula) -> Tensor<1>,
        values: &[f32],
        targets: &[i32],
        formula: Formula,
    ) -> (Vec<f32>, Vec<f32>) {
        let device = Device::flex().autodiff();
        let shape = [targets.len(), values.len() / targets.len()];
        let scores = Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), &device).require_grad();
        let targets = TensorData::new(targets.to_vec(), [targets.len()]);
        let losses = call(scores.clone(), Tensor::from_data(targets, &device), formula);
        let weights: Vec<f32> = (1..=shape[0]).map(|row| row as f32).collect();
        let weights = Tensor::<1>::from_data(TensorData::new(weights, [shape[0]]), &device);
        let gradients = (losses.clone() * weights).sum().backward();
        let gradient = scores.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
        (losses.into_data().try_to_vec().unwrap(), gradient)
    }

    #[test]
    fn kernel_and_burn_agree_in_value_and_gradient() {
        for (num_samples, num_classes) in [(1, 1), (1, 2), (5, 10), (700, 17), (1024, 10)] {
            let scores = random(9, num_samples * num_classes);
            let scores: Vec<f32> = scores.iter().map(|score| score * 3.0).collect();
            let targets: Vec<i32> = (0..num_samples).map(|i| (i * 7 % num_classes) as i32).collect();
            for formula in FORMULAS {
                let (losses, gradient) = run(apply, &scores, &targets, formula);
                let (expected, slope) = run(fallback::apply, &scores, &targets, formula);
                let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
                close(&losses, &wide(&expected), 1e-6);
                close(&gradient, &wide(&slope), 2e-6);
            }
        }
    }

    #[test]
    fn ugly_scores_stay_as_burn_has_them() {
        let rows: [&[f32]; 5] = [
            &[1e4, -1e4, 0.0],
            &[-1e4, 1e4, 1e4],
            &[0.0, 0.0, 0.0],
            &[95.0, 0.0, -3.0],
            &[3.0, f32::NAN, 0.0],
        ];
        for formula in FORMULAS {
            for row in rows {
                let (losses, gradient) = run(apply, row, &[0], formula);
                let (expected, slope) = run(fallback::apply, row, &[0], formula);
                assert_eq!(losses[0].is_nan(), expected[0].is_nan(), "{row:?} {formula:?}");
                if !expected[0].is_nan() {
                    close(&losses, &[f64::from(expected[0])], 1e-6);
                    // Crammer–Singer may give the slope of a tie to either class.
                    if row[1] != row[2] {
                        close(&gradient, &slope.iter().map(|&g| f64::from(g)).collect::<Vec<_>>(), 1e-6);
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "target 3 is not a class: there are 3")]
    fn a_target_that_is_no_class_is_refused() {
        run(apply, &[0.0; 3], &[3], Formula::Softmax);
    }
}
