//! Softmax with L1, or L1 and L2: accelerated proximal steps in a metric that approximates the Hessian.
//!
//! ```text
//! W⁺ = argmin ⟨∇f(Y), W − Y⟩ + τ/2 Σ_c ‖W_c − Y_c‖²_{B_c} + l1 Σ|w|        f = mean loss + l2 Σ w²
//! Y⁺ = W⁺ + (t − 1)/t⁺ (W⁺ − W)
//! ```
//!
//! B_c approximates the Hessian's block of class c, and each class is minimised by coordinate descent
//! (Yuan, Ho, Lin 2012), whose soft threshold leaves exact zeros. diag(p) − ppᵀ is at most 2 diag(p (1 −
//! p)), so that τ = 2 would do if B were exact; τ is raised until the step is below its model. Momentum
//! (Beck and Teboulle 2009) starts again if the objective rises (O'Donoghue and Candès 2015).
//!
//! **Screening** (Ndiaye, Fercoq, Gramfort, Salmon 2017). h is 1-strongly concave, so that Σ_i a_i/N ½‖γ_i
//! − γ*_i‖² is at most the gap of γ, and
//!
//! ```text
//! |(GᵀX)_cd| + √(2 gap · Σ_i a_i/N x_id²) < l1     proves w*_cd = 0
//! ```
//!
//! Such weights are 0 from then on, and no longer looked at.

use mentor_simd::dispatch;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::factor::Symmetric;
use crate::gap::Certifier;
use crate::products::Rows;
use crate::record::{Reason, Record, State};
use crate::solvers::bias::optimise_bias;
use crate::solvers::hessian::Hessian;

/// Steps with one metric.
const STEPS_A_METRIC: usize = 15;
/// Rounds of coordinate descent of one step at most.
const MOST_ROUNDS: usize = 200;

pub(crate) fn proximal_newton(
    certifier: &Certifier<'_>,
    state: &mut State,
    record: &mut Record<'_>,
) -> Reason {
    let problem = certifier.problem;
    let rows = &problem.rows;
    let feature_norms = feature_norms(certifier);
    let mut hessian = Hessian::new(problem);
    let mut metric: Vec<Symmetric> = Vec::new();
    let mut scale = 1.0;
    // W and its scores; Y and its.
    let mut weights = state.weights.clone();
    let (mut scores, mut next_scores, mut dual, mut unused) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    rows.scores(&weights, &mut scores);
    let mut objective = certifier.primal(&weights, &scores, &mut unused).value;
    let (mut ahead, mut ahead_scores) = (weights.clone(), scores.clone());
    let mut momentum = 1.0_f64;
    let mut screened = vec![false; weights.len()];
    let mut step_of_metric = 0;
    loop {
        if problem.bias {
            optimise_bias(problem, &mut ahead, &mut ahead_scores, 1e-3 * record.target.min(1e-3));
        }
        let here = certifier.primal(&ahead, &ahead_scores, &mut dual);
        record.offer_primal(&ahead, here);
        let point = certifier.dual(&dual);
        record.offer_dual(point.bound);
        if let Some(reason) = record.end_iteration() {
            state.weights = weights;
            return reason;
        }
        screen(certifier, record, &point, &feature_norms, &mut screened);
        if step_of_metric % STEPS_A_METRIC == 0 {
            hessian.move_to(&dual);
            metric = hessian.blocks();
            metric.iter_mut().for_each(Symmetric::mirror);
        }
        step_of_metric += 1;
        let mut gradient = point.correlations;
        for feature in 0..rows.num_features {
            for class in 0..rows.num_classes {
                let place = rows.weight(class, feature);
                gradient[place] += 2.0 * problem.l2 * ahead[place];
            }
        }
        let smooth = here.value - problem.l1 * size_of_weights(rows, &ahead);
        let (next, value) = loop {
            let (next, model) = step(certifier, &metric, scale, &gradient, &ahead, &screened);
            rows.scores(&next, &mut next_scores);
            let there = certifier.primal(&next, &next_scores, &mut unused);
            record.offer_primal(&next, there);
            let below = there.value - problem.l1 * size_of_weights(rows, &next)
                <= smooth + model + here.rounding + there.rounding;
            if below || scale > 1e6 {
                break (next, there);
            }
            scale *= 2.0;
        };
        scale = (0.8 * scale).max(0.5);
        // Whether the step goes against the way that momentum has taken.
        let against: f64 = ahead
            .iter()
            .zip(&next)
            .zip(&weights)
            .map(|((ahead, next), before)| (ahead - next) * (next - before))
            .sum();
        // Changes below the rounding of the objective say nothing; then the direction decides.
        let change = value.value - objective;
        let risen = change > value.rounding || (change.abs() <= value.rounding && against > 0.0);
        objective = value.value;
        let next_momentum = if risen { 1.0 } else { 0.5 * (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt()) };
        let share = if risen { 0.0 } else { (momentum - 1.0) / next_momentum };
        let extrapolate = |after: f64, before: f64| after + share * (after - before);
        ahead = next.iter().zip(&weights).map(|(&after, &before)| extrapolate(after, before)).collect();
        ahead_scores =
            next_scores.iter().zip(&scores).map(|(&after, &before)| extrapolate(after, before)).collect();
        (momentum, weights) = (next_momentum, next);
        std::mem::swap(&mut scores, &mut next_scores);
    }
}

/// Σ |w| without the bias.
fn size_of_weights(rows: &Rows<'_>, weights: &[f64]) -> f64 {
    let of_feature =
        |feature| (0..rows.num_classes).map(move |class| weights[rows.weight(class, feature)].abs());
    (0..rows.num_features).flat_map(of_feature).sum()
}

/// √Σ_i a_i/N x_id².
fn feature_norms(certifier: &Certifier<'_>) -> Vec<f64> {
    let problem = certifier.problem;
    let squares = problem.rows.sum(problem.rows.num_features, |sample, sum| {
        let scale = problem.sample_scales[sample];
        sum.iter_mut()
            .zip(problem.rows.row(sample))
            .for_each(|(sum, &x)| *sum += scale * f64::from(x).powi(2));
    });
    squares.into_iter().map(f64::sqrt).collect()
}

fn screen(
    certifier: &Certifier<'_>,
    record: &Record<'_>,
    point: &crate::gap::DualPoint,
    feature_norms: &[f64],
    screened: &mut [bool],
) {
    let rows = &certifier.problem.rows;
    let gap = record.primal() - point.bound.value + point.bound.rounding + record.primal_rounding();
    let radius = (2.0 * gap.max(0.0)).sqrt();
    for (feature, norm) in feature_norms.iter().enumerate() {
        for class in 0..rows.num_classes {
            let place = rows.weight(class, feature);
            let most = point.scale * point.correlations[place].abs() + radius * norm;
            screened[place] |= most < certifier.problem.l1 * (1.0 - 1e-10);
        }
    }
}

/// W⁺, and its smooth model's value less f(Y).
fn step(
    certifier: &Certifier<'_>,
    metric: &[Symmetric],
    scale: f64,
    gradient: &[f64],
    ahead: &[f64],
    screened: &[bool],
) -> (Vec<f64>, f64) {
    let rows = &certifier.problem.rows;
    let len = rows.num_features + 1;
    let of_class = |class: usize| {
        let places = || (0..len).map(move |feature| rows.weight(class, feature));
        let mut descent = Descent {
            matrix: &metric[class.min(metric.len() - 1)],
            scale,
            l1: certifier.problem.l1,
            has_bias: certifier.problem.bias,
            gradient: places().map(|place| gradient[place]).collect(),
            weights: places().map(|place| ahead[place]).collect(),
            fixed: places().map(|place| screened[place]).collect(),
        };
        let before: (Vec<f64>, Vec<f64>) = (descent.weights.clone(), descent.gradient.clone());
        dispatch(&mut descent);
        let moves = descent.weights.iter().zip(&before.0).map(|(after, before)| after - before);
        // ⟨g, δ⟩ + ½ ⟨δ, τBδ⟩, where the gradient has become g + τBδ.
        let slopes = before.1.iter().zip(&descent.gradient).map(|(first, last)| 0.5 * (first + last));
        let model: f64 = moves.zip(slopes).map(|(move_, slope)| move_ * slope).sum();
        (descent.weights, model)
    };
    let solved: Vec<(Vec<f64>, f64)> = (0..rows.num_classes).into_par_iter().map(of_class).collect();
    let mut next = vec![0.0; ahead.len()];
    for (class, (weights, _)) in solved.iter().enumerate() {
        weights.iter().enumerate().for_each(|(feature, &w)| next[rows.weight(class, feature)] = w);
    }
    (next, solved.iter().map(|(_, model)| model).sum())
}

/// Coordinate descent on one class.
struct Descent<'a> {
    matrix: &'a Symmetric,
    scale: f64,
    l1: f64,
    has_bias: bool,
    /// Of the model at `weights`.
    gradient: Vec<f64>,
    weights: Vec<f64>,
    /// Which weights are 0 at the optimum.
    fixed: Vec<bool>,
}

impl WithSimd for &mut Descent<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let len = self.weights.len();
        let mut largest_ever = 0.0_f64;
        let mut all = true;
        for _ in 0..MOST_ROUNDS {
            let mut largest = 0.0_f64;
            for place in 0..len {
                if all || self.weights[place] != 0.0 {
                    largest = largest.max(self.improve(place));
                }
            }
            largest_ever = largest_ever.max(largest);
            let settled = largest <= 1e-4 * largest_ever;
            if settled && all {
                return;
            }
            // Rounds over the weights that are not 0 until they rest, then one over all.
            all = settled;
        }
    }
}

impl Descent<'_> {
    /// Moves one weight to its minimum, and returns how far in units of the model's decrease.
    #[inline(always)]
    fn improve(&mut self, place: usize) -> f64 {
        let len = self.weights.len();
        let is_bias = place == len - 1;
        if is_bias && !self.has_bias {
            return 0.0;
        }
        let row = &self.matrix.row(place)[..len];
        let curvature = self.scale * f64::from(row[place]);
        let before = self.weights[place];
        let after = if self.fixed[place] {
            0.0
        } else if curvature > 0.0 {
            let wanted = before - self.gradient[place] / curvature;
            let threshold = if is_bias { 0.0 } else { self.l1 / curvature };
            (wanted.abs() - threshold).max(0.0).copysign(wanted)
        } else {
            before
        };
        let change = after - before;
        if change == 0.0 {
            return 0.0;
        }
        self.weights[place] = after;
        let factor = self.scale * change;
        for (slope, &entry) in self.gradient.iter_mut().zip(row) {
            *slope += factor * f64::from(entry);
        }
        change.abs() * curvature.sqrt()
    }
}
