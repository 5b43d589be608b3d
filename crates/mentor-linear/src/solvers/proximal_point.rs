//! The hinges with L2: the proximal point method in the dual, each step by a semismooth Newton method.
//!
//! ```text
//! γ⁺ = argmax D(γ) − 1/(2σ) Σ_i a_i/N ‖γ_i − γ⁰_i‖²
//! ```
//!
//! is the dual of the problem with the smoothed hinge ℓ_σ about γ⁰ (`objective/smoothed.rs`), which is
//! differentiable and piecewise quadratic: Newton's method with conjugate gradients solves it in a few
//! steps, in the weights and the unpenalised bias together. γ⁺ is then the gradient of ℓ_σ. ε/2 ‖b − b⁰‖²
//! about the bias of the step before makes the Hessian positive definite (the proximal method of
//! multipliers; Rockafellar 1976), and leaves the limit without a penalty on the bias. σ grows, ε falls,
//! and the limit is the optimum of the hinge itself (Rockafellar 1976; Li, Sun, Toh 2018 for the semismooth
//! Newton steps). Samples whose γ rests at a bound have no curvature: they cost no step any digits.

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
/// By what σ grows, and to how many times 1/Δ at most.
const GROWTH: f64 = 4.0;
const SHARPEST: f64 = 1e6;
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
        && let Some(coarse) = on_a_part(problem, proximal_point)
    {
        state.weights = coarse;
    }
    let warm = !state.dual.is_empty();
    state.dual.resize(rows.num_samples * rows.stride(), 0.0);
    let mut sharpness = if warm { 16.0 } else { 1.0 } / margin;
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
        let mut solved = false;
        for _ in 0..MOST_STEPS {
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
            hessian.move_to_hinge(&dual, sharpness);
            let now = preconditioner.take().unwrap_or_else(|| Preconditioner::new(&hessian));
            let (direction, num_steps) = conjugate_gradients(&hessian, &gradient, &now, 0.05);
            if num_steps <= MANY_STEPS {
                preconditioner = Some(now);
            }
            rows.scores(&direction, &mut along);
            let slope = dot(&gradient, &direction);
            let mut size = 1.0;
            while size >= 1e-8 {
                trial.clone_from(&scores);
                trial.par_iter_mut().zip(&along).for_each(|(score, step)| *score += size * step);
                let moved: Vec<f64> = weights.iter().zip(&direction).map(|(w, d)| w + size * d).collect();
                let there = self::value(problem, &about, &moved, &trial, &mut unused);
                if there <= value + 1e-4 * size * slope + 1e-14 * value.abs() {
                    *weights = moved;
                    std::mem::swap(&mut scores, &mut trial);
                    break;
                }
                size *= 0.5;
            }
            if size < 1e-8 {
                break;
            }
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
        // A step that was too hard is followed by an easier one.
        sharpness =
            if solved { (GROWTH * sharpness).min(SHARPEST / margin) } else { sharpness / (2.0 * GROWTH) };
    }
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
