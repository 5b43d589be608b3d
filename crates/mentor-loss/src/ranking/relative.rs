//! Distances relative to their mean, and the loss of a difference between those of two sets of embeddings.

use rayon::prelude::*;

use super::block::{Wanted, distances, each_anchor};
use super::points::Points;
use super::sink::Sink;
use crate::{Distance, LossError};

/// The distances of all pairs of rows, and their mean over the pairs.
struct Distances {
    /// `[N, stride]`.
    values: Vec<f64>,
    stride: usize,
    num_samples: usize,
    /// 1 where all distances are 0.
    mean: f64,
}

impl Distances {
    fn of(points: &Points) -> Self {
        let (num_samples, stride) = (points.num_samples, points.stride());
        let mut values = vec![0.0; num_samples * stride];
        distances(points, &(0..num_samples), &mut values);
        let rows = values.chunks_exact(stride).map(|row| row[..num_samples].iter().sum::<f64>());
        let mean = rows.sum::<f64>() / num_pairs(num_samples);
        Self { values, stride, num_samples, mean: if mean == 0.0 { 1.0 } else { mean } }
    }

    /// ψ of one row.
    fn relative(&self, row: usize) -> impl Iterator<Item = f64> {
        self.values[row * self.stride..][..self.num_samples].iter().map(|d| d / self.mean)
    }
}

/// Ordered ones.
fn num_pairs(num_samples: usize) -> f64 {
    num_samples as f64 * (num_samples as f64 - 1.0)
}

/// The mean of h(ψ_ij(student) − ψ_ij(teacher)) over the pairs, h that of Huber with δ = 1, and its
/// gradient `[N, D]` with respect to the student. There are two samples or more.
pub(crate) fn relative_distances(
    student: &[f32],
    teacher: &[f32],
    num_samples: usize,
) -> Result<(f64, Vec<f64>), LossError> {
    // Of one class, so that the rows keep their order.
    let one_class = vec![0; num_samples];
    let points = Points::new(Distance::Euclidean, student, &one_class)?;
    let own = Distances::of(&points);
    let wanted = Distances::of(&Points::new(Distance::Euclidean, teacher, &one_class)?);
    // h' of each pair of a row with ψ of the student.
    let slopes = |row: usize| {
        let pairs = own.relative(row).zip(wanted.relative(row));
        pairs.map(|(own, wanted)| (own, own - wanted, (own - wanted).clamp(-1.0, 1.0)))
    };
    // h = h' · (error − h'/2) on both sides of 1.
    let of_row = |row: usize| {
        slopes(row).fold([0.0; 2], |[loss, common], (relative, error, slope)| {
            [loss + slope * (error - slope / 2.0), common + slope * relative]
        })
    };
    let rows: Vec<[f64; 2]> = (0..num_samples).into_par_iter().map(of_row).collect();
    let [loss, common] = rows.iter().fold([0.0; 2], |sum, row| [sum[0] + row[0], sum[1] + row[1]]);
    let num_pairs = num_pairs(num_samples);
    // ∂L/∂d_ij = (h'_ij − m) / (P·μ), m = mean of h'·ψ: the share of the common scale.
    let common = common / num_pairs;
    let of_anchor =
        |coefficients: &mut Vec<f64>, row: usize, distances: &mut [f64], sink: &mut Sink<'_, f64>| {
            coefficients.clear();
            coefficients.extend(slopes(row).map(|(_, _, slope)| slope - common));
            coefficients.resize(distances.len(), 0.0);
            sink.put(0, distances, coefficients);
        };
    let gradient = each_anchor(&points, Wanted::Gradient, of_anchor, |()| ());
    Ok((loss / num_pairs, points.gradient(gradient, 1.0 / (num_pairs * own.mean))))
}
