//! The losses: values, dual points, conjugates.
//!
//! All three are support functions of a polytope of γ_j ≥ 0, j ≠ y, minus a convex function on it:
//!
//! ```text
//! ℓ(s, y) = max_γ Σ_{j≠y} γ_j (s_j − s_y) + h(γ)
//!
//! softmax             Σ γ ≤ 1          h = −Σ_{j≠y} γ_j ln γ_j − q ln q,  q = 1 − Σ γ
//! Weston–Watkins      γ_j ≤ 1          h = Δ Σ γ
//! Crammer–Singer      Σ γ ≤ 1          h = Δ Σ γ
//! ```
//!
//! so that −h is the conjugate of ℓ at the vector with γ_j for j ≠ y and −Σ γ for y. Each polytope holds 0
//! and, with a point, all smaller ones: what makes a dual point feasible only ever lowers γ.

mod crammer_singer;
mod smoothed;
mod softmax;
mod weston_watkins;

pub(crate) use smoothed::smoothed;
pub(crate) use softmax::softmax;

use crate::problem::Loss;

/// The loss of a sample with these scores `[C]`, and into `dual` the γ where the maximum is, 0 for the
/// target.
///
/// At a kink γ is the smallest.
pub(crate) fn value_and_dual(loss: Loss, scores: &[f64], target: usize, dual: &mut [f64]) -> f64 {
    match loss {
        Loss::Softmax => softmax(scores, target, dual),
        Loss::WestonWatkins { margin } => weston_watkins::value_and_dual(margin, scores, target, dual),
        Loss::CrammerSinger { margin } => crammer_singer::value_and_dual(margin, scores, target, dual),
    }
}

/// h(γ).
pub(crate) fn dual_value(loss: Loss, dual: &[f64], target: usize) -> f64 {
    match loss {
        Loss::Softmax => softmax::entropy(dual, target),
        Loss::WestonWatkins { margin } | Loss::CrammerSinger { margin } => margin * dual.iter().sum::<f64>(),
    }
}

/// How much the loss changes at most if no score changes by more than 1.
pub(crate) fn lipschitz(loss: Loss, num_classes: usize) -> f64 {
    match loss {
        Loss::Softmax | Loss::CrammerSinger { .. } => 2.0,
        Loss::WestonWatkins { .. } => 2.0 * (num_classes - 1) as f64,
    }
}
