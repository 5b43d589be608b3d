//! The products of a layer with many outputs: register tiles of six rows over panels of columns that are laid out
//! for them.
//!
//! ```text
//! y[b, c]  = Σ_k x[b, k] w[k, c] + bias[c]
//! dw[k, c] = Σ_b x[b, k] g[b, c]
//! dx[b, k] = Σ_c g[b, c] w[k, c]
//! ```
//!
//! Each result is one sum in the order of its terms, so its bits depend neither on the number of threads nor on how
//! many rows there are beside it.

use rayon::prelude::*;

use super::narrow::Sizes;
use crate::buffer::filled;
use crate::conv::columns;
use crate::gemm::outer::{self, Sum};
use crate::scratch::Scratch;
use crate::simd::Level;

/// Rows below which laying the weights out costs more than it saves.
pub(crate) const MIN_ROWS: usize = 6;
/// Rows of a task, at most: with their part of the sum they stay in the second-level cache.
const MAX_ROWS: usize = 96;
/// Terms of a sum whose panel stays in the first-level cache.
const BAND: usize = 256;

/// `x` `[rows, inputs]` · `w` `[inputs, outputs]` + `bias` `[outputs]`, negative results set to zero with `relu`.
pub(crate) fn forward(sizes: Sizes, x: &[f32], w: &[f32], bias: Option<&[f32]>, relu: bool) -> Vec<f32> {
    let Sizes { rows, inputs, outputs } = sizes;
    let right = Panels::of_rows(w, inputs, outputs);
    product(Left::Rows(x), rows, &right, bias, relu)
}

/// `g` `[rows, outputs]` · `w`ᵀ: `[rows, inputs]`.
pub(crate) fn input_gradient(sizes: Sizes, g: &[f32], w: &[f32]) -> Vec<f32> {
    let Sizes { rows, inputs, outputs } = sizes;
    let right = Panels::of_columns(w, outputs, inputs);
    product(Left::Rows(g), rows, &right, None, false)
}

/// `x`ᵀ · `g`: `[inputs, outputs]`.
pub(crate) fn weight_gradient(sizes: Sizes, x: &[f32], g: &[f32]) -> Vec<f32> {
    let Sizes { rows, inputs, outputs } = sizes;
    let right = Panels::of_rows(g, rows, outputs);
    product(Left::Columns(x), inputs, &right, None, false)
}

/// The right factor, `depth` × `columns`, in panels `[depth, width]`, the last filled up with zeros to whole vectors.
struct Panels {
    level: Level,
    depth: usize,
    columns: usize,
    values: Scratch,
}

impl Panels {
    /// From rows of `columns` values.
    fn of_rows(values: &[f32], depth: usize, columns: usize) -> Self {
        assert_eq!(values.len(), depth * columns);
        Self::laid_out(depth, columns, |_, start, count, width, panel| {
            for (to, from) in panel.chunks_exact_mut(width).zip(values.chunks_exact(columns)) {
                copy(&from[start..start + count], to);
                to[count..].fill(0.0);
            }
        })
    }

    /// From `columns` columns, each of `depth` values in a row.
    fn of_columns(values: &[f32], depth: usize, columns: usize) -> Self {
        assert_eq!(values.len(), depth * columns);
        Self::laid_out(depth, columns, |level, start, count, width, panel| {
            let from = &values[start * depth..(start + count) * depth];
            columns::transpose(level, from, None, depth, count, width, panel);
        })
    }

    /// `fill(level, start, count, width, panel)` writes `count` columns from `start` and zeros up to `width`.
    fn laid_out(
        depth: usize,
        columns: usize,
        fill: impl Fn(Level, usize, usize, usize, &mut [f32]) + Sync,
    ) -> Self {
        let level = Level::current();
        let full = outer::panel_vectors(level) * level.lanes();
        let mut values = Scratch::take(depth * columns.next_multiple_of(level.lanes()));
        values.par_chunks_mut((depth * full).max(1)).enumerate().for_each(|(panel, values)| {
            let start = panel * full;
            fill(level, start, full.min(columns - start), values.len() / depth, values);
        });
        Self { level, depth, columns, values }
    }

    /// Columns of a full panel.
    fn full(&self) -> usize {
        outer::panel_vectors(self.level) * self.level.lanes()
    }
}

/// The left factor.
#[derive(Clone, Copy)]
enum Left<'a> {
    /// As its rows lie in memory.
    Rows(&'a [f32]),
    /// As its columns lie in memory.
    Columns(&'a [f32]),
}

/// `[rows, right.columns]`.
fn product(left: Left<'_>, rows: usize, right: &Panels, bias: Option<&[f32]>, relu: bool) -> Vec<f32> {
    let (depth, columns) = (right.depth, right.columns);
    let (Left::Rows(values) | Left::Columns(values)) = left;
    assert_eq!(values.len(), rows * depth);
    assert!(bias.is_none_or(|bias| bias.len() == columns && depth > 0));
    let mut results = filled(rows * columns);
    if results.is_empty() {
        return results;
    }
    let task_rows = rows.div_ceil(rayon::current_num_threads()).clamp(MIN_ROWS, MAX_ROWS);
    results.par_chunks_mut(task_rows * columns).enumerate().for_each(|(task, results)| {
        let (start, count) = (task * task_rows, results.len() / columns);
        match left {
            Left::Rows(values) => {
                let source = &values[start * depth..(start + count) * depth];
                let part = Part { source, count, row_stride: depth, term_stride: 1 };
                part.times(right, bias, relu, results);
            }
            Left::Columns(values) => {
                let mut source = Scratch::take(count * depth);
                for (to, from) in source.chunks_exact_mut(count).zip(values.chunks_exact(rows)) {
                    to.copy_from_slice(&from[start..start + count]);
                }
                let part = Part { source: &source, count, row_stride: 1, term_stride: count };
                part.times(right, bias, relu, results);
            }
        }
    });
    results
}

/// A short row: a call of `memcpy` would take longer.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    let ((from, from_rest), (to, to_rest)) = (from.as_chunks::<8>(), to.as_chunks_mut::<8>());
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    let to_rest = to[from.len()..].as_flattened_mut().iter_mut().chain(to_rest);
    to_rest.zip(from_rest).for_each(|(to, from)| *to = *from);
}

/// Some rows of the left factor.
struct Part<'a> {
    source: &'a [f32],
    count: usize,
    row_stride: usize,
    term_stride: usize,
}

impl Part<'_> {
    fn times(&self, right: &Panels, bias: Option<&[f32]>, relu: bool, results: &mut [f32]) {
        let (level, depth, columns, full) = (right.level, right.depth, right.columns, right.full());
        let table = |count: usize, stride: usize| -> Vec<u32> {
            (0..count)
                .map(|index| u32::try_from(index * stride).expect("a task's part of the factor is small"))
                .collect()
        };
        let (offsets, positions) = (table(self.count, self.row_stride), table(depth, self.term_stride));
        let mut sums = Scratch::take(self.count * full);
        for (panel, right) in right.values.chunks((depth * full).max(1)).enumerate() {
            let start = panel * full;
            let count = full.min(columns - start);
            let width = count.next_multiple_of(level.lanes());
            let sums = &mut sums[..self.count * width];
            sums.fill(0.0);
            for (positions, right) in positions.chunks(BAND).zip(right.chunks(BAND * width)) {
                let sum = Sum {
                    source: self.source,
                    offsets: &offsets,
                    positions,
                    right,
                    vectors: width / level.lanes(),
                };
                outer::add(level, &sum, sums);
            }
            for (to, sums) in results.chunks_exact_mut(columns).zip(sums.chunks_exact(width)) {
                let to = &mut to[start..start + count];
                match bias {
                    Some(bias) => {
                        for ((to, sum), bias) in to.iter_mut().zip(sums).zip(&bias[start..]) {
                            *to = sum + bias;
                        }
                    }
                    None => copy(&sums[..count], to),
                }
                if relu {
                    to.iter_mut().for_each(|value| *value = crate::pointwise::floor_at(*value, 0.0));
                }
            }
        }
    }
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
