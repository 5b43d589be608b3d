//! Products of small matrices that lie somewhere in larger ones.

/// A matrix in a slice: entry (r, c) is `values[r · row_stride + c · column_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// Rows that are `stride` apart.
    pub(crate) fn rows(values: &'a [f32], stride: usize) -> Self {
        Self { values, strides: [stride, 1] }
    }

    pub(crate) fn transposed(self) -> Self {
        let [rows, columns] = self.strides;
        Self { strides: [columns, rows], ..self }
    }
}

/// Values that a matrix of `rows` × `columns` reaches.
fn reach(rows: usize, columns: usize, [row_stride, column_stride]: [usize; 2]) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * row_stride + (columns - 1) * column_stride + 1 }
}

/// `into = factor · left · right` on this thread, where `left` is m × k and `right` k × n; rows of `into` are
/// `into_stride` apart, and what lies between them is left alone.
///
/// # Panics
///
/// If a slice is too short for its matrix, or rows of `into` overlap.
pub(crate) fn multiply(
    [m, k, n]: [usize; 3],
    factor: f32,
    left: Matrix<'_>,
    right: Matrix<'_>,
    into: &mut [f32],
    into_stride: usize,
) {
    assert!(into_stride >= n && into.len() >= reach(m, n, [into_stride, 1]));
    assert!(left.values.len() >= reach(m, k, left.strides));
    assert!(right.values.len() >= reach(k, n, right.strides));
    let signed = |stride: usize| stride as isize;
    // SAFETY: the slices hold every entry of their matrices, by the assertions, and `into`, whose rows do not overlap,
    // is borrowed for writing; its former values are not read.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            into.as_mut_ptr(),
            1,
            signed(into_stride),
            false,
            left.values.as_ptr(),
            signed(left.strides[1]),
            signed(left.strides[0]),
            right.values.as_ptr(),
            signed(right.strides[1]),
            signed(right.strides[0]),
            0.0,
            factor,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, oracle_product, random};

    #[test]
    fn products_are_those_of_the_oracle_and_write_only_their_rows() {
        for sizes in [[1, 1, 1], [3, 5, 2], [17, 33, 7], [49, 64, 49]] {
            let [m, k, n] = sizes;
            let (left, right) = (random(1, m * (k + 3)), random(2, n * (k + 1)));
            let mut found = vec![f32::NAN; m * (n + 2)];
            multiply(
                sizes,
                0.5,
                Matrix::rows(&left, k + 3),
                Matrix::rows(&right, k + 1).transposed(),
                &mut found,
                n + 2,
            );
            let expected =
                oracle_product(sizes, |i, l| 0.5 * left[i * (k + 3) + l], |l, j| right[j * (k + 1) + l]);
            let rows: Vec<f32> = found.chunks(n + 2).flat_map(|row| row[..n].to_vec()).collect();
            close(&rows, &expected, 1e-5);
            assert!(found.chunks(n + 2).all(|row| row[n..].iter().all(|value| value.is_nan())));
        }
    }

    #[test]
    #[should_panic(expected = "assertion failed")]
    fn a_slice_that_is_too_short_is_refused() {
        multiply([2, 2, 2], 1.0, Matrix::rows(&[0.0; 3], 2), Matrix::rows(&[0.0; 4], 2), &mut [0.0; 4], 2);
    }
}
