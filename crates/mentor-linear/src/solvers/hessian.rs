//! The Hessian of softmax at a point: products with it, and matrices that approximate its diagonal blocks.
//!
//! ```text
//! (H V)_c = Σ_i a_i/N p_ic (u_ic − Σ_j p_ij u_ij) x̃_i + 2 l2 V_c          u = X̃V
//! H_cc    = Σ_i a_i/N p_ic (1 − p_ic) x̃_i x̃_iᵀ + 2 l2 I
//! ```

use rayon::prelude::*;

use crate::factor::Symmetric;
use crate::problem::Checked;
use crate::products::PANEL;

/// Rows of a block's sum, as a multiple of the features.
const ROWS_A_FEATURE: usize = 3;

/// p in `f32`, `[N, stride]`; of the target too.
pub(crate) struct Hessian<'a> {
    pub(crate) problem: &'a Checked<'a>,
    probs: Vec<f32>,
}

impl<'a> Hessian<'a> {
    pub(crate) fn new(problem: &'a Checked<'a>) -> Self {
        Self { problem, probs: Vec::new() }
    }

    /// Moves to the point with these probabilities of the classes other than the target.
    pub(crate) fn move_to(&mut self, dual: &[f64]) {
        let stride = self.problem.rows.stride();
        self.probs.resize(dual.len(), 0.0);
        let rows = self.probs.chunks_exact_mut(stride).zip(dual.chunks_exact(stride));
        for ((probs, dual), &target) in rows.zip(self.problem.targets) {
            probs.iter_mut().zip(dual).for_each(|(prob, &value)| *prob = value as f32);
            probs[target as usize] = (1.0 - dual.iter().sum::<f64>()).max(0.0) as f32;
        }
    }

    /// H V, in the layout of weights; sums in `f32` over parts of the data.
    pub(crate) fn product(&self, direction: &[f64]) -> Vec<f64> {
        let Checked { rows, sample_scales, l2, bias, .. } = self.problem;
        let stride = rows.stride();
        let rounded: Vec<f32> = direction.iter().map(|&value| value as f32).collect();
        let mut product = rows.through::<f32>(&rounded, |samples, values| {
            for (sample, values) in samples.zip(values.chunks_exact_mut(stride)) {
                let probs = &self.probs[sample * stride..][..stride];
                let mean: f32 = probs.iter().zip(&*values).map(|(p, u)| p * u).sum();
                let scale = sample_scales[sample] as f32;
                values.iter_mut().zip(probs).for_each(|(value, p)| *value = scale * p * (*value - mean));
            }
        });
        let panels = product.chunks_exact_mut(rows.panel_len()).zip(direction.chunks_exact(rows.panel_len()));
        for (product, direction) in panels {
            let (product, bias_row) = product.split_at_mut(rows.num_features * PANEL);
            product.iter_mut().zip(direction).for_each(|(product, value)| *product += 2.0 * l2 * value);
            if !bias {
                bias_row.fill(0.0);
            }
        }
        product
    }

    /// Whether a matrix of each class is smaller than the data.
    pub(crate) fn has_a_block_for_each_class(&self) -> bool {
        let rows = &self.problem.rows;
        rows.num_classes * rows.num_features <= rows.num_samples
    }

    /// Approximations of the diagonal blocks: one for each class, or one that stands for all.
    ///
    /// A block is a sum over a few samples, drawn in proportion to their weight in it at equal distances, which makes its
    /// expectation that of all samples.
    pub(crate) fn blocks(&self) -> Vec<Symmetric> {
        if self.has_a_block_for_each_class() {
            (0..self.problem.rows.num_classes).into_par_iter().map(|class| self.block(Some(class))).collect()
        } else {
            vec![self.block(None)]
        }
    }

    fn block(&self, class: Option<usize>) -> Symmetric {
        let Checked { rows, sample_scales, l2, bias, .. } = self.problem;
        let stride = rows.stride();
        let curvature = |sample: usize| {
            let probs = &self.probs[sample * stride..][..rows.num_classes];
            let of = |p: f32| f64::from(p * (1.0 - p).max(0.0));
            let mean = || probs.iter().map(|&p| of(p)).sum::<f64>() / rows.num_classes as f64;
            sample_scales[sample] * class.map_or_else(mean, |class| of(probs[class]))
        };
        let total: f64 = (0..rows.num_samples).map(curvature).sum();
        let len = rows.num_features + 1;
        let wanted = (ROWS_A_FEATURE * len).min(rows.num_samples);
        let distance = total / wanted as f64;
        let mut chosen = Vec::with_capacity(wanted * Symmetric::stride_of(len));
        let mut place = 0.5 * distance;
        for sample in 0..rows.num_samples {
            // All samples with their weights if there are few, else the ones at equal distances along the sum of weights.
            let weight = if wanted == rows.num_samples {
                curvature(sample) / distance
            } else {
                place -= curvature(sample);
                let hits = if place < 0.0 { (-place / distance).ceil() } else { 0.0 };
                place += hits * distance;
                hits
            };
            if weight > 0.0 && weight.is_finite() {
                let factor = weight.sqrt() as f32;
                chosen.extend(rows.row(sample).iter().map(|value| factor * value));
                chosen.push(if *bias { factor } else { 0.0 });
                chosen.resize(chosen.len().next_multiple_of(Symmetric::stride_of(len)), 0.0);
            }
        }
        // The bias has no penalty; a small one keeps the matrix positive definite.
        let ridge = |row: usize| if row < rows.num_features { 2.0 * l2 } else { 1e-6 * total + 1e-30 };
        Symmetric::gram(&chosen, len, distance as f32, |row| ridge(row) as f32)
    }
}
