//! Principal components: the two leading eigenvectors of the covariance, from products with the samples.

use std::sync::atomic::AtomicBool;

use rayon::prelude::*;

use super::eigen::{BLOCK, largest_pairs};
use crate::retrieval::Embeddings;
use crate::subsample::evenly_spread;

/// Values that the directions are fitted to, at most: those of 65,536 samples of 1,024 values.
const MAX_VALUES: usize = 1 << 26;
/// Parts that the samples are summed in, whatever the number of threads, and the fewest samples of a part.
const NUM_PARTS: usize = 64;
const MIN_SAMPLES: usize = 64;
/// Share of the mean square below which variance is the rounding of the mean.
const ROUNDING: f64 = 1e-26;

/// The plane of the two largest principal components.
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    /// Coordinates of each sample, centred.
    pub points: Vec<[f32; 2]>,
    /// The two unit directions, `[component][coordinate]`.
    pub components: [Vec<f64>; 2],
    /// Share of the variance along each; 0 if there is none.
    pub explained: [f64; 2],
    /// Samples that mean and directions were fitted to: all of them, or of more than 2²⁶ values evenly spread
    /// ones.
    pub num_fitted: usize,
}

/// Projects samples on the two directions of largest variance.
///
/// The covariance is Σ (x − mean)(x − mean)ᵀ / N. The sign of a direction is such that its largest coordinate
/// by absolute value (the first of equal ones) is positive, so that the same embeddings give the same picture
/// for every number of threads. Without variance in a direction (one sample, equal samples, or one dimension)
/// its coordinates are 0. If several directions have the same variance, any of their plane may be chosen.
///
/// The covariance is never formed: a block Lanczos method needs its products with a few vectors, which take
/// O(N·D) each. Of more than 2²⁶ values the directions are those of evenly spread samples.
///
/// ```
/// use mentor_metrics::{embeddings::pca, retrieval::Embeddings};
/// let values = [0.0, 0.0, 2.0, 1.0, 4.0, 2.0];
/// let found = pca(&Embeddings::new(&values, 2)?);
/// assert!((found.explained[0] - 1.0).abs() < 1e-12);
/// assert!((found.points[2][0] - 5.0_f32.sqrt()).abs() < 1e-6 && found.points[2][1].abs() < 1e-6);
/// # Ok::<(), mentor_metrics::retrieval::RetrievalError>(())
/// ```
pub fn pca(embeddings: &Embeddings<'_>) -> Pca {
    pca_until(embeddings, &AtomicBool::new(false)).expect("nothing stops it")
}

/// As [`pca`]; `None` once `stop` is set.
pub fn pca_until(embeddings: &Embeddings<'_>, stop: &AtomicBool) -> Option<Pca> {
    let dim = embeddings.dim();
    let samples = Samples::new(embeddings, (MAX_VALUES / dim).max(2));
    let mut components = [vec![0.0; dim], vec![0.0; dim]];
    let mut explained = [0.0; 2];
    if samples.variance > 0.0 {
        let pairs = largest_pairs(dim, 2, &|block| samples.covariance_times(block), stop)?;
        for (place, pair) in pairs.into_iter().enumerate() {
            // Below this the variance is rounding.
            if pair.value > samples.variance * 1e-14 {
                explained[place] = pair.value / samples.variance;
                components[place] = with_sign(pair.vector);
            }
        }
    }
    let project = |row: usize| {
        components.each_ref().map(|component| {
            let centred = embeddings.row(row).iter().zip(&samples.mean).map(|(&x, mean)| f64::from(x) - mean);
            component.iter().zip(centred).map(|(weight, x)| weight * x).sum::<f64>() as f32
        })
    };
    let points = (0..embeddings.len()).into_par_iter().map(project).collect();
    Some(Pca { points, components, explained, num_fitted: samples.rows.len() })
}

/// What the directions are fitted to.
struct Samples<'a> {
    rows: Vec<&'a [f32]>,
    mean: Vec<f64>,
    /// Over all coordinates; 0 where there is rounding alone.
    variance: f64,
}

impl<'a> Samples<'a> {
    fn new(embeddings: &Embeddings<'a>, most: usize) -> Self {
        let dim = embeddings.dim();
        let rows: Vec<&[f32]> =
            evenly_spread(embeddings.len(), most).map(|row| embeddings.row(row)).collect();
        let count = rows.len().max(1) as f64;
        let mut samples = Self { rows, mean: vec![0.0; dim], variance: 0.0 };
        let mut mean = samples.sum(dim, |sum, x| sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += x));
        mean.iter_mut().for_each(|sum| *sum /= count);
        samples.mean = mean;
        let squares = samples.sum(1, |sum, x| sum[0] += x.iter().map(|x| x * x).sum::<f64>());
        let mean_square: f64 = samples.mean.iter().map(|mean| mean * mean).sum();
        let variance = squares[0] / count;
        samples.variance = if variance > ROUNDING * mean_square { variance } else { 0.0 };
        samples
    }

    /// A sum of `len` numbers over the samples less their mean, in an order that does not depend on threads.
    fn sum(&self, len: usize, add: impl Fn(&mut [f64], &[f64]) + Sync) -> Vec<f64> {
        let of_part = self.rows.len().div_ceil(NUM_PARTS).max(MIN_SAMPLES);
        let sum = |rows: &[&[f32]]| {
            let (mut sum, mut centred) = (vec![0.0; len], vec![0.0; self.mean.len()]);
            for row in rows {
                for ((centred, &x), mean) in centred.iter_mut().zip(*row).zip(&self.mean) {
                    *centred = f64::from(x) - mean;
                }
                add(&mut sum, &centred);
            }
            sum
        };
        let parts: Vec<Vec<f64>> = self.rows.par_chunks(of_part).map(sum).collect();
        let mut total = vec![0.0; len];
        for part in parts {
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
        total
    }

    /// Σ (x − mean) ((x − mean) · v) / N for each of some vectors v.
    fn covariance_times(&self, vectors: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let (dim, count) = (self.mean.len(), self.rows.len() as f64);
        // [coordinate][vector], so that the vectors run side by side.
        let mut packed = vec![0.0; dim * BLOCK];
        for (place, vector) in vectors.iter().enumerate() {
            packed[place..].iter_mut().step_by(BLOCK).zip(vector).for_each(|(to, value)| *to = *value);
        }
        let (packed, _) = packed.as_chunks::<BLOCK>();
        let product = self.sum(dim * BLOCK, |sum, x| {
            let mut along = [0.0; BLOCK];
            for (x, vectors) in x.iter().zip(packed) {
                for (along, value) in along.iter_mut().zip(vectors) {
                    *along += x * value;
                }
            }
            let (sum, _) = sum.as_chunks_mut::<BLOCK>();
            for (x, sum) in x.iter().zip(sum) {
                for (sum, along) in sum.iter_mut().zip(along) {
                    *sum += x * along;
                }
            }
        });
        let of_vector = |place| product.iter().skip(place).step_by(BLOCK).map(|sum| sum / count).collect();
        (0..vectors.len()).map(of_vector).collect()
    }
}

fn with_sign(vector: Vec<f64>) -> Vec<f64> {
    let largest = vector
        .iter()
        .fold(0.0_f64, |largest, value| if value.abs() > largest.abs() { *value } else { largest });
    if largest < 0.0 { vector.into_iter().map(|value| -value).collect() } else { vector }
}

#[cfg(test)]
mod tests {
    use mentor_random::{Purpose, Stream};

    use super::super::eigen::sorted_pairs;
    use super::*;

    fn random(count: usize, dim: usize, seed: u64) -> Vec<f32> {
        let mut stream = Stream::new(seed, Purpose::Weights, &[0]);
        (0..count * dim).map(|place| stream.normal() * (1 + place % dim) as f32).collect()
    }

    #[test]
    fn the_plane_holds_the_largest_variance_and_is_turned_by_convention() {
        let values = random(400, 5, 2);
        let embeddings = Embeddings::new(&values, 5).unwrap();
        let found = pca(&embeddings);
        // The coordinates were drawn with standard deviations 1 to 5.
        assert!(
            (found.explained[0] - 25.0 / 55.0).abs() < 0.06
                && (found.explained[1] - 16.0 / 55.0).abs() < 0.06
        );
        assert!(found.components[0][4] > 0.95 && found.components[1][3] > 0.9);
        let along =
            |axis: usize| found.points.iter().map(|point| f64::from(point[axis]).powi(2)).sum::<f64>();
        assert!(along(0) > along(1));
        let mirrored: Vec<f32> = values.iter().map(|value| -value).collect();
        let mirrored = pca(&Embeddings::new(&mirrored, 5).unwrap());
        assert_eq!(mirrored.components, found.components);
        assert_eq!(mirrored.points[7][0], -found.points[7][0]);
    }

    #[test]
    fn the_same_bits_for_one_and_for_two_threads() {
        let values = random(300, 24, 3);
        let run = || pca(&Embeddings::new(&values, 24).unwrap());
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool(1).install(run), pool(2).install(run));
    }

    /// The largest difference of the plane's variance from that of the whole covariance, and of its
    /// directions from eigenvectors.
    fn errors(values: &[f32], dim: usize) -> [f64; 2] {
        let found = pca(&Embeddings::new(values, dim).unwrap());
        let count = (values.len() / dim) as f64;
        let mean: Vec<f64> = (0..dim)
            .map(|at| values.iter().skip(at).step_by(dim).map(|&x| f64::from(x)).sum::<f64>() / count)
            .collect();
        let product = |a: usize, b: usize| {
            let of_row = |row: &[f32]| (f64::from(row[a]) - mean[a]) * (f64::from(row[b]) - mean[b]);
            values.chunks_exact(dim).map(of_row).sum::<f64>() / count
        };
        let covariance: Vec<Vec<f64>> = (0..dim).map(|a| (0..dim).map(|b| product(a, b)).collect()).collect();
        let total: f64 = (0..dim).map(|at| covariance[at][at]).sum();
        let exact = sorted_pairs(covariance.clone());
        let (mut of_values, mut of_vectors) = (0.0_f64, 0.0_f64);
        for ((component, explained), exact) in found.components.iter().zip(found.explained).zip(exact) {
            of_values = of_values.max((explained - exact.value / total).abs());
            for (row, x) in covariance.iter().zip(component) {
                let image: f64 = row.iter().zip(component).map(|(a, b)| a * b).sum();
                of_vectors = of_vectors.max((image / total - explained * x).abs());
            }
        }
        [of_values, of_vectors]
    }

    #[test]
    fn the_plane_is_that_of_the_whole_covariance() {
        // More samples than dimensions, fewer, one dimension, and one sample more than directions.
        for (count, dim) in [(400, 12), (5, 40), (30, 1), (3, 2), (150, 90)] {
            let [of_values, of_vectors] = errors(&random(count, dim, 7), dim);
            assert!(of_values < 1e-12 && of_vectors < 1e-7, "{count} × {dim}: {of_values:e} {of_vectors:e}");
        }
        // Samples on a line far from the origin have one direction.
        let line: Vec<f32> = (0..50).flat_map(|at| [1000.0 + at as f32, 3.0 * at as f32, 5.0]).collect();
        let found = pca(&Embeddings::new(&line, 3).unwrap());
        assert!(
            (found.explained[0] - 1.0).abs() < 1e-12 && found.explained[1] == 0.0,
            "{:?}",
            found.explained
        );
        assert!(found.points.iter().all(|point| point[1] == 0.0));
    }

    #[test]
    fn many_samples_are_thinned_and_all_of_them_placed() {
        let values = random(500, 3, 5);
        let embeddings = Embeddings::new(&values, 3).unwrap();
        let samples = Samples::new(&embeddings, 100);
        assert_eq!((samples.rows.len(), samples.rows[1]), (100, embeddings.row(5)));
        let found = pca(&embeddings);
        assert_eq!((found.points.len(), found.num_fitted), (500, 500));
    }

    #[test]
    fn without_variance_all_is_zero() {
        for (values, dim) in [(vec![], 3), (vec![1.0, 2.0, 3.0], 3), (vec![0.25; 40], 4), (vec![0.1; 300], 3)]
        {
            let found = pca(&Embeddings::new(&values, dim).unwrap());
            assert_eq!(found.explained, [0.0, 0.0]);
            assert!(found.points.iter().all(|point| *point == [0.0, 0.0]));
        }
        let line = pca(&Embeddings::new(&[1.0, 3.0], 1).unwrap());
        assert_eq!((line.points, line.explained), (vec![[-1.0, 0.0], [1.0, 0.0]], [1.0, 0.0]));
    }
}
