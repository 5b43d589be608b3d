//! The one check that a loss makes at every call: do the shapes fit?

use burn::tensor::{Int, Tensor};

/// Panics unless `scores` is `[N, C]` with `C >= 1` and `targets` is `[N]`; gives `[N, C]`.
#[track_caller]
pub(crate) fn check_targets(loss: &str, scores: &Tensor<2>, targets: &Tensor<1, Int>) -> [usize; 2] {
    let [num_samples, num_classes] = scores.dims();
    assert!(
        num_classes > 0 && targets.dims() == [num_samples],
        "{loss}: scores need the shape [N, C] with C >= 1 and targets the shape [N], got {:?} and {:?}",
        scores.dims(),
        targets.dims(),
    );
    [num_samples, num_classes]
}

/// Panics unless `scores` and `target_probs` are both `[N, C]` with `C >= 1`; gives `[N, C]`.
#[track_caller]
pub(crate) fn check_target_probs(loss: &str, scores: &Tensor<2>, target_probs: &Tensor<2>) -> [usize; 2] {
    let [num_samples, num_classes] = scores.dims();
    assert!(
        num_classes > 0 && target_probs.dims() == [num_samples, num_classes],
        "{loss}: scores and target_probs need the same shape [N, C] with C >= 1, got {:?} and {:?}",
        scores.dims(),
        target_probs.dims(),
    );
    [num_samples, num_classes]
}

/// Panics unless both are of the same shape `[N, D]` with `D >= 1`.
#[track_caller]
pub(crate) fn check_same(loss: &str, names: [&str; 2], first: &Tensor<2>, second: &Tensor<2>) {
    let [first_name, second_name] = names;
    assert!(
        first.dims() == second.dims() && first.dims()[1] > 0,
        "{loss}: {first_name} and {second_name} need the same shape [N, D] with D >= 1, got {:?} and {:?}",
        first.dims(),
        second.dims(),
    );
}
