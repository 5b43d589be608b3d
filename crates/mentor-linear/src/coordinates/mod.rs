//! Fewer samples than features: coordinates of the samples in the space that they span.
//!
//! ```text
//! XXᵀ = Q T Qᵀ      T = B Bᵀ, B lower bidiagonal      Z = Q B, [N, N]
//! W   = Xᵀ A        A = Q B⁻ᵀ V                       Z V = X W,  ‖V‖ = ‖W‖
//! ```
//!
//! A problem with L2 alone has its optimum in that space (representer theorem; Kimeldorf and Wahba 1971), so
//! that the problem on Z is the problem on X. Z is computed once for all folds and penalties. ZᵀZ = BᵀB is
//! tridiagonal, which makes h ZᵀZ + 2 l2 I a preconditioner that costs next to nothing at any h and l2.
//!
//! Z is rounded to `f32`. What `solve` finds on it is only where the solver on X begins: X proves the gap.
//! The models of a path stay on it.

mod tridiagonal;

use rayon::prelude::*;

use self::tridiagonal::Tridiagonal;
use crate::products::{PANEL, Rows};

/// So few features need no help.
const FEWEST_FEATURES: usize = 128;
/// The reduction takes time in N³.
const MOST_SAMPLES: usize = 2048;
/// What is added to the diagonal of XXᵀ, to its largest entry. Samples that depend on each other would divide
/// the rounding of Z by nothing.
const RIDGE: f64 = 1e-9;

pub(crate) struct Coordinates {
    /// Z, `[N, N]`.
    pub(crate) features: Vec<f32>,
    pub(crate) second_moment: SecondMoment,
    reduction: Tridiagonal,
    factor: Bidiagonal,
}

/// Sums over the rows z of Z.
pub(crate) struct SecondMoment {
    /// N.
    pub(crate) num_samples: usize,
    /// Of Σ z zᵀ, which is tridiagonal: `[N]` and `[N − 1]`.
    pub(crate) diagonal: Vec<f64>,
    pub(crate) beside: Vec<f64>,
    /// Σ z, `[N]`.
    pub(crate) sum: Vec<f64>,
}

/// B.
struct Bidiagonal {
    diagonal: Vec<f64>,
    below: Vec<f64>,
}

impl Coordinates {
    /// Nothing if the samples are not few.
    pub(crate) fn of(rows: &Rows<'_>) -> Option<Self> {
        let (len, num_features) = (rows.num_samples, rows.num_features);
        if num_features < FEWEST_FEATURES || len >= num_features || len > MOST_SAMPLES {
            return None;
        }
        let reduction = Tridiagonal::of(gram(rows), len);
        let factor = Bidiagonal::factor_of(&reduction.diagonal, &reduction.beside);
        let mut features = vec![0.0; len * len];
        let panels: Vec<Vec<[f64; PANEL]>> = (0..len.div_ceil(PANEL))
            .into_par_iter()
            .map(|panel| {
                let mut columns = vec![[0.0; PANEL]; len];
                for (place, column) in (panel * PANEL..len.min((panel + 1) * PANEL)).enumerate() {
                    columns[column][place] = factor.diagonal[column];
                    if let Some(&below) = factor.below.get(column) {
                        columns[column + 1][place] = below;
                    }
                }
                reduction.apply(&mut columns, (panel + 1) * PANEL + 1);
                columns
            })
            .collect();
        let mut sum = vec![0.0; len];
        for (panel, columns) in panels.iter().enumerate() {
            for (sample, values) in columns.iter().enumerate() {
                let place = panel * PANEL;
                let row = &mut features[sample * len + place..(sample + 1) * len];
                row.iter_mut().zip(values).for_each(|(out, &value)| *out = value as f32);
                sum[place..].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
        }
        let second_moment = factor.second_moment(sum);
        // Squares of very large features are not.
        if !features.iter().all(|value| value.is_finite()) {
            return None;
        }
        Some(Self { features, second_moment, reduction, factor })
    }

    /// W, in the layout of `rows`, of V, in the layout of rows of Z. The biases stay.
    ///
    /// 0 if rounding has made something else of them, as nearly dependent samples can.
    pub(crate) fn weights(&self, rows: &Rows<'_>, coordinates: &[f64]) -> Vec<f64> {
        let len = rows.num_samples;
        let panels: Vec<Vec<[f64; PANEL]>> = coordinates
            .par_chunks_exact((len + 1) * PANEL)
            .map(|panel| {
                let mut columns: Vec<[f64; PANEL]> = panel[..len * PANEL]
                    .chunks_exact(PANEL)
                    .map(|row| std::array::from_fn(|class| row[class]))
                    .collect();
                self.factor.solve_transposed(&mut columns);
                self.reduction.apply(&mut columns, len);
                columns
            })
            .collect();
        let stride = rows.stride();
        let mut weights = rows.correlations::<f64>(|samples, out| {
            for (sample, out) in samples.zip(out.chunks_exact_mut(stride)) {
                for (out, columns) in out.chunks_exact_mut(PANEL).zip(&panels) {
                    out.copy_from_slice(&columns[sample]);
                }
            }
        });
        let panels = || coordinates.chunks_exact((len + 1) * PANEL);
        let square = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
        let wanted: f64 = panels().map(|panel| square(&panel[..len * PANEL])).sum();
        let own = weights.chunks_exact_mut(rows.panel_len());
        let mut found = 0.0;
        for (own, panel) in own.zip(panels()) {
            found += square(&own[..rows.num_features * PANEL]);
            own[rows.num_features * PANEL..].copy_from_slice(&panel[len * PANEL..]);
        }
        // False if they are not numbers.
        let is_kept = (found - wanted).abs() <= 0.01 * wanted;
        if is_kept { weights } else { vec![0.0; weights.len()] }
    }
}

/// XXᵀ and the ridge, `[N, N]`: the scores of all samples, each sample being a class.
fn gram(rows: &Rows<'_>) -> Vec<f64> {
    let (len, num_features) = (rows.num_samples, rows.num_features);
    let classes = rows.with_classes(len);
    let mut weights = vec![0.0; classes.num_weights()];
    for (panel, weights) in weights.chunks_exact_mut(classes.panel_len()).enumerate() {
        for (place, sample) in (panel * PANEL..len.min((panel + 1) * PANEL)).enumerate() {
            for (weights, &x) in weights.chunks_exact_mut(PANEL).zip(rows.row(sample)) {
                weights[place] = f64::from(x);
            }
        }
        weights[num_features * PANEL..].fill(0.0);
    }
    let mut products = Vec::new();
    classes.scores(&weights, &mut products);
    let mut gram: Vec<f64> =
        products.chunks_exact(classes.stride()).flat_map(|row| &row[..len]).copied().collect();
    let largest = gram.iter().step_by(len + 1).fold(f64::MIN_POSITIVE, |most, &square| most.max(square));
    gram.iter_mut().step_by(len + 1).for_each(|square| *square += RIDGE * largest);
    gram
}

impl Bidiagonal {
    /// Of a positive definite T; a pivot that rounding has made too small is raised.
    fn factor_of(diagonal: &[f64], beside: &[f64]) -> Self {
        let least = f64::EPSILON * diagonal.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let (mut pivots, mut below) = (Vec::with_capacity(diagonal.len()), Vec::with_capacity(beside.len()));
        let mut taken = 0.0;
        for (place, &value) in diagonal.iter().enumerate() {
            let pivot = (value - taken).max(least).sqrt();
            pivots.push(pivot);
            if let Some(&entry) = beside.get(place) {
                below.push(entry / pivot);
                taken = (entry / pivot).powi(2);
            }
        }
        Self { diagonal: pivots, below }
    }

    fn second_moment(&self, sum: Vec<f64>) -> SecondMoment {
        let below = |place: usize| self.below.get(place).copied().unwrap_or(0.0);
        let square = |place: usize| self.diagonal[place].powi(2) + below(place).powi(2);
        SecondMoment {
            num_samples: self.diagonal.len(),
            diagonal: (0..self.diagonal.len()).map(square).collect(),
            beside: (0..self.below.len()).map(|place| below(place) * self.diagonal[place + 1]).collect(),
            sum,
        }
    }

    /// B⁻ᵀ v in place of v.
    fn solve_transposed<const N: usize>(&self, columns: &mut [[f64; N]]) {
        for place in (0..columns.len()).rev() {
            let (head, tail) = columns.split_at_mut(place + 1);
            let own = &mut head[place];
            if let Some(next) = tail.first() {
                let below = self.below[place];
                own.iter_mut().zip(next).for_each(|(own, next)| *own -= below * next);
            }
            own.iter_mut().for_each(|own| *own /= self.diagonal[place]);
        }
    }
}

#[cfg(test)]
mod tests {
    use mentor_random::{Purpose, Stream};

    use super::*;

    #[test]
    fn products_in_coordinates_are_those_of_the_data() {
        let (len, num_features) = (40, 150);
        let mut stream = Stream::new(3, Purpose::Split, &[]);
        let mut features: Vec<f32> = (0..len * num_features).map(|_| 0.3 + stream.normal()).collect();
        // Two samples that are equal.
        features.copy_within(..num_features, 5 * num_features);
        let rows = Rows::new(&features, num_features, 3);
        let coordinates = Coordinates::of(&rows).unwrap();
        let inner = Rows::new(&coordinates.features, len, 3);
        // V of weights in the space of the samples: Zᵀ applied to something.
        let v = inner.correlations::<f64>(|samples, out| {
            for (sample, out) in samples.zip(out.chunks_exact_mut(PANEL)) {
                out[..3]
                    .iter_mut()
                    .enumerate()
                    .for_each(|(class, out)| *out = (sample * class) as f64 / 40.0);
            }
        });
        let weights = coordinates.weights(&rows, &v);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        inner.scores(&v, &mut ours);
        rows.scores(&weights, &mut theirs);
        let size = ours.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(size > 1.0 && worst < 1e-3 * size, "{worst} of {size}");
        let square = |values: &[f64], end: usize| values[..end].iter().map(|w| w * w).sum::<f64>();
        let (v, w) = (square(&v, len * PANEL), square(&weights, num_features * PANEL));
        assert!((v - w).abs() < 1e-3 * v, "{v} {w}");
    }
}
