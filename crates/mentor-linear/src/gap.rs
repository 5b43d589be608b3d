//! The certificate: a primal value, a dual value, and what rounding may have done to them.
//!
//! For any W, b and any dual point γ with Σ_i G_i = 0 (`balance.rs`), Fenchel's inequality gives
//!
//! ```text
//! G_i  = a_i/N (γ_i − e_y Σ_j γ_ij)                      rows of G, [N, C]
//! D(γ) = Σ_i a_i/N h(γ_i) − R*(−GᵀX) ≤ P(W, b)
//!
//! R*(V) = Σ max(0, |v| − l1)² / (4 l2)                    l2 > 0
//! R*(V) = 0 if max |v| ≤ l1, else ∞                       l2 = 0; γ is scaled by min(1, l1 / max |v|)
//! ```
//!
//! so that P(W, b) − D(γ) is at least P(W, b) − min P. At the optimum both are equal (strong duality; Boyd
//! and Vandenberghe 2004, section 5.2).

use std::ops::Range;

use rayon::prelude::*;

use crate::balance::balancing_factors;
use crate::objective::{dual_value, lipschitz, value_and_dual};
use crate::problem::Checked;
use crate::products::PANEL;

/// Half a unit in the last place, relative.
const UNIT: f64 = f64::EPSILON / 2.0;
/// Units that the exponential, the logarithm and the few operations about them may be off by, of numbers of
/// size 1.
const FUNCTION_UNITS: f64 = 64.0;

/// A value and how far rounding may have moved it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounded {
    pub(crate) value: f64,
    pub(crate) rounding: f64,
}

/// A feasible dual point's value.
pub(crate) struct DualPoint {
    pub(crate) bound: Bounded,
    /// GᵀX before γ is scaled, in the layout of weights.
    pub(crate) correlations: Vec<f64>,
    /// What γ is scaled by.
    pub(crate) scale: f64,
}

pub(crate) struct Certifier<'a> {
    pub(crate) problem: &'a Checked<'a>,
    /// The largest ‖x_i‖.
    largest_norm: f64,
}

impl<'a> Certifier<'a> {
    pub(crate) fn new(problem: &'a Checked<'a>) -> Self {
        let square = |sample| problem.rows.row(sample).iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
        let largest_square =
            (0..problem.rows.num_samples).into_par_iter().map(square).reduce(|| 0.0, f64::max);
        Self { problem, largest_norm: largest_square.sqrt() }
    }

    /// P at weights with these scores. The γ of the losses go into `dual`, `[N, stride]`.
    pub(crate) fn primal(&self, weights: &[f64], scores: &[f64], dual: &mut Vec<f64>) -> Bounded {
        let Checked { rows, targets, loss, sample_scales, .. } = self.problem;
        let (stride, num_classes) = (rows.stride(), rows.num_classes);
        dual.resize(scores.len(), 0.0);
        let part_len = rows.part_len();
        let chunks = dual.par_chunks_mut(part_len * stride).zip(rows.parts());
        let part_loss = |(dual, samples): (&mut [f64], Range<usize>)| {
            let sample_loss = |(dual, sample): (&mut [f64], usize)| {
                let (scores, target) = (&scores[sample * stride..][..num_classes], targets[sample] as usize);
                sample_scales[sample] * value_and_dual(*loss, scores, target, &mut dual[..num_classes])
            };
            dual.chunks_exact_mut(stride).zip(samples).map(sample_loss).sum::<f64>()
        };
        let sums: Vec<f64> = chunks.map(part_loss).collect();
        let data_loss: f64 = sums.iter().sum();
        let penalty = self.problem.penalty(weights);
        Bounded { value: data_loss + penalty, rounding: self.primal_rounding(weights, data_loss, penalty) }
    }

    /// Scores are off by at most (D + 2) units of Σ_d |w x| ≤ ‖w‖‖x‖ and the bias; sums by a unit of their
    /// size for each term.
    fn primal_rounding(&self, weights: &[f64], data_loss: f64, penalty: f64) -> f64 {
        let rows = &self.problem.rows;
        let mut squares = vec![0.0; rows.stride()];
        let mut largest_bias = 0.0_f64;
        for (panel, weights) in weights.chunks_exact(rows.panel_len()).enumerate() {
            let (weights, bias) = weights.split_at(rows.num_features * PANEL);
            for row in weights.chunks_exact(PANEL) {
                let squares = &mut squares[panel * PANEL..];
                squares.iter_mut().zip(row).for_each(|(square, w)| *square += w * w);
            }
            largest_bias = bias.iter().fold(largest_bias, |most, b| most.max(b.abs()));
        }
        let largest_weight = squares.into_iter().fold(0.0, f64::max).sqrt();
        let score_units =
            (rows.num_features + 2) as f64 * (largest_weight * self.largest_norm + largest_bias);
        let loss_units = lipschitz(self.problem.loss, rows.num_classes) * score_units + FUNCTION_UNITS;
        let total_scale: f64 = self.problem.sample_scales.iter().sum();
        let sum_units = (rows.part_len() + rows.parts().len() + rows.num_classes) as f64 * data_loss.abs();
        UNIT * (total_scale * loss_units + sum_units + rows.panel_len() as f64 * penalty)
    }

    /// D at the point that becomes of `dual` when it is made feasible.
    pub(crate) fn dual(&self, dual: &[f64]) -> DualPoint {
        let rows = &self.problem.rows;
        let (factors, unbalanced) = self.factors(dual);
        let correlations = self.correlations(dual, &factors);
        let largest = largest_weight(&correlations, rows.num_features);
        let shrinks = self.problem.l2 == 0.0 && largest > self.problem.l1;
        // Below the bound by what rounding could add to the largest.
        let scale = if shrinks { self.problem.l1 / largest * (1.0 - 1e-14) } else { 1.0 };
        let [value, size, mass] = self.dual_sums(dual, &factors, scale);
        let norm = if self.problem.l2 == 0.0 { 0.0 } else { self.conjugate_norm(&correlations) };
        let sum_units = (rows.part_len() + rows.parts().len() + rows.num_classes) as f64;
        // Each correlation is off by so many units of Σ_i |G_ic x_id|, and Σ_i ‖G_i‖‖x_i‖ ≤ 2 · mass · the
        // largest norm.
        let correlation = UNIT * sum_units * 2.0 * mass * self.largest_norm;
        let slope = if norm > 0.0 { norm / (2.0 * self.problem.l2) } else { 0.0 };
        let conjugate = if norm > 0.0 { norm * norm / (4.0 * self.problem.l2) } else { 0.0 };
        let rounding = UNIT
            * (sum_units * size + FUNCTION_UNITS * mass + rows.panel_len() as f64 * conjugate)
            + correlation * slope
            + unbalanced * (40.0 + 2.0 * slope * self.largest_norm);
        DualPoint { bound: Bounded { value: value - conjugate, rounding }, correlations, scale }
    }

    /// What γ_ij is multiplied by, `[C, C]` by target and class.
    fn factors(&self, dual: &[f64]) -> (Vec<f64>, f64) {
        let Checked { rows, targets, sample_scales, bias, .. } = self.problem;
        let (stride, num_classes) = (rows.stride(), rows.num_classes);
        if !bias {
            return (vec![1.0; num_classes * num_classes], 0.0);
        }
        let flow = rows.sum(num_classes * num_classes, |sample, flow| {
            let flow = &mut flow[targets[sample] as usize * num_classes..][..num_classes];
            let dual = &dual[sample * stride..][..num_classes];
            flow.iter_mut().zip(dual).for_each(|(flow, value)| *flow += sample_scales[sample] * value);
        });
        balancing_factors(&flow, num_classes)
    }

    /// X̃ᵀG of γ as it is; without a bias its row is 0.
    pub(crate) fn unbalanced_correlations(&self, dual: &[f64]) -> Vec<f64> {
        let num_classes = self.problem.rows.num_classes;
        let mut correlations = self.extended_correlations(dual, &vec![1.0; num_classes * num_classes]);
        if !self.problem.bias {
            self.clear_bias(&mut correlations);
        }
        correlations
    }

    /// GᵀX of γ times factors. The bias has its own condition, which holds up to rounding.
    fn correlations(&self, dual: &[f64], factors: &[f64]) -> Vec<f64> {
        let mut correlations = self.extended_correlations(dual, factors);
        self.clear_bias(&mut correlations);
        correlations
    }

    fn clear_bias(&self, correlations: &mut [f64]) {
        let rows = &self.problem.rows;
        for panel in correlations.chunks_exact_mut(rows.panel_len()) {
            panel[rows.num_features * PANEL..].fill(0.0);
        }
    }

    fn extended_correlations(&self, dual: &[f64], factors: &[f64]) -> Vec<f64> {
        let Checked { rows, targets, sample_scales, .. } = self.problem;
        let (stride, num_classes) = (rows.stride(), rows.num_classes);
        rows.correlations::<f64>(|samples, out| {
            for (sample, out) in samples.zip(out.chunks_exact_mut(stride)) {
                let target = targets[sample] as usize;
                let factors = &factors[target * num_classes..][..num_classes];
                let scale = sample_scales[sample];
                let mut total = 0.0;
                for ((out, &value), factor) in out.iter_mut().zip(&dual[sample * stride..]).zip(factors) {
                    *out = scale * value * factor;
                    total += *out;
                }
                out[target] = -total;
            }
        })
    }

    /// Σ a_i/N h, Σ a_i/N |h| and Σ a_i/N Σ γ at γ times factors and scale.
    fn dual_sums(&self, dual: &[f64], factors: &[f64], scale: f64) -> [f64; 3] {
        let Checked { rows, targets, sample_scales, loss, .. } = self.problem;
        let (stride, num_classes) = (rows.stride(), rows.num_classes);
        let sums = rows.sum(3 + num_classes, |sample, sums| {
            let target = targets[sample] as usize;
            let (sums, point) = sums.split_at_mut(3);
            let factors = &factors[target * num_classes..][..num_classes];
            for ((out, value), factor) in point.iter_mut().zip(&dual[sample * stride..]).zip(factors) {
                *out = value * factor * scale;
            }
            let value = sample_scales[sample] * dual_value(*loss, point, target);
            sums[0] += value;
            sums[1] += value.abs();
            sums[2] += sample_scales[sample] * point.iter().sum::<f64>();
        });
        [sums[0], sums[1], sums[2]]
    }

    /// ‖max(0, |V| − l1)‖.
    fn conjugate_norm(&self, correlations: &[f64]) -> f64 {
        let excess = |value: &f64| (value.abs() - self.problem.l1).max(0.0);
        let panels = correlations.chunks_exact(self.problem.rows.panel_len());
        panels.map(|panel| panel.iter().map(|v| excess(v) * excess(v)).sum::<f64>()).sum::<f64>().sqrt()
    }
}

fn largest_weight(correlations: &[f64], num_features: usize) -> f64 {
    let panels = correlations.chunks_exact((num_features + 1) * PANEL);
    panels.flat_map(|panel| &panel[..num_features * PANEL]).fold(0.0, |most, value| most.max(value.abs()))
}
