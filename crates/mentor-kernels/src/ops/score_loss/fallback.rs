//! The losses by Burn's operations, for devices without kernels.

use burn::tensor::activation::relu;
use burn::tensor::{IndexingUpdateOp, Int, Tensor};

use super::Formula;

/// Added to the target's exponent so that its exponential is exactly 0, in value and gradient. Finite,
/// because shader languages do not promise infinities.
const EXCLUDED: f32 = -1e30;

/// `scores` `[N, C]` and `targets` `[N]` give `[N]`.
pub(super) fn apply(scores: Tensor<2>, targets: Tensor<1, Int>, formula: Formula) -> Tensor<1> {
    let [num_samples, _] = scores.dims();
    let columns = targets.reshape([num_samples, 1]);
    let target_scores = scores.clone().gather(1, columns.clone());
    let leads = scores.sub(target_scores); // [N, C], exactly 0 at the target
    let losses = match formula {
        Formula::Softmax => softmax(leads, columns),
        Formula::WestonWatkins { margin } => relu(violations(leads, columns, margin)).sum_dim(1),
        // relu once more: where the largest ties with the target's 0, the kink has gradient 0.
        Formula::CrammerSinger { margin } => relu(violations(leads, columns, margin).max_dim(1)),
    };
    losses.reshape([num_samples])
}

fn softmax(leads: Tensor<2>, columns: Tensor<2, Int>) -> Tensor<2> {
    let [num_samples, _] = leads.dims();
    let largest = leads.clone().detach().max_dim(1); // M, at least 0 because of the target's 0
    let excluded = Tensor::full([num_samples, 1], EXCLUDED, &leads.device());
    let others =
        leads.sub(largest.clone()).scatter(1, columns, excluded, IndexingUpdateOp::Add).exp().sum_dim(1);
    // exp − 1 serves as expm1: where M is 0 it is exactly 0, elsewhere the loss is at least ln 2.
    let correction = largest.clone().neg().exp().sub_scalar(1.0);
    others.add(correction).log1p().add(largest)
}

/// s_j − s_y + Δ, and 0 for the target itself.
fn violations(leads: Tensor<2>, columns: Tensor<2, Int>, margin: f32) -> Tensor<2> {
    // The target's entry is 0 + Δ; adding −Δ makes it exactly 0, so that it neither counts in a sum nor
    // pushes, and serves as the "max(0, …)" of the largest.
    let cancel = Tensor::full([leads.dims()[0], 1], -margin, &leads.device());
    leads.add_scalar(margin).scatter(1, columns, cancel, IndexingUpdateOp::Add)
}
