//! Principal components, exactly: the covariance in `f64` and all its eigenvectors by Jacobi rotations.

use rayon::prelude::*;

use crate::retrieval::Embeddings;

/// Sweeps over all pairs of coordinates; convergence is quadratic, and ten are many.
const MAX_SWEEPS: usize = 64;

/// The plane of the two largest principal components.
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    /// Coordinates of each sample, centred.
    pub points: Vec<[f32; 2]>,
    /// The two unit directions, `[component][coordinate]`.
    pub components: [Vec<f64>; 2],
    /// Share of the variance along each; 0 where there is none.
    pub explained: [f64; 2],
}

/// Projects samples on the two directions of largest variance.
///
/// The covariance is Σ (x − mean)(x − mean)ᵀ / N. The sign of a direction is such that its largest coordinate by
/// absolute value (the first of equal ones) is positive, so that the same embeddings give the same picture on every
/// machine and for every number of threads. Without variance in a direction (one sample, equal samples, or one
/// dimension) its coordinates are 0.
///
/// Takes O(N·D²) for the covariance and O(D³) for the directions.
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
    let (count, dim) = (embeddings.len(), embeddings.dim());
    // [coordinate][sample], so that a product of two coordinates runs along memory.
    let columns: Vec<Vec<f64>> = (0..dim)
        .into_par_iter()
        .map(|column| {
            let values: Vec<f64> = (0..count).map(|row| f64::from(embeddings.row(row)[column])).collect();
            let mean = values.iter().sum::<f64>() / count.max(1) as f64;
            values.into_iter().map(|value| value - mean).collect()
        })
        .collect();
    let upper: Vec<Vec<f64>> = (0..dim)
        .into_par_iter()
        .map(|row| {
            let product =
                |column: usize| columns[row].iter().zip(&columns[column]).map(|(a, b)| a * b).sum::<f64>();
            (row..dim).map(|column| product(column) / count.max(1) as f64).collect()
        })
        .collect();
    let mut covariance = vec![vec![0.0; dim]; dim];
    for (row, values) in upper.into_iter().enumerate() {
        for (offset, value) in values.into_iter().enumerate() {
            covariance[row][row + offset] = value;
            covariance[row + offset][row] = value;
        }
    }
    let total: f64 = (0..dim).map(|place| covariance[place][place]).sum();
    let (values, vectors) = symmetric_eigen(covariance);
    let mut order: Vec<usize> = (0..dim).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));

    let mut components = [vec![0.0; dim], vec![0.0; dim]];
    let mut explained = [0.0; 2];
    for (place, &index) in order.iter().take(2).enumerate() {
        // Below this the variance is rounding.
        if values[index] > total * 1e-14 {
            components[place] = with_sign(vectors[index].clone());
            explained[place] = values[index] / total;
        }
    }
    let project = |row: usize| {
        components.each_ref().map(|component| {
            component.iter().zip(&columns).map(|(weight, column)| weight * column[row]).sum::<f64>() as f32
        })
    };
    Pca { points: (0..count).map(project).collect(), components, explained }
}

fn with_sign(vector: Vec<f64>) -> Vec<f64> {
    let largest = vector
        .iter()
        .fold(0.0_f64, |largest, value| if value.abs() > largest.abs() { *value } else { largest });
    if largest < 0.0 { vector.into_iter().map(|value| -value).collect() } else { vector }
}

/// Eigenvalues and, in the same order, unit eigenvectors of a symmetric matrix, by cyclic Jacobi rotations
/// (Golub and Van Loan, Matrix Computations, section 8.5).
fn symmetric_eigen(mut matrix: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let dim = matrix.len();
    let mut vectors: Vec<Vec<f64>> =
        (0..dim).map(|row| (0..dim).map(|column| f64::from(u8::from(row == column))).collect()).collect();
    let norm: f64 = matrix.iter().flatten().map(|value| value * value).sum::<f64>().sqrt();
    for _ in 0..MAX_SWEEPS {
        let mut rotated = false;
        for p in 0..dim {
            for q in p + 1..dim {
                let off = matrix[p][q];
                if off.abs() <= norm * 1e-17 {
                    continue;
                }
                rotated = true;
                let theta = (matrix[q][q] - matrix[p][p]) / (2.0 * off);
                let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = tangent * cosine;
                rotate_rows(&mut matrix, p, q, cosine, sine);
                for row in &mut matrix {
                    let (a, b) = (row[p], row[q]);
                    row[p] = cosine * a - sine * b;
                    row[q] = sine * a + cosine * b;
                }
                // Exactly what the rotation is for.
                matrix[p][q] = 0.0;
                matrix[q][p] = 0.0;
                rotate_rows(&mut vectors, p, q, cosine, sine);
            }
        }
        if !rotated {
            break;
        }
    }
    ((0..dim).map(|place| matrix[place][place]).collect(), vectors)
}

fn rotate_rows(matrix: &mut [Vec<f64>], p: usize, q: usize, cosine: f64, sine: f64) {
    let (before, after) = matrix.split_at_mut(q);
    for (a, b) in before[p].iter_mut().zip(&mut after[0]) {
        (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
    }
}

#[cfg(test)]
mod tests {
    use mentor_random::{Purpose, Stream};

    use super::*;

    fn random(count: usize, dim: usize, seed: u64) -> Vec<f32> {
        let mut stream = Stream::new(seed, Purpose::Weights, &[0]);
        (0..count * dim).map(|place| stream.normal() * (1 + place % dim) as f32).collect()
    }

    #[test]
    fn eigenvectors_are_orthonormal_and_give_the_matrix_back() {
        let mut stream = Stream::new(1, Purpose::Weights, &[0]);
        let dim = 12;
        let values: Vec<f64> = (0..dim * dim).map(|_| f64::from(stream.normal())).collect();
        let value = |row: usize, column: usize| values[row.max(column) * dim + row.min(column)];
        let matrix: Vec<Vec<f64>> =
            (0..dim).map(|row| (0..dim).map(|column| value(row, column)).collect()).collect();
        let (values, vectors) = symmetric_eigen(matrix.clone());
        for (row, of_row) in matrix.iter().enumerate() {
            for (column, value) in of_row.iter().enumerate() {
                let dot: f64 = (0..dim).map(|k| vectors[row][k] * vectors[column][k]).sum();
                assert!((dot - f64::from(u8::from(row == column))).abs() < 1e-12);
                let back: f64 = (0..dim).map(|k| vectors[k][row] * values[k] * vectors[k][column]).sum();
                assert!((back - value).abs() < 1e-12);
            }
        }
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

    #[test]
    fn without_variance_all_is_zero() {
        for (values, dim) in [(vec![], 3), (vec![1.0, 2.0, 3.0], 3), (vec![0.25; 40], 4)] {
            let found = pca(&Embeddings::new(&values, dim).unwrap());
            assert_eq!(found.explained, [0.0, 0.0]);
            assert!(found.points.iter().all(|point| *point == [0.0, 0.0]));
        }
        let line = pca(&Embeddings::new(&[1.0, 3.0], 1).unwrap());
        assert_eq!((line.points, line.explained), (vec![[-1.0, 0.0], [1.0, 0.0]], [1.0, 0.0]));
    }
}
