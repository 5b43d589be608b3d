//! Approximate inverses of a Hessian's diagonal blocks.

use rayon::prelude::*;

use crate::coordinates::SecondMoment;
use crate::factor::Cholesky;
use crate::products::{PANEL, Rows};
use crate::solvers::hessian::Hessian;

pub(super) enum Preconditioner {
    /// Factors of the blocks, or of one that stands for all.
    Blocks(Vec<Cholesky>),
    /// For each panel, where the features are coordinates.
    Arrows(Vec<Arrows>),
}

impl Preconditioner {
    pub(super) fn new(hessian: &Hessian<'_>) -> Self {
        let Some(moment) = hessian.problem.second_moment else {
            return Self::Blocks(hessian.blocks().into_par_iter().map(|block| block.factorise()).collect());
        };
        let totals = hessian.total_curvatures();
        Self::Arrows(totals.chunks_exact(PANEL).map(|totals| Arrows::new(hessian, moment, totals)).collect())
    }

    /// Solves class by class, and takes the mean over the classes away: gradients have none, since Σ_c (p_c
    /// − [y = c]) = 0.
    pub(super) fn apply(&self, rows: &Rows<'_>, residual: &[f64]) -> Vec<f64> {
        let mut out = match self {
            Self::Blocks(factors) => apply_blocks(factors, rows, residual),
            Self::Arrows(panels) => {
                let panels = panels.iter().zip(residual.chunks_exact(rows.panel_len()));
                panels.flat_map(|(panel, residual)| panel.solve(residual)).collect()
            }
        };
        for feature in 0..=rows.num_features {
            let places = (0..rows.num_classes).map(|class| rows.weight(class, feature));
            let mean = places.clone().map(|place| out[place]).sum::<f64>() / rows.num_classes as f64;
            places.for_each(|place| out[place] -= mean);
        }
        out
    }
}

fn apply_blocks(factors: &[Cholesky], rows: &Rows<'_>, residual: &[f64]) -> Vec<f64> {
    let len = rows.num_features + 1;
    let solved: Vec<Vec<f32>> = (0..rows.num_classes)
        .into_par_iter()
        .map(|class| {
            let mut right: Vec<f32> =
                (0..len).map(|feature| residual[rows.weight(class, feature)] as f32).collect();
            factors[class.min(factors.len() - 1)].solve(&mut right);
            right
        })
        .collect();
    let mut out = vec![0.0; residual.len()];
    for (class, solved) in solved.iter().enumerate() {
        let values = solved.iter().enumerate();
        values.for_each(|(feature, &value)| out[rows.weight(class, feature)] = f64::from(value));
    }
    out
}

/// Numbers of the classes of a panel.
type Lanes = [f64; PANEL];

/// A block for each class of a panel, with the mean κ of its curvatures in place of each:
///
/// ```text
/// κ Σ z̃ z̃ᵀ + 2 l2 I      z̃ = (z, 1)
/// ```
///
/// is tridiagonal but for the row and column of the bias.
pub(super) struct Arrows {
    /// Reciprocals of the pivots of the tridiagonal part, and what stands beside the diagonal.
    reciprocals: Vec<Lanes>,
    beside: Vec<Lanes>,
    /// The tridiagonal part's solution for the column of the bias.
    column: Vec<Lanes>,
    /// Reciprocal of what the bias has left; 0 without a bias.
    corner: Lanes,
}

impl Arrows {
    fn new(hessian: &Hessian<'_>, moment: &SecondMoment, totals: &[f64]) -> Self {
        let ridge = 2.0 * hessian.problem.l2;
        let mean: Lanes = std::array::from_fn(|class| totals[class] / moment.num_samples as f64);
        let times_mean = |value: &f64| mean.map(|mean| mean * value);
        let beside: Vec<Lanes> = moment.beside.iter().map(times_mean).collect();
        let mut reciprocals: Vec<Lanes> = Vec::with_capacity(moment.num_samples);
        for (place, value) in moment.diagonal.iter().enumerate() {
            let pivot = |class: usize| {
                let taken = match place.checked_sub(1) {
                    Some(last) => beside[last][class].powi(2) * reciprocals[last][class],
                    None => 0.0,
                };
                1.0 / (mean[class] * value + ridge - taken).max(1e-3 * ridge)
            };
            reciprocals.push(std::array::from_fn(pivot));
        }
        let mut arrows = Self { reciprocals, beside, column: Vec::new(), corner: [0.0; PANEL] };
        if hessian.problem.bias {
            let right: Vec<Lanes> = moment.sum.iter().map(times_mean).collect();
            let mut column = right.clone();
            arrows.solve_tridiagonal(&mut column);
            for class in 0..PANEL {
                let used: f64 = right.iter().zip(&column).map(|(a, b)| a[class] * b[class]).sum();
                // A small addition keeps it positive, as in the blocks.
                let left = (totals[class] - used).max(0.0) + hessian.bias_ridge + 1e-6 * totals[class];
                arrows.corner[class] = if left > 0.0 { 1.0 / left } else { 0.0 };
            }
            arrows.column = column;
        }
        arrows
    }

    fn solve_tridiagonal(&self, values: &mut [Lanes]) {
        for place in 1..values.len() {
            let (head, tail) = values.split_at_mut(place);
            let (before, own) = (&head[place - 1], &mut tail[0]);
            for class in 0..PANEL {
                let factor = self.beside[place - 1][class] * self.reciprocals[place - 1][class];
                own[class] -= factor * before[class];
            }
        }
        let mut next: Lanes = [0.0; PANEL];
        for place in (0..values.len()).rev() {
            let own = &mut values[place];
            for class in 0..PANEL {
                let beside = self.beside.get(place).map_or(0.0, |lanes| lanes[class]);
                own[class] = (own[class] - beside * next[class]) * self.reciprocals[place][class];
            }
            next = *own;
        }
    }

    fn solve(&self, residual: &[f64]) -> Vec<f64> {
        let lanes = |row: &[f64]| -> Lanes { std::array::from_fn(|class| row[class]) };
        let mut values: Vec<Lanes> = residual.chunks_exact(PANEL).map(lanes).collect();
        let mut bias = values.pop().unwrap_or([0.0; PANEL]);
        self.solve_tridiagonal(&mut values);
        if self.column.is_empty() {
            bias = [0.0; PANEL];
        } else {
            for (column, row) in self.column.iter().zip(residual.chunks_exact(PANEL)) {
                (0..PANEL).for_each(|class| bias[class] -= column[class] * row[class]);
            }
            (0..PANEL).for_each(|class| bias[class] *= self.corner[class]);
            for (value, column) in values.iter_mut().zip(&self.column) {
                (0..PANEL).for_each(|class| value[class] -= column[class] * bias[class]);
            }
        }
        values.push(bias);
        values.concat()
    }
}
