//! The Hessian of a smooth loss at a point: products with it, and matrices that approximate its diagonal
//! blocks.
//!
//! ```text
//! (H V)_c = Σ_i h_i p_ic (u_ic − Σ_j p_ij u_ij) x̃_i + 2 l2 V_c          u = X̃V
//! H_cc    = Σ_i h_i p_ic (1 − p_ic) x̃_i x̃_iᵀ + 2 l2 I
//!
//! softmax                    p = softmax(s), h_i = a_i/N
//! smoothed Crammer–Singer    p = 1/|F| on the classes F with q > 0, h_i = σ |F| a_i/N
//! smoothed Weston–Watkins    σ a_i/N p_ij (u_ij − u_iy) for j ≠ y, minus their sum for y; p = 1 where 0 <
//! γ < 1, else 0
//! ```
//!
//! The last two are elements of the generalised Hessian (Clarke): the derivative where there is one.

use rayon::prelude::*;

use crate::factor::Symmetric;
use crate::problem::{Checked, Loss};
use crate::products::{PANEL, Rows};
use crate::vectors::Real;

/// Rows of a block's sum, as a multiple of the features.
const ROWS_A_FEATURE: usize = 3;
/// Numbers of 4 bytes that are few even if the data are fewer.
const SMALL: usize = 1 << 20;

pub(crate) struct Hessian<'a> {
    pub(crate) problem: &'a Checked<'a>,
    /// The samples that curve the objective, copied if they are few; else all.
    curved: Option<Curved>,
    /// p of these samples, `[any, stride]`.
    probs: Vec<f32>,
    /// h of these samples.
    scales: Vec<f64>,
    /// What is added to the curvature of the bias.
    pub(crate) bias_ridge: f64,
}

/// Some samples of a problem.
struct Curved {
    features: Vec<f32>,
    targets: Vec<u32>,
}

impl<'a> Hessian<'a> {
    pub(crate) fn new(problem: &'a Checked<'a>) -> Self {
        let scales = problem.sample_scales.clone();
        Self { problem, curved: None, probs: Vec::new(), scales, bias_ridge: 0.0 }
    }

    fn rows(&self) -> Rows<'_> {
        let rows = &self.problem.rows;
        match &self.curved {
            Some(curved) => Rows::new(&curved.features, rows.num_features, rows.num_classes),
            None => *rows,
        }
    }

    fn targets(&self) -> &[u32] {
        self.curved.as_ref().map_or(self.problem.targets, |curved| &curved.targets)
    }

    /// Whether rows have the form of Weston and Watkins.
    fn is_star(&self) -> bool {
        matches!(self.problem.loss, Loss::WestonWatkins { .. })
    }

    /// Moves to the point of a smoothed hinge with this γ.
    pub(crate) fn move_to_hinge(&mut self, dual: &[f64], sharpness: f64) {
        let Checked { rows, targets, sample_scales, .. } = self.problem;
        let (stride, num_classes) = (rows.stride(), rows.num_classes);
        self.probs.clear();
        self.scales.clear();
        let is_star = self.is_star();
        let mut samples = Vec::new();
        let mut probs = vec![0.0; stride];
        for (sample, dual) in dual.chunks_exact(stride).enumerate() {
            let (target, dual) = (targets[sample] as usize, &dual[..num_classes]);
            let rest = 1.0 - dual.iter().sum::<f64>();
            let is_free = |class: usize| match class == target {
                true => !is_star && rest > 1e-12,
                false => dual[class] > 0.0 && !(is_star && dual[class] >= 1.0),
            };
            let count = (0..num_classes).filter(|&class| is_free(class)).count();
            if count > usize::from(!is_star) {
                let (prob, factor) = if is_star { (1.0, 1.0) } else { (1.0 / count as f32, count as f64) };
                for (class, value) in probs.iter_mut().enumerate().take(num_classes) {
                    *value = if is_free(class) { prob } else { 0.0 };
                }
                samples.push(sample);
                self.probs.extend_from_slice(&probs);
                self.scales.push(sharpness * sample_scales[sample] * factor);
            }
        }
        // The copy is never more than half of the data.
        if 2 * samples.len() <= rows.num_samples {
            let features = samples.iter().flat_map(|&sample| rows.row(sample)).copied().collect();
            let targets = samples.iter().map(|&sample| targets[sample]).collect();
            self.curved = Some(Curved { features, targets });
        } else {
            self.curved = None;
            self.spread(&samples);
        }
    }

    /// Gives what belongs to these samples the places of all; the others have 0.
    fn spread(&mut self, samples: &[usize]) {
        let rows = &self.problem.rows;
        let stride = rows.stride();
        let (probs, scales) = (std::mem::take(&mut self.probs), std::mem::take(&mut self.scales));
        self.probs.resize(rows.num_samples * stride, 0.0);
        self.scales.resize(rows.num_samples, 0.0);
        for ((&sample, probs), scale) in samples.iter().zip(probs.chunks_exact(stride)).zip(scales) {
            self.probs[sample * stride..][..stride].copy_from_slice(probs);
            self.scales[sample] = scale;
        }
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

    /// H V, in the layout of weights: sums in `f32` over parts of the data, unless the data are small.
    pub(crate) fn product(&self, direction: &[f64]) -> Vec<f64> {
        let Checked { rows, l2, bias, .. } = self.problem;
        let is_small = rows.num_samples * rows.num_features <= SMALL >> 4;
        let mut product =
            if is_small { self.through::<f64>(direction) } else { self.through::<f32>(direction) };
        let panels = product.chunks_exact_mut(rows.panel_len()).zip(direction.chunks_exact(rows.panel_len()));
        for (product, direction) in panels {
            let (product, bias_row) = product.split_at_mut(rows.num_features * PANEL);
            product.iter_mut().zip(direction).for_each(|(product, value)| *product += 2.0 * l2 * value);
            let directions = &direction[rows.num_features * PANEL..];
            bias_row
                .iter_mut()
                .zip(directions)
                .for_each(|(product, value)| *product += self.bias_ridge * value);
            if !bias {
                bias_row.fill(0.0);
            }
        }
        product
    }

    /// H V without the penalty.
    fn through<T: Real>(&self, direction: &[f64]) -> Vec<f64> {
        let (rows, targets) = (self.rows(), self.targets());
        let stride = rows.stride();
        let is_star = self.is_star();
        let rounded: Vec<T> = direction.iter().map(|&value| T::round(value)).collect();
        rows.through(&rounded, |samples, values| {
            for (sample, values) in samples.zip(values.chunks_exact_mut(stride)) {
                let probs = &self.probs[sample * stride..][..stride];
                let (scale, target) = (self.scales[sample], targets[sample] as usize);
                let weighted = |(&p, &u): (&f32, &T)| f64::from(p) * u.into();
                let centre = if is_star {
                    values[target].into()
                } else {
                    probs.iter().zip(&*values).map(weighted).sum()
                };
                let mut total = 0.0;
                for (value, &p) in values.iter_mut().zip(probs) {
                    let after = scale * f64::from(p) * ((*value).into() - centre);
                    total += after;
                    *value = T::round(after);
                }
                if is_star {
                    values[target] = T::round(-total);
                }
            }
        })
    }

    /// Whether the matrices of all classes are smaller than the data, or small.
    pub(crate) fn has_a_block_for_each_class(&self) -> bool {
        let rows = &self.problem.rows;
        let values = rows.num_classes * rows.num_features * rows.num_features;
        values <= (rows.num_samples * rows.num_features).max(SMALL)
    }

    /// Approximations of the diagonal blocks: one for each class, or one that stands for all.
    ///
    /// A block is a sum over a few samples, drawn in proportion to their weight in it at equal distances,
    /// which makes its expectation that of all samples.
    pub(crate) fn blocks(&self) -> Vec<Symmetric> {
        if self.has_a_block_for_each_class() {
            (0..self.problem.rows.num_classes).into_par_iter().map(|class| self.block(Some(class))).collect()
        } else {
            vec![self.block(None)]
        }
    }

    /// The weight of x̃x̃ᵀ in the block of a class, or in the mean of all.
    fn curvature(&self, sample: usize, class: Option<usize>) -> f64 {
        let rows = self.rows();
        let probs = &self.probs[sample * rows.stride()..][..rows.num_classes];
        let is_star = self.is_star();
        let of = |class: usize| match probs[class] {
            p if !is_star => f64::from(p * (1.0 - p).max(0.0)),
            _ if class == self.targets()[sample] as usize => f64::from(probs.iter().sum::<f32>()),
            p => f64::from(p),
        };
        let mean = || (0..rows.num_classes).map(of).sum::<f64>() / rows.num_classes as f64;
        self.scales[sample] * class.map_or_else(mean, of)
    }

    /// Σ_i of what stands before x̃_i x̃_iᵀ, `[stride]` by class.
    pub(crate) fn total_curvatures(&self) -> Vec<f64> {
        let rows = self.rows();
        rows.sum(rows.stride(), |sample, sums| {
            let of_class = sums.iter_mut().take(rows.num_classes).enumerate();
            of_class.for_each(|(class, sum)| *sum += self.curvature(sample, Some(class)));
        })
    }

    fn block(&self, class: Option<usize>) -> Symmetric {
        let Checked { l2, bias, .. } = self.problem;
        let rows = self.rows();
        let curvature = |sample| self.curvature(sample, class);
        let total: f64 = (0..rows.num_samples).map(curvature).sum();
        let len = rows.num_features + 1;
        let wanted = (ROWS_A_FEATURE * len).min(rows.num_samples);
        // Where nothing curves the penalty is all there is.
        let distance = if total > 0.0 { total / wanted as f64 } else { 1.0 };
        let mut chosen = Vec::with_capacity(wanted * Symmetric::stride_of(len));
        let mut place = 0.5 * distance;
        for sample in 0..rows.num_samples {
            // All samples with their weights if there are few, else the ones at equal distances along the
            // sum of weights.
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
        let ridge =
            |row: usize| if row < rows.num_features { 2.0 * l2 } else { self.bias_ridge + 1e-6 * total };
        Symmetric::gram(&chosen, len, distance as f32, |row| ridge(row) as f32)
    }
}
