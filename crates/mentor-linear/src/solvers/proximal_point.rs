//! The hinges with L2: the proximal point method in the dual, each step by a semismooth Newton method.
//!
//! ```text
//! γ⁺ = argmax D(γ) − 1/(2σ) Σ_i a_i/N ‖γ_i − γ⁰_i‖²
//! ```
//!
//! is the dual of the problem with the smoothed hinge ℓ_σ about γ⁰ (`objective/smoothed.rs`), which is
//! differentiable and piecewise quadratic: Newton's method with conjugate gradients solves it in a few steps,
//! in the weights and the unpenalised bias together. γ⁺ is then the gradient of ℓ_σ. ε/2 ‖b − b⁰‖² about the
//! bias of the step before makes the Hessian positive definite (the proximal method of multipliers;
//! Rockafellar 1976), and leaves the limit without a penalty on the bias. σ grows, ε falls, and the limit is
//! the optimum of the hinge itself (Rockafellar 1976; Li, Sun, Toh 2018 for the semismooth Newton steps). A
//! step goes to where the slope along it is small, since the function is piecewise quadratic and halving from
//! 1 ends far from there. Samples whose γ rests at a bound have no curvature: they cost no step any digits.

use rayon::prelude::*;

use crate::gap::Certifier;
use crate::objective::smoothed;
use crate::problem::{Checked, Loss};
use crate::products::PANEL;
use crate::record::{Reason, Record, State};
use crate::solvers::hessian::Hessian;
use crate::solvers::newton_cg::{MANY_STEPS, add_penalty, conjugate_gradients, dot, on_a_part};
use crate::solvers::preconditioner::Preconditioner;

/// Newton steps with one γ⁰ at most.
const MOST_STEPS: usize = 40;
/// Newton steps that are so few that σ may grow twice as much.
const EASY_STEPS: usize = 1;
/// σΔ to begin with, without a γ and with one.
const COLD: f64 = 0.25;
const WARM: f64 = 16.0;
/// By what σ grows, and to how many times 1/Δ at most. At four times as much the line search takes
/// hundredths of Newton's steps.
const GROWTH: f64 = 2.0;
const SHARPEST: f64 = 1e6;
/// Points that a line search looks at.
const MOST_TRIALS: usize = 20;
/// ε Δ² σ.
const BIAS_RIDGE: f64 = 0.01;

pub(crate) fn proximal_point(
    certifier: &Certifier<'_>,
    state: &mut State,
    record: &mut Record<'_>,
) -> Reason {
    let problem = certifier.problem;
    let rows = &problem.rows;
    let margin = match problem.loss {
        Loss::WestonWatkins { margin } | Loss::CrammerSinger { margin } => margin,
        Loss::Softmax => unreachable!("softmax is smooth"),
    };
    if state.weights.iter().all(|&w| w == 0.0)
        && let Some(coarse) = on_a_part(certifier, proximal_point, record)
    {
        match coarse {
            Ok(coarse) => state.weights = coarse,
            Err(reason) => return reason,
        }
    }
    let warm = !state.dual.is_empty();
    state.dual.resize(rows.num_samples * rows.stride(), 0.0);
    let mut sharpness = if warm { WARM } else { COLD } / margin;
    let (mut scores, mut along, mut trial) = (Vec::new(), Vec::new(), Vec::new());
    let (mut dual, mut unused) = (Vec::new(), Vec::new());
    let mut hessian = Hessian::new(problem);
    let mut preconditioner: Option<Preconditioner> = None;
    rows.scores(&state.weights, &mut scores);
    let mut gap = f64::INFINITY;
    loop {
        let weights = &mut state.weights;
        hessian.bias_ridge = BIAS_RIDGE / (margin * margin * sharpness);
        let about = About {
            sharpness,
            dual: &state.dual,
            bias: bias_of(problem, weights),
            ridge: hessian.bias_ridge,
        };
        let (mut solved, mut num_steps) = (false, 0);
        while num_steps < MOST_STEPS {
            let value = value(problem, &about, weights, &scores, &mut dual);
            let mut gradient = certifier.unbalanced_correlations(&dual);
            add_penalty(problem, weights, &mut gradient);
            about.add_bias_gradient(problem, weights, &mut gradient);
            // What the step's γ lacks: the gradient in W costs its square, that in b the margin of what
            // balancing takes away.
            let (of_weights, of_bias) = norms(problem, &gradient);
            let primal = record.primal().min(value.abs() + problem.penalty(weights) + margin);
            let enough = (0.1 * gap).min(primal).max(0.1 * record.target * primal);
            if of_weights / (4.0 * problem.l2) + margin * of_bias <= 0.5 * enough {
                solved = true;
                break;
            }
            num_steps += 1;
            hessian.move_to_hinge(&dual, sharpness);
            let now = preconditioner.take().unwrap_or_else(|| Preconditioner::new(&hessian));
            let (direction, num_products) = conjugate_gradients(&hessian, &gradient, &now, 0.05);
            if num_products <= MANY_STEPS {
                preconditioner = Some(now);
            }
            rows.scores(&direction, &mut along);
            let slope = dot(&gradient, &direction);
            let mut slope_at = |size: f64| {
                trial.clone_from(&scores);
                trial.par_iter_mut().zip(&along).for_each(|(score, step)| *score += size * step);
                let moved: Vec<f64> = weights.iter().zip(&direction).map(|(w, d)| w + size * d).collect();
                slope_along(problem, &about, &moved, &direction, &trial, &along, &mut unused)
            };
            let size = minimum(slope, &mut slope_at);
            if size == 0.0 {
                break;
            }
            scores.par_iter_mut().zip(&along).for_each(|(score, step)| *score += size * step);
            weights.iter_mut().zip(&direction).for_each(|(w, d)| *w += size * d);
        }
        value(problem, &about, weights, &scores, &mut dual);
        record.offer_dual(certifier.dual(&dual).bound);
        rows.scores(weights, &mut scores);
        let primal = certifier.primal(weights, &scores, &mut unused);
        record.offer_primal(weights, primal);
        if let Some(reason) = record.end_iteration() {
            return reason;
        }
        gap = record.gap();
        std::mem::swap(&mut state.dual, &mut dual);
        // A step that was too hard is followed by an easier one, an easy one by a harder one.
        let growth = if num_steps <= EASY_STEPS { 2.0 * GROWTH } else { GROWTH };
        sharpness =
            if solved { (growth * sharpness).min(SHARPEST / margin) } else { sharpness / (2.0 * growth) };
    }
}

/// A size at which the slope of a convex function, `first` at 0, is at most a tenth of that: by the rule of
/// false position, in which an end that stays for a second time counts half (Dowell and Jarratt 1971). 0 if
/// there is no descent.
fn minimum(first: f64, slope: &mut dyn FnMut(f64) -> f64) -> f64 {
    let (mut low, mut high): ((f64, f64), Option<(f64, f64)>) = ((0.0, first), None);
    let (mut size, mut was_low) = (1.0, None);
    for _ in 0..MOST_TRIALS {
        let here = slope(size);
        if here.abs() <= 0.1 * first.abs() {
            return size;
        }
        let is_low = here < 0.0;
        let stays = was_low == Some(is_low);
        if is_low {
            low = (size, here);
            high = high.map(|(size, slope)| (size, if stays { 0.5 * slope } else { slope }));
        } else {
            high = Some((size, here));
            low.1 *= if stays { 0.5 } else { 1.0 };
        }
        was_low = Some(is_low);
        size = match high {
            Some(high) => (low.0 * high.1 - high.0 * low.1) / (high.1 - low.1),
            None => 2.0 * size,
        };
    }
    // The slope is negative there, so that the function has fallen.
    low.0
}

/// What a step stays near to.
struct About<'a> {
    /// σ.
    sharpness: f64,
    /// γ⁰.
    dual: &'a [f64],
    /// b⁰, `[C]`.
    bias: Vec<f64>,
    /// ε.
    ridge: f64,
}

impl About<'_> {
    fn bias_term(&self, problem: &Checked<'_>, weights: &[f64]) -> f64 {
        let now = bias_of(problem, weights);
        0.5 * self.ridge * now.iter().zip(&self.bias).map(|(now, before)| (now - before).powi(2)).sum::<f64>()
    }

    fn add_bias_gradient(&self, problem: &Checked<'_>, weights: &[f64], gradient: &mut [f64]) {
        let now = bias_of(problem, weights);
        for (class, (now, before)) in now.iter().zip(&self.bias).enumerate() {
            gradient[problem.rows.weight(class, problem.rows.num_features)] += self.ridge * (now - before);
        }
    }
}

fn bias_of(problem: &Checked<'_>, weights: &[f64]) -> Vec<f64> {
    let rows = &problem.rows;
    (0..rows.num_classes).map(|class| weights[rows.weight(class, rows.num_features)]).collect()
}

/// The smoothed objective, and the γ of it.
fn value(
    problem: &Checked<'_>,
    about: &About<'_>,
    weights: &[f64],
    scores: &[f64],
    dual: &mut Vec<f64>,
) -> f64 {
    let Checked { rows, targets, sample_scales, loss, .. } = problem;
    let (stride, num_classes) = (rows.stride(), rows.num_classes);
    let sharpness = about.sharpness;
    dual.clear();
    dual.extend_from_slice(about.dual);
    let parts = dual.par_chunks_mut(rows.part_len() * stride).zip(rows.parts());
    let sums: Vec<f64> = parts
        .map(|(dual, samples)| {
            let sample_loss = |(dual, sample): (&mut [f64], usize)| {
                let (scores, target) = (&scores[sample * stride..][..num_classes], targets[sample] as usize);
                sample_scales[sample] * smoothed(*loss, sharpness, scores, target, &mut dual[..num_classes])
            };
            dual.chunks_exact_mut(stride).zip(samples).map(sample_loss).sum()
        })
        .collect();
    sums.iter().sum::<f64>() + problem.penalty(weights) + about.bias_term(problem, weights)
}

/// The derivative of the smoothed objective at `weights` along `direction`, whose scores are `along`.
fn slope_along(
    problem: &Checked<'_>,
    about: &About<'_>,
    weights: &[f64],
    direction: &[f64],
    scores: &[f64],
    along: &[f64],
    dual: &mut Vec<f64>,
) -> f64 {
    value(problem, about, weights, scores, dual);
    let Checked { rows, targets, sample_scales, .. } = problem;
    let stride = rows.stride();
    let of_losses = rows.sum(1, |sample, sum| {
        let (along, dual) = (&along[sample * stride..][..stride], &dual[sample * stride..][..stride]);
        let own = along[targets[sample] as usize];
        let slope: f64 = along.iter().zip(dual).map(|(change, gamma)| gamma * (change - own)).sum();
        sum[0] += sample_scales[sample] * slope;
    })[0];
    let mut rest = vec![0.0; weights.len()];
    add_penalty(problem, weights, &mut rest);
    about.add_bias_gradient(problem, weights, &mut rest);
    of_losses + dot(&rest, direction)
}

/// ‖gradient‖² in the weights, and Σ|gradient| in the bias.
fn norms(problem: &Checked<'_>, gradient: &[f64]) -> (f64, f64) {
    let (mut of_weights, mut of_bias) = (0.0, 0.0);
    for panel in gradient.chunks_exact(problem.rows.panel_len()) {
        let (weights, bias) = panel.split_at(problem.rows.num_features * PANEL);
        of_weights += dot(weights, weights);
        of_bias += bias.iter().map(|slope| slope.abs()).sum::<f64>();
    }
    (of_weights, of_bias)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_search_ends_where_the_slope_is_small() {
        // A kink at 0.01, beyond which the slope is steep; one far away; and no descent at all.
        for (at, steep) in [(0.01, 1e4), (37.0, 3.0)] {
            let size = minimum(-1.0, &mut |size| {
                if size < at { -1.0 + 0.5 * size / at } else { steep * (size - at) - 0.5 }
            });
            assert!((size - at).abs() < at && size > 0.0, "{size}");
        }
        assert_eq!(minimum(-1e-9, &mut |_| 1.0), 0.0);
    }
}
