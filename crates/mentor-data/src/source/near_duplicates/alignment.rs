//! The correlation of two thumbnails after one of them is shifted and scaled a little, as by a crop of a
//! pixel or two.

/// Side of a thumbnail.
pub(super) const SIDE: usize = 16;
/// A gray thumbnail, row by row.
pub(super) type Thumbnail = [f32; SIDE * SIDE];

/// The picture itself, and its change by a shift and by a scaling, across and down.
const NUM_COLUMNS: usize = 5;
/// The farthest shift, and the farthest that scaling moves the border, in pixels of the thumbnail: a
/// sixteenth of the picture.
const MAX_SHIFT: f64 = 1.0;

/// A thumbnail, smoothed and with mean 0.
pub(super) type Smooth = [f64; SIDE * SIDE];

/// A thumbnail that others are compared with, each after the shift and scaling of this one that fits it best.
pub(super) struct Alignment {
    columns: [Smooth; NUM_COLUMNS],
    products: [[f64; NUM_COLUMNS]; NUM_COLUMNS],
}

impl Alignment {
    /// Smooths the thumbnail, and works out once what does not depend on the others.
    pub(super) fn new(thumbnail: &Thumbnail) -> Self {
        let columns = columns(&smoothed(thumbnail));
        let products = columns.each_ref().map(|x| columns.each_ref().map(|y| dot(x, y)));
        Self { columns, products }
    }

    /// Pearson's correlation of `b` with the shifted and scaled thumbnail `a` that is nearest to it.
    ///
    /// To first order a shift by (s, t) and a scaling by (p, q) of `a` is `a + s·∂x a + t·∂y a + p·x·∂x a +
    /// q·y·∂y a`, so that the best of them is a least-squares fit (Lucas and Kanade 1981). Fits that move by
    /// more than a pixel of the thumbnail, or need the negative of the picture, count as 0.
    pub(super) fn correlation(&self, b: &Smooth) -> f64 {
        let targets = self.columns.each_ref().map(|x| dot(x, b));
        let mut system = self.products;
        // Far below a product of thumbnails of length 1: it only keeps the system solvable.
        (0..NUM_COLUMNS).for_each(|row| system[row][row] += 1e-9);
        let Some(fit) = solve(system, targets) else { return 0.0 };
        // Positively, so that what is no number is no match.
        let matches = fit[0] > 0.0 && fit[1..].iter().all(|shift| (shift / fit[0]).abs() <= MAX_SHIFT);
        if !matches {
            return 0.0;
        }
        let sum = |x: &[f64; NUM_COLUMNS]| x.iter().zip(&fit).map(|(x, fit)| x * fit).sum::<f64>();
        let length = sum(&self.products.each_ref().map(sum));
        let scale = (length * dot(b, b)).sqrt();
        if scale > 0.0 { sum(&targets) / scale } else { 0.0 }
    }
}

/// In eight sums, which need not wait for each other.
fn dot(x: &Smooth, y: &Smooth) -> f64 {
    let mut sums = [0.0; 8];
    for (x, y) in x.as_chunks::<8>().0.iter().zip(y.as_chunks::<8>().0) {
        for (sum, (x, y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += x * y;
        }
    }
    sums.iter().sum()
}

/// Weights ¼, ½, ¼ across and down, edges repeated; with mean 0.
pub(super) fn smoothed(thumbnail: &Thumbnail) -> Smooth {
    let at = |y: usize, x: usize| f64::from(thumbnail[y * SIDE + x]);
    let along = |index: usize| [index.saturating_sub(1), index, (index + 1).min(SIDE - 1)];
    let mut smooth: [f64; SIDE * SIDE] = std::array::from_fn(|place| {
        let row = |y: usize| {
            let [left, own, right] = along(place % SIDE).map(|x| at(y, x));
            (left + 2.0 * own + right) / 4.0
        };
        let [above, own, below] = along(place / SIDE).map(row);
        (above + 2.0 * own + below) / 4.0
    });
    centre(&mut smooth);
    smooth
}

fn centre(values: &mut [f64; SIDE * SIDE]) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter_mut().for_each(|value| *value -= mean);
}

fn columns(a: &[f64; SIDE * SIDE]) -> [[f64; SIDE * SIDE]; NUM_COLUMNS] {
    let at = |y: usize, x: usize| a[y * SIDE + x];
    // Central differences, and one-sided ones at the edges.
    let slope = |index: usize, value: &dyn Fn(usize) -> f64| {
        let (from, to) = (index.saturating_sub(1), (index + 1).min(SIDE - 1));
        (value(to) - value(from)) / (to - from) as f64
    };
    // From −1 at one border to 1 at the other.
    let from_centre = |index: usize| {
        let half = (SIDE - 1) as f64 / 2.0;
        (index as f64 - half) / half
    };
    let mut columns = [*a, [0.0; SIDE * SIDE], [0.0; SIDE * SIDE], [0.0; SIDE * SIDE], [0.0; SIDE * SIDE]];
    for y in 0..SIDE {
        for x in 0..SIDE {
            let across = slope(x, &|x| at(y, x));
            let down = slope(y, &|y| at(y, x));
            let values = [across, down, from_centre(x) * across, from_centre(y) * down];
            columns[1..].iter_mut().zip(values).for_each(|(column, value)| column[y * SIDE + x] = value);
        }
    }
    columns[1..].iter_mut().for_each(centre);
    columns
}

/// Gaussian elimination with pivots; `None` for a singular system.
fn solve(
    mut matrix: [[f64; NUM_COLUMNS]; NUM_COLUMNS],
    mut right: [f64; NUM_COLUMNS],
) -> Option<[f64; NUM_COLUMNS]> {
    for column in 0..NUM_COLUMNS {
        let pivot = (column..NUM_COLUMNS)
            .max_by(|&a, &b| matrix[a][column].abs().total_cmp(&matrix[b][column].abs()))?;
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        let regular = matrix[column][column].abs() > 0.0;
        if !regular {
            return None;
        }
        for row in column + 1..NUM_COLUMNS {
            let factor = matrix[row][column] / matrix[column][column];
            let (above, below) = matrix.split_at_mut(row);
            for (value, pivot) in below[0][column..].iter_mut().zip(&above[column][column..]) {
                *value -= factor * pivot;
            }
            right[row] -= factor * right[column];
        }
    }
    for row in (0..NUM_COLUMNS).rev() {
        let known: f64 = (row + 1..NUM_COLUMNS).map(|place| matrix[row][place] * right[place]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aligned_correlation(a: &Thumbnail, b: &Thumbnail) -> f64 {
        Alignment::new(a).correlation(&smoothed(b))
    }

    /// Waves, cut out from `from` pixels to the left and above, `scale` times as large.
    fn waves(from: f64, scale: f64) -> Thumbnail {
        std::array::from_fn(|place| {
            let (x, y) = ((place % SIDE) as f64 * scale + from, (place / SIDE) as f64 * scale + from);
            ((x * 0.7).sin() + (y * 0.5).cos() + (x * 0.3 + y * 0.4).sin()) as f32
        })
    }

    #[test]
    fn a_small_crop_is_undone_and_a_large_one_is_not() {
        for (from, scale) in [(0.0, 1.0), (0.5, 1.0), (0.0, 0.97), (0.4, 0.98)] {
            let found = aligned_correlation(&waves(0.0, 1.0), &waves(from, scale));
            assert!(found > 0.999, "{from} {scale}: {found}");
        }
        for (from, scale) in [(4.0, 1.0), (0.0, 0.6)] {
            let found = aligned_correlation(&waves(0.0, 1.0), &waves(from, scale));
            assert!(found < 0.99, "{from} {scale}: {found}");
        }
    }

    #[test]
    fn negatives_and_even_pictures_are_not_alike() {
        let negative = waves(0.0, 1.0).map(|value| -value);
        assert_eq!(aligned_correlation(&waves(0.0, 1.0), &negative), 0.0);
        assert_eq!(aligned_correlation(&[0.0; SIDE * SIDE], &[0.0; SIDE * SIDE]), 0.0);
        assert_eq!(aligned_correlation(&[0.0; SIDE * SIDE], &negative), 0.0);
    }

    #[test]
    fn a_system_is_solved_whatever_the_order_of_its_rows() {
        let mut matrix = [[0.0; NUM_COLUMNS]; NUM_COLUMNS];
        for (row, column) in [2, 0, 4, 1, 3].into_iter().enumerate() {
            matrix[row][column] = (row + 1) as f64;
            matrix[row][(column + 1) % NUM_COLUMNS] += 0.5;
        }
        let expected = [1.0, -2.0, 3.0, -4.0, 5.0];
        let right = matrix.map(|row| row.iter().zip(expected).map(|(a, b)| a * b).sum());
        let found = solve(matrix, right).unwrap();
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        assert!(solve([[0.0; NUM_COLUMNS]; NUM_COLUMNS], right).is_none());
    }
}
