//! The hinges, smoothed about a dual point.
//!
//! ```text
//! ℓ_σ(s, y) = max_γ Σ_{j≠y} γ_j (s_j − s_y + Δ) − 1/(2σ) ‖γ − γ⁰‖²
//! ```
//!
//! over the polytope of the loss. It is differentiable, at most ℓ, and equal to it where γ⁰ is optimal. The
//! maximum is a projection of γ⁰ + σ (s_j − s_y + Δ): for Weston and Watkins onto a box, for Crammer and
//! Singer onto a simplex, in the norm of q = (γ, 1 − Σ γ).

use crate::problem::Loss;

/// ℓ_σ; and the maximising γ into `dual`, which holds γ⁰.
pub(crate) fn smoothed(loss: Loss, sharpness: f64, scores: &[f64], target: usize, dual: &mut [f64]) -> f64 {
    let own = scores[target];
    match loss {
        Loss::WestonWatkins { margin } => {
            let mut sum = 0.0;
            for (class, (dual, &score)) in dual.iter_mut().zip(scores).enumerate() {
                if class != target {
                    let (before, lead) = (*dual, score - own + margin);
                    *dual = (before + sharpness * lead).clamp(0.0, 1.0);
                    sum += *dual * lead - (*dual - before).powi(2) / (2.0 * sharpness);
                }
            }
            sum
        }
        Loss::CrammerSinger { margin } => {
            let rest = 1.0 - dual.iter().sum::<f64>();
            let lead = |class: usize| if class == target { 0.0 } else { scores[class] - own + margin };
            let before = |dual: &[f64], class: usize| if class == target { rest } else { dual[class] };
            let wanted = |dual: &[f64], class: usize| before(dual, class) + sharpness * lead(class);
            let threshold = simplex_threshold(scores.len(), |class| wanted(dual, class));
            let (mut sum, mut total) = (0.0, 0.0);
            for class in 0..scores.len() {
                let after = (wanted(dual, class) - threshold).max(0.0);
                let change = after - before(dual, class);
                sum += after * lead(class) - change * change / (2.0 * sharpness);
                dual[class] = if class == target { 0.0 } else { after };
                total += dual[class];
            }
            // Never outside, by a rounding either.
            if total > 1.0 {
                dual.iter_mut().for_each(|value| *value /= total);
            }
            sum
        }
        Loss::Softmax => unreachable!("softmax is smooth"),
    }
}

/// θ with Σ max(0, v_j − θ) = 1, the root of a convex decreasing function: each step of Newton's method
/// from below stays below, and there are at most as many as values (Michelot 1986).
fn simplex_threshold(len: usize, value: impl Fn(usize) -> f64) -> f64 {
    let mut threshold = ((0..len).map(&value).sum::<f64>() - 1.0) / len as f64;
    for _ in 0..len {
        let above = || (0..len).map(&value).filter(|&value| value > threshold);
        let next = (above().sum::<f64>() - 1.0) / above().count().max(1) as f64;
        if next <= threshold {
            break;
        }
        threshold = next;
    }
    threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_hinge_where_the_dual_point_is_optimal_and_less_elsewhere() {
        let scores = [1.0, 2.0, -0.5, 0.75];
        for (loss, optimal, value) in [
            (Loss::WestonWatkins { margin: 1.0 }, [0.0, 1.0, 0.0, 1.0], 2.75),
            (Loss::CrammerSinger { margin: 1.0 }, [0.0, 1.0, 0.0, 0.0], 2.0),
        ] {
            let mut dual = optimal;
            assert_eq!(smoothed(loss, 0.5, &scores, 0, &mut dual), value);
            assert_eq!(dual, optimal);
            let mut dual = [0.0; 4];
            assert!(smoothed(loss, 0.1, &scores, 0, &mut dual) < value);
            // The gradient is γ: a central difference in the score of class 1.
            let at = |shift: f64| smoothed(loss, 0.1, &[1.0, 2.0 + shift, -0.5, 0.75], 0, &mut [0.0; 4]);
            assert!(((at(1e-5) - at(-1e-5)) / 2e-5 - dual[1]).abs() < 1e-8);
        }
    }
}
