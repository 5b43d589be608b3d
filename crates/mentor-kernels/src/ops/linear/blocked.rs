//! The products of a layer with many outputs, by [tiles](crate::kernels::gemm::tiles).
//!
//! ```text
//! y[b, c]  = Σ_k x[b, k] w[k, c] + bias[c]
//! dw[k, c] = Σ_b x[b, k] g[b, c]
//! dx[b, k] = Σ_c g[b, c] w[k, c]
//! ```
//!
//! Each result is one sum in the order of its terms, so its bits depend neither on the number of threads nor
//! on how many rows there are beside it.

use rayon::prelude::*;

use super::narrow::Sizes;
use crate::host::matrices::{Block, Matrix};
use crate::kernels::gemm::tiles::{self, Product};
use crate::simd::Level;

/// Rows below which a tile would be mostly empty.
pub(crate) const MIN_ROWS: usize = tiles::ROWS;
/// Rows of a task, at most: enough to make copying panels cheap, and so few that their part of the left
/// factor stays in the second-level cache.
const TASK_ROWS: usize = 32 * tiles::ROWS;
/// Tasks for each thread, at least, where there are columns to divide: one that is kept waiting leaves work
/// to the others.
const TASKS_PER_THREAD: usize = 2;

/// `x` `[rows, inputs]` · `w` `[inputs, outputs]` + `bias` `[outputs]`, negative results set to zero with
/// `relu`.
pub(crate) fn forward(sizes: Sizes, x: &[f32], w: &[f32], bias: Option<&[f32]>, relu: bool) -> Vec<f32> {
    let Sizes { rows, inputs, outputs } = sizes;
    let product = Product::of(Matrix::rows(x, inputs), Matrix::rows(w, outputs), inputs);
    parallel(Product { bias, relu, ..product }, rows, outputs)
}

/// `g` `[rows, outputs]` · `w`ᵀ: `[rows, inputs]`.
pub(crate) fn input_gradient(sizes: Sizes, g: &[f32], w: &[f32]) -> Vec<f32> {
    let Sizes { rows, inputs, outputs } = sizes;
    let (g, w) = (Matrix::rows(g, outputs), Matrix::rows(w, outputs));
    parallel(Product::of(g, w.transposed(), outputs), rows, inputs)
}

/// `x`ᵀ · `g`: `[inputs, outputs]`.
pub(crate) fn weight_gradient(sizes: Sizes, x: &[f32], g: &[f32]) -> Vec<f32> {
    let Sizes { rows, inputs, outputs } = sizes;
    let (x, g) = (Matrix::rows(x, inputs), Matrix::rows(g, outputs));
    parallel(Product::of(x.transposed(), g, rows), inputs, outputs)
}

/// The whole product, `[rows, columns]`.
fn parallel(product: Product<'_>, rows: usize, columns: usize) -> Vec<f32> {
    let (level, threads) = (Level::current(), rayon::current_num_threads());
    let mut results = Vec::with_capacity(rows * columns);
    if rows * columns > 0 {
        let row_blocks = rows.div_ceil(TASK_ROWS);
        let task_rows = rows.div_ceil(row_blocks).next_multiple_of(tiles::ROWS);
        let column_blocks = if threads == 1 { 1 } else { (TASKS_PER_THREAD * threads).div_ceil(row_blocks) };
        let task_columns = columns.div_ceil(column_blocks).next_multiple_of(level.lanes());
        let blocks = Block::of_uninit(&mut results.spare_capacity_mut()[..rows * columns], rows, columns)
            .grid(task_rows, task_columns);
        blocks.into_par_iter().for_each(|(row, column, mut block)| {
            product.from(row, column).write(level, &mut block);
        });
    }
    // SAFETY: the blocks cover all of the results, and each was written.
    unsafe { results.set_len(rows * columns) };
    results
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::with_level;
    use crate::testing::{close, oracle_product, random};

    #[test]
    fn products_are_those_of_the_oracle_on_every_level_beyond_the_size_of_a_task_and_a_band() {
        for [rows, inputs, outputs] in [[1, 1, 1], [7, 3, 33], [200, 300, 37], [97, 40, 64]] {
            let sizes = Sizes { rows, inputs, outputs };
            let (x, w) = (random(1, rows * inputs), random(2, inputs * outputs));
            let (g, bias) = (random(3, rows * outputs), random(4, outputs));
            let y: Vec<f64> =
                oracle_product([rows, inputs, outputs], |b, k| x[b * inputs + k], |k, c| w[k * outputs + c])
                    .iter()
                    .enumerate()
                    .map(|(at, sum)| (sum + f64::from(bias[at % outputs])).max(0.0))
                    .collect();
            let dx =
                oracle_product([rows, outputs, inputs], |b, c| g[b * outputs + c], |c, k| w[k * outputs + c]);
            let dw =
                oracle_product([inputs, rows, outputs], |k, b| x[b * inputs + k], |b, c| g[b * outputs + c]);
            for level in Level::available() {
                with_level(level, || {
                    close(&forward(sizes, &x, &w, Some(&bias), true), &y, 1e-5);
                    close(&input_gradient(sizes, &g, &w), &dx, 1e-5);
                    close(&weight_gradient(sizes, &x, &g), &dw, 1e-5);
                });
            }
        }
    }

    #[test]
    fn a_row_has_the_same_bits_whatever_is_beside_it() {
        let (inputs, outputs) = (50, 40);
        let (x, w) = (random(1, 130 * inputs), random(2, inputs * outputs));
        let of = |rows: usize| forward(Sizes { rows, inputs, outputs }, &x[..rows * inputs], &w, None, false);
        let all = of(130);
        for rows in [1, 6, 13, 97] {
            assert_eq!(of(rows), all[..rows * outputs]);
        }
    }
}
