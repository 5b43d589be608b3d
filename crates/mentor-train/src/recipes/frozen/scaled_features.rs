//! Features as a solver of linear classifiers likes them: centred, of one size for all networks, and no more
//! values a sample than there are samples, if those are few. The classifier is the same.
//!
//! `mentor-linear` has coordinates of few samples of its own. It proves the gap on the features themselves,
//! on which the hinges take several times as long: 15 s instead of 2 for a head of 150 images with `svm`.

use rayon::prelude::*;

/// A direction is one of rounding if so little of a sample's length is left in it.
const ROUNDING: f64 = 1e-6;

/// Features minus their mean, divided by their root mean squared length. If there are half as many samples as
/// features or fewer, their coordinates in an orthonormal basis of their span: weights with an L2 penalty lie
/// in it, as long there as they were.
pub(super) struct ScaledFeatures {
    /// `[N, num_values]`
    pub(super) values: Vec<f32>,
    pub(super) num_values: usize,
    mean: Vec<f64>,
    /// The root mean squared length.
    pub(super) scale: f64,
    /// `[num_values, D]`, row-major, where the values are coordinates.
    basis: Option<Vec<f64>>,
}

impl ScaledFeatures {
    /// Of features `[N, D]`.
    pub(super) fn of(features: &[f32], num_features: usize) -> Self {
        let rows = || features.chunks_exact(num_features);
        let count = rows().len().max(1);
        let mut mean = vec![0.0; num_features];
        for row in rows() {
            mean.iter_mut().zip(row).for_each(|(mean, &value)| *mean += f64::from(value) / count as f64);
        }
        let centred = |row: &[f32]| row.iter().zip(&mean).map(|(&x, mean)| f64::from(x) - mean).collect();
        let rows: Vec<Vec<f64>> = rows().map(centred).collect();
        let scale = (rows.iter().map(|row| dot(row, row)).sum::<f64>() / count as f64).sqrt();
        // Features that are all the same stay so.
        let scale = if scale > 0.0 { scale } else { 1.0 };
        let basis = (2 * count <= num_features).then(|| orthonormal(&rows)).filter(|basis| !basis.is_empty());
        let values: Vec<f32> = match &basis {
            None => rows.iter().flatten().map(|value| (value / scale) as f32).collect(),
            Some(basis) => {
                let coordinates = |row: &Vec<f64>| -> Vec<f32> {
                    basis.iter().map(|direction| (dot(direction, row) / scale) as f32).collect()
                };
                rows.par_iter().flat_map_iter(coordinates).collect()
            }
        };
        let num_values = basis.as_ref().map_or(num_features, Vec::len);
        Self { values, num_values, mean, scale, basis: basis.map(|basis| basis.concat()) }
    }

    /// The same classifier on the features as they were: weights `[C, num_values]` to `[D, C]`.
    pub(super) fn undo(&self, weights: &[f64], bias: &[f64]) -> (Vec<f32>, Vec<f32>) {
        let (num_features, num_classes) = (self.mean.len(), bias.len());
        let mut raw = vec![0.0; num_features * num_classes];
        let mut raw_bias = bias.to_vec();
        for (class, weights) in weights.chunks_exact(self.num_values).enumerate() {
            let of_class = match &self.basis {
                None => weights.to_vec(),
                Some(basis) => {
                    let mut sum = vec![0.0; num_features];
                    for (direction, weight) in basis.chunks_exact(num_features).zip(weights) {
                        sum.iter_mut().zip(direction).for_each(|(sum, value)| *sum += weight * value);
                    }
                    sum
                }
            };
            for (feature, weight) in of_class.iter().enumerate() {
                raw[feature * num_classes + class] = weight / self.scale;
            }
            raw_bias[class] -= dot(&of_class, &self.mean) / self.scale;
        }
        let single = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
        (single(raw), single(raw_bias))
    }
}

/// An orthonormal basis of the span of rows, by Gram and Schmidt's method, each direction taken out twice
/// (Giraud et al. 2005: twice is enough).
fn orthonormal(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for row in rows {
        let length = dot(row, row).sqrt();
        let mut rest = row.clone();
        for _ in 0..2 {
            let parts: Vec<f64> = basis.par_iter().map(|direction| dot(direction, &rest)).collect();
            for (direction, part) in basis.iter().zip(parts) {
                rest.iter_mut().zip(direction).for_each(|(rest, value)| *rest -= part * value);
            }
        }
        let left = dot(&rest, &rest).sqrt();
        if left > ROUNDING * length {
            rest.iter_mut().for_each(|value| *value /= left);
            basis.push(rest);
        }
    }
    basis
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_samples_than_features_are_coordinates_that_keep_all_products() {
        // The third is the mean of the others, so that two directions are left, and one when centred.
        let rows = [
            [1.0, 2.0, 0.0, 4.0, 0.0, 9.0],
            [3.0, 0.0, -2.0, 4.0, 0.0, 9.0],
            [2.0, 1.0, -1.0, 4.0, 0.0, 9.0],
        ];
        let features = rows.concat();
        let scaled = ScaledFeatures::of(&features, 6);
        assert_eq!(scaled.num_values, 1);
        // Centred the rows are (-1, 1, 1, 0), (1, -1, -1, 0) and 0.
        let lengths: Vec<f32> = scaled.values.iter().map(|value| value * value).collect();
        assert!((lengths[0] - 1.5).abs() < 1e-6 && (lengths[1] - 1.5).abs() < 1e-6 && lengths[2] < 1e-12);
        let (weight, bias) = scaled.undo(&[2.0, -1.0], &[0.5, 0.0]);
        for (row, &coordinate) in rows.iter().zip(&scaled.values) {
            for class in 0..2 {
                let score =
                    bias[class] + row.iter().enumerate().map(|(d, x)| x * weight[2 * d + class]).sum::<f32>();
                let expected = [2.0 * coordinate + 0.5, -coordinate][class];
                assert!((score - expected).abs() < 1e-5, "{score} {expected}");
            }
        }
    }

    #[test]
    fn equal_features_stay_equal_and_many_samples_keep_their_features() {
        let equal = ScaledFeatures::of(&[3.0; 6], 3);
        assert!(equal.values.iter().all(|value| *value == 0.0) && equal.num_values == 3);
        let many = ScaledFeatures::of(&[1.0, -1.0, 3.0, 1.0], 1);
        assert_eq!((many.num_values, many.values.len()), (1, 4));
        assert!((many.values.iter().map(|x| x * x).sum::<f32>() - 4.0).abs() < 1e-6);
    }
}
