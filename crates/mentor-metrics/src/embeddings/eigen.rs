//! The largest eigenvalues of a symmetric operator that is known by what it makes of vectors.

use std::sync::atomic::{AtomicBool, Ordering};

use mentor_random::{Purpose, Stream};

/// A symmetric operator, given some vectors and giving their images.
pub(super) type Operator<'a> = dyn Fn(&[Vec<f64>]) -> Vec<Vec<f64>> + 'a;

/// Vectors that the operator takes at once, at most. Eigenvalues of this multiplicity are found as often as
/// they occur.
pub(super) const BLOCK: usize = 8;
/// Directions that are kept at a time, at most, and those that a full basis is cut down to.
const MAX_BASIS: usize = 80;
const NUM_KEPT: usize = 24;
/// Calls of the operator, at most.
const MAX_CALLS: usize = 64;
/// Largest residual ‖A v − λ v‖ of the pairs that are asked for, in units of the largest eigenvalue.
const TOLERANCE: f64 = 1e-8;
/// What is left of a vector below this share of its length, when its part in the basis is taken away, is
/// rounding.
const ROUNDING: f64 = 1e-10;

/// An eigenvalue and its unit eigenvector.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) value: f64,
    pub(super) vector: Vec<f64>,
}

/// The `wanted` ≤ [`BLOCK`] largest eigenpairs of a symmetric, positive semidefinite operator on `dim`
/// coordinates, largest first; fewer if `dim` is smaller. `None` once `stop` is set.
///
/// `apply` maps at most [`BLOCK`] vectors. A basis is grown by the residuals of the best pairs in it, which
/// is a block Krylov space, and is cut down to its best directions when it is full: a block Lanczos method
/// with thick restarts, whose projection is computed and not assumed. If `dim` fits into the basis, the pairs
/// are those of the whole operator, to rounding. The first block is drawn from a fixed stream, so that the
/// result is a function of the operator alone.
///
/// Source: Y. Saad, "Numerical Methods for Large Eigenvalue Problems", 2nd edition, sections 6.3 and 7.3; K.
/// Wu and H. Simon, "Thick-Restart Lanczos Method", SIAM J. Matrix Anal. Appl. 22 (2000).
pub(super) fn largest_pairs(
    dim: usize,
    wanted: usize,
    apply: &Operator<'_>,
    stop: &AtomicBool,
) -> Option<Vec<Pair>> {
    let mut stream = Stream::new(0, Purpose::Analysis, &[3]);
    let first = (0..BLOCK.min(dim)).map(|_| (0..dim).map(|_| f64::from(stream.normal())).collect());
    let mut space = Space::default();
    let mut block = space.new_directions(first.collect());
    let mut pairs = Vec::new();
    for _ in 0..MAX_CALLS {
        if block.is_empty() {
            break;
        }
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let images = apply(&block);
        space.extend(block, images);
        let ritz = space.ritz(BLOCK);
        let largest = ritz.first().map_or(0.0, |(pair, _)| pair.value.abs());
        let residual = |(_, residual): &(Pair, Vec<f64>)| dot(residual, residual).sqrt();
        let found = ritz.iter().take(wanted).all(|ritz| residual(ritz) <= TOLERANCE * largest);
        if !found && space.basis.len() + BLOCK > MAX_BASIS && space.basis.len() < dim {
            space.cut_down();
        }
        let (best, residuals): (Vec<Pair>, Vec<Vec<f64>>) = ritz.into_iter().unzip();
        pairs = best;
        block = if found { Vec::new() } else { space.new_directions(residuals) };
    }
    pairs.truncate(wanted);
    Some(pairs)
}

/// An orthonormal basis, what the operator makes of it, and the operator's projection on it.
#[derive(Default)]
struct Space {
    basis: Vec<Vec<f64>>,
    images: Vec<Vec<f64>>,
    projected: Vec<Vec<f64>>,
}

impl Space {
    /// Unit vectors, orthogonal to the basis and to each other, of what these vectors add to it.
    fn new_directions(&self, vectors: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
        let mut added: Vec<Vec<f64>> = Vec::new();
        for mut vector in vectors {
            let Some(()) = normalise(&mut vector, 0.0) else { continue };
            let mut kept = Some(());
            // Twice is enough: the second pass takes away what rounding left of the first.
            for _ in 0..2 {
                for other in self.basis.iter().chain(&added) {
                    let share = dot(&vector, other);
                    vector.iter_mut().zip(other).for_each(|(value, other)| *value -= share * other);
                }
                kept = kept.and_then(|()| normalise(&mut vector, ROUNDING));
            }
            if kept.is_some() && self.basis.len() + added.len() < vector.len() {
                added.push(vector);
            }
        }
        added
    }

    fn extend(&mut self, block: Vec<Vec<f64>>, images: Vec<Vec<f64>>) {
        for (vector, image) in block.into_iter().zip(images) {
            self.basis.push(vector);
            let row: Vec<f64> = self.basis.iter().map(|vector| dot(vector, &image)).collect();
            for (known, &value) in self.projected.iter_mut().zip(&row) {
                known.push(value);
            }
            self.projected.push(row);
            self.images.push(image);
        }
    }

    /// The `count` largest eigenpairs of the projection, as vectors of the whole space, with their residuals
    /// A v − λ v.
    fn ritz(&self, count: usize) -> Vec<(Pair, Vec<f64>)> {
        let pairs = sorted_pairs(self.projected.clone()).into_iter().take(count);
        let lift = |Pair { value, vector }: Pair| {
            let (lifted, mut residual) = (combine(&self.basis, &vector), combine(&self.images, &vector));
            residual.iter_mut().zip(&lifted).for_each(|(residual, lifted)| *residual -= value * lifted);
            (Pair { value, vector: lifted }, residual)
        };
        pairs.map(lift).collect()
    }

    /// Keeps the best directions alone.
    fn cut_down(&mut self) {
        let kept: Vec<Pair> =
            sorted_pairs(std::mem::take(&mut self.projected)).into_iter().take(NUM_KEPT).collect();
        let of = |columns: &[Vec<f64>]| kept.iter().map(|pair| combine(columns, &pair.vector)).collect();
        (self.basis, self.images) = (of(&self.basis), of(&self.images));
        let diagonal = |row: usize| {
            let value = |column: usize| if row == column { kept[row].value } else { 0.0 };
            (0..kept.len()).map(value).collect()
        };
        self.projected = (0..kept.len()).map(diagonal).collect();
    }
}

/// Divides by the length; `None` if it is not above `shortest`.
fn normalise(vector: &mut [f64], shortest: f64) -> Option<()> {
    let length = dot(vector, vector).sqrt();
    (length > shortest).then(|| vector.iter_mut().for_each(|value| *value /= length))
}

/// Σ_i weights_i · columns_i.
fn combine(columns: &[Vec<f64>], weights: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; columns.first().map_or(0, Vec::len)];
    for (column, weight) in columns.iter().zip(weights) {
        sum.iter_mut().zip(column).for_each(|(sum, value)| *sum += weight * value);
    }
    sum
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// All eigenpairs of a symmetric matrix, largest first.
pub(super) fn sorted_pairs(matrix: Vec<Vec<f64>>) -> Vec<Pair> {
    let (values, vectors) = symmetric_eigen(matrix);
    let mut pairs: Vec<Pair> =
        values.into_iter().zip(vectors).map(|(value, vector)| Pair { value, vector }).collect();
    pairs.sort_by(|a, b| b.value.total_cmp(&a.value));
    pairs
}

/// Sweeps over all pairs of coordinates; convergence is quadratic, and ten are many.
const MAX_SWEEPS: usize = 64;

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
    use super::*;

    /// The largest pairs of a diagonal operator, whose eigenvalues are known.
    fn of_diagonal(values: &[f64]) -> Vec<Pair> {
        let apply = |block: &[Vec<f64>]| -> Vec<Vec<f64>> {
            assert!((1..=BLOCK).contains(&block.len()));
            let scaled = |vector: &Vec<f64>| vector.iter().zip(values).map(|(x, value)| x * value).collect();
            block.iter().map(scaled).collect()
        };
        largest_pairs(values.len(), 2, &apply, &AtomicBool::new(false)).unwrap()
    }

    /// That the two largest of `values` were found, with unit eigenvectors that are orthogonal.
    fn assert_found(values: &[f64]) {
        let found = of_diagonal(values);
        let mut sorted = values.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        assert_eq!(found.len(), values.len().min(2));
        for (pair, expected) in found.iter().zip(&sorted) {
            assert!((pair.value - expected).abs() <= 1e-9 * sorted[0], "{} {expected}", pair.value);
            assert!((dot(&pair.vector, &pair.vector) - 1.0).abs() < 1e-10 || sorted[0] == 0.0);
            let residual: f64 =
                pair.vector.iter().zip(values).map(|(x, value)| ((value - pair.value) * x).powi(2)).sum();
            assert!(residual.sqrt() <= 1e-7 * sorted[0], "{}", residual.sqrt());
        }
        if let [first, second] = found.as_slice() {
            assert!(dot(&first.vector, &second.vector).abs() < 1e-10);
        }
    }

    #[test]
    fn the_largest_of_many_eigenvalues_are_found() {
        for dim in [1, 2, 3, 7, 8, 9, 40, 80, 81, 300] {
            assert_found(&(0..dim).map(|place| ((place * 37) % dim) as f64 + 0.5).collect::<Vec<_>>());
            assert_found(&(0..dim).map(|place| 0.9_f64.powi(place)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn equal_and_clustered_eigenvalues_are_found_as_often_as_they_occur() {
        let mut values: Vec<f64> = (0..300).map(|place| f64::from(place % 50) / 100.0).collect();
        (values[17], values[200]) = (3.0, 3.0);
        assert_found(&values);
        (values[3], values[4], values[250]) = (3.0, 3.0, 3.0 - 1e-6);
        assert_found(&values);
        assert_found(&[2.5; 120]);
        // 1 and the crowd just below it.
        assert_found(&(0..400).map(|place| 1.0 - 1e-3 * f64::from(place)).collect::<Vec<_>>());
    }

    #[test]
    fn operators_of_low_rank_have_no_more_eigenvalues_above_0() {
        let mut values = vec![0.0; 200];
        assert_found(&values);
        values[150] = 7.0;
        assert_found(&values);
        (values[2], values[9]) = (1e-9, 6.0);
        assert_found(&values);
        assert!(of_diagonal(&[]).is_empty());
    }

    #[test]
    fn a_stop_ends_the_search() {
        let apply = |block: &[Vec<f64>]| block.to_vec();
        assert_eq!(largest_pairs(20, 2, &apply, &AtomicBool::new(true)), None);
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
}
