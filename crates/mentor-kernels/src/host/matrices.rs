//! Matrices that lie somewhere in slices: those that are read, and those that are written.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// A matrix in a slice: entry (r, c) is `values[r · strides[0] + c · strides[1]]`.
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

    /// What lies from this row and column on.
    pub(crate) fn from(self, row: usize, column: usize) -> Self {
        let start = row * self.strides[0] + column * self.strides[1];
        Self { values: &self.values[start.min(self.values.len())..], ..self }
    }

    /// Panics unless the slice holds every entry of `rows` × `columns`.
    #[track_caller]
    pub(crate) fn check(&self, rows: usize, columns: usize) {
        let (found, needed) = (self.values.len(), reach(rows, columns, self.strides));
        assert!(
            found >= needed,
            "a matrix of {rows} × {columns} with strides {:?} in {found} values",
            self.strides
        );
    }
}

/// Values that a matrix of `rows` × `columns` reaches.
fn reach(rows: usize, columns: usize, [row_stride, column_stride]: [usize; 2]) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * row_stride + (columns - 1) * column_stride + 1 }
}

/// A block of a matrix to be written: rows that are some stride apart. It may hold no values yet.
pub(crate) struct Block<'a> {
    first: *mut f32,
    rows: usize,
    columns: usize,
    stride: usize,
    borrow: PhantomData<&'a mut f32>,
}

// SAFETY: a block is the only way to its entries while it is borrowed, as a mutable slice is.
unsafe impl Send for Block<'_> {}

impl<'a> Block<'a> {
    /// The first `rows` × `columns` entries of rows that are `stride` apart.
    ///
    /// # Panics
    ///
    /// If rows overlap or reach beyond the slice.
    #[track_caller]
    pub(crate) fn of(values: &'a mut [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(columns <= stride && values.len() >= reach(rows, columns, [stride, 1]));
        Self { first: values.as_mut_ptr(), rows, columns, stride, borrow: PhantomData }
    }

    /// Rows of `columns` entries, one after the other, without values so far.
    #[track_caller]
    pub(crate) fn of_uninit(values: &'a mut [MaybeUninit<f32>], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns);
        Self { first: values.as_mut_ptr().cast(), rows, columns, stride: columns, borrow: PhantomData }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The distance between rows.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Where entry (row, column) is.
    #[inline(always)]
    pub(crate) fn at(&mut self, row: usize, column: usize) -> *mut f32 {
        assert!(row < self.rows && column < self.columns);
        // SAFETY: the entry is one of the block, which lies in one slice.
        unsafe { self.first.add(row * self.stride + column) }
    }

    /// Writes some entries of a row.
    pub(crate) fn write_row(&mut self, row: usize, column: usize, values: &[f32]) {
        assert!(column + values.len() <= self.columns);
        if !values.is_empty() {
            let to = self.at(row, column);
            // SAFETY: the row has these entries, and nothing else refers to them.
            unsafe { to.copy_from_nonoverlapping(values.as_ptr(), values.len()) }
        }
    }

    /// Cuts it into blocks of at most `rows` × `columns` entries, each with its first row and column.
    pub(crate) fn grid(self, rows: usize, columns: usize) -> Vec<(usize, usize, Block<'a>)> {
        let starts = (0..self.rows)
            .step_by(rows)
            .flat_map(|row| (0..self.columns).step_by(columns).map(move |column| (row, column)));
        let block = |(row, column)| {
            // SAFETY: the entry is one of the block. The new blocks share none, and `self` is gone.
            let first = unsafe { self.first.add(row * self.stride + column) };
            let (rows, columns) = (rows.min(self.rows - row), columns.min(self.columns - column));
            (row, column, Block { first, rows, columns, ..self })
        };
        starts.map(block).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_covers_the_block_and_nothing_else() {
        let mut values = vec![-1.0; 5 * 9];
        for (row, column, mut block) in Block::of(&mut values, 5, 7, 9).grid(2, 3) {
            assert!(block.rows() <= 2 && block.columns() <= 3);
            for r in 0..block.rows() {
                let entries = (0..block.columns()).map(|c| ((row + r) * 9 + column + c) as f32);
                block.write_row(r, 0, &entries.collect::<Vec<_>>());
            }
        }
        for (at, value) in values.into_iter().enumerate() {
            assert_eq!(value, if at % 9 < 7 { at as f32 } else { -1.0 });
        }
    }
}
