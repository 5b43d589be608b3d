//! The products of a layer with few outputs (a classifier), whose width would fill half a register in an
//! ordinary matrix product: here the vectors lie along the inputs, so that no lane is empty.
//!
//! ```text
//! scores[b, c] = Σ_k x[b, k] w[k, c] + bias[c]
//! dw[k, c]     = Σ_b x[b, k] g[b, c]
//! dx[b, k]     = Σ_c g[b, c] w[k, c]
//! ```
//!
//! Rows are worked on in chunks of [`ROWS`], whose part of x stays in the second-level cache; each chunk is a task. The
//! sums over rows add the chunks in order, so the bits do not depend on the number of threads.

use rayon::prelude::*;

use crate::buffer::filled;
use crate::lanes::{Lanes, multiversion};

/// Outputs up to which these kernels are faster than a blocked matrix product.
pub(crate) const MAX_OUTPUTS: usize = 32;
/// Rows of a chunk: 64 rows of 784 values are 200 KiB.
const ROWS: usize = 64;
/// Multiply-adds below which a task is not worth handing to another thread.
const PARALLEL_FROM: usize = 1 << 18;

/// Sizes of the product: `x` is `[rows, inputs]`, `w` `[inputs, outputs]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) rows: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

impl Sizes {
    fn parallel(&self) -> bool {
        self.rows > ROWS && self.rows * self.inputs * self.outputs >= PARALLEL_FROM
    }
}

/// `x` `[rows, inputs]` · `w` `[inputs, outputs]` + `bias` `[outputs]`.
pub(crate) fn forward(wide: bool, sizes: Sizes, x: &[f32], w: &[f32], bias: &[f32]) -> Vec<f32> {
    let Sizes { rows, inputs, outputs } = sizes;
    assert_eq!([x.len(), w.len(), bias.len()], [rows * inputs, inputs * outputs, outputs]);
    let transposed = transpose(w, inputs, outputs);
    let mut scores = filled(rows * outputs);
    if scores.is_empty() {
        return scores;
    }
    let task = |(chunk, scores): (usize, &mut [f32])| {
        let rows = scores.len() / outputs;
        let x = &x[chunk * ROWS * inputs..][..rows * inputs];
        forward_on(wide, inputs, outputs, x, &transposed, bias, scores);
    };
    if sizes.parallel() {
        scores.par_chunks_mut(ROWS * outputs).enumerate().for_each(task);
    } else {
        scores.chunks_mut(ROWS * outputs).enumerate().for_each(task);
    }
    scores
}

/// The gradient of the weights, `[inputs, outputs]`, from `x` and `g` `[rows, outputs]`.
pub(crate) fn weight_gradient(wide: bool, sizes: Sizes, x: &[f32], g: &[f32]) -> Vec<f32> {
    let Sizes { rows, inputs, outputs } = sizes;
    assert_eq!([x.len(), g.len()], [rows * inputs, rows * outputs]);
    let mut parts = filled(rows.div_ceil(ROWS).max(1) * outputs * inputs);
    if rows * inputs * outputs == 0 {
        return vec![0.0; inputs * outputs];
    }
    let task = |((part, x), g): ((&mut [f32], &[f32]), &[f32])| {
        weight_gradient_on(wide, inputs, outputs, x, g, part);
    };
    if sizes.parallel() {
        let x = x.par_chunks(ROWS * inputs);
        parts.par_chunks_mut(outputs * inputs).zip(x).zip(g.par_chunks(ROWS * outputs)).for_each(task);
    } else {
        let x = x.chunks(ROWS * inputs);
        parts.chunks_mut(outputs * inputs).zip(x).zip(g.chunks(ROWS * outputs)).for_each(task);
    }
    let (sum, rest) = parts.split_at_mut(outputs * inputs);
    for part in rest.chunks(outputs * inputs) {
        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    transpose(sum, outputs, inputs)
}

/// The gradient of the input, `[rows, inputs]`.
pub(crate) fn input_gradient(wide: bool, sizes: Sizes, g: &[f32], w: &[f32]) -> Vec<f32> {
    let Sizes { rows, inputs, outputs } = sizes;
    assert_eq!([g.len(), w.len()], [rows * outputs, inputs * outputs]);
    let transposed = transpose(w, inputs, outputs);
    let mut gradient = filled(rows * inputs);
    if gradient.is_empty() || outputs == 0 {
        return vec![0.0; rows * inputs];
    }
    let task = |(gradient, g): (&mut [f32], &[f32])| {
        input_gradient_on(wide, inputs, outputs, g, &transposed, gradient);
    };
    if sizes.parallel() {
        gradient.par_chunks_mut(ROWS * inputs).zip(g.par_chunks(ROWS * outputs)).for_each(task);
    } else {
        gradient.chunks_mut(ROWS * inputs).zip(g.chunks(ROWS * outputs)).for_each(task);
    }
    gradient
}

/// The sum of the rows of `g` `[rows, outputs]`: the gradient of a bias.
pub(crate) fn column_sums(outputs: usize, g: &[f32]) -> Vec<f32> {
    if outputs == 0 {
        return Vec::new();
    }
    // Chunks first, so that the error grows with the square root of the rows at worst.
    let chunk_sums = |chunk: &[f32]| {
        let mut part = vec![0.0; outputs];
        for row in chunk.chunks_exact(outputs) {
            part.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        part
    };
    let parts: Vec<Vec<f32>> = if g.len() >= PARALLEL_FROM {
        g.par_chunks(ROWS * outputs).map(chunk_sums).collect()
    } else {
        g.chunks(ROWS * outputs).map(chunk_sums).collect()
    };
    let mut sums = vec![0.0; outputs];
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    sums
}

/// `[rows, columns]` to `[columns, rows]`.
fn transpose(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut transposed = filled(rows * columns);
    if rows * columns > 0 {
        if rows < columns {
            for (r, row) in matrix.chunks_exact(columns).enumerate() {
                transposed[r..].iter_mut().step_by(rows).zip(row).for_each(|(to, from)| *to = *from);
            }
        } else {
            for (c, column) in transposed.chunks_exact_mut(rows).enumerate() {
                column.iter_mut().zip(matrix[c..].iter().step_by(columns)).for_each(|(to, from)| *to = *from);
            }
        }
    }
    transposed
}

/// Runs `$tile::<V, C>` for a run-time `$count` of 1 to 5.
macro_rules! by_columns {
    ($count:expr, $tile:ident::<$($generic:tt),*>($($arg:expr),* $(,)?)) => {
        match $count {
            1 => $tile::<$($generic,)* 1>($($arg),*),
            2 => $tile::<$($generic,)* 2>($($arg),*),
            3 => $tile::<$($generic,)* 3>($($arg),*),
            4 => $tile::<$($generic,)* 4>($($arg),*),
            _ => $tile::<$($generic,)* 5>($($arg),*),
        }
    };
}

/// Splits `outputs` into tiles of at most five of nearly equal size.
fn tiles(outputs: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = outputs.div_ceil(5);
    (0..count).map(move |tile| {
        let start = tile * outputs / count;
        (start, (tile + 1) * outputs / count - start)
    })
}

multiversion!(forward_on => forward_chunk(
    inputs: usize, outputs: usize, x: &[f32], w: &[f32], bias: &[f32], scores: &mut [f32]));

/// One chunk: `x` `[rows, inputs]`, `w` `[outputs, inputs]`, `scores` `[rows, outputs]`.
#[inline(always)]
fn forward_chunk<V: Lanes>(
    inputs: usize,
    outputs: usize,
    x: &[f32],
    w: &[f32],
    bias: &[f32],
    scores: &mut [f32],
) {
    for (start, count) in tiles(outputs) {
        let w = &w[start * inputs..][..count * inputs];
        let mut row = 0;
        let rows = scores.len() / outputs;
        while row < rows {
            let pair = (rows - row).min(2);
            let x = &x[row * inputs..][..pair * inputs];
            let to = &mut scores[row * outputs + start..];
            if pair == 2 {
                by_columns!(count, dots::<V, 2>(inputs, outputs, x, w, &bias[start..], to));
            } else {
                by_columns!(count, dots::<V, 1>(inputs, outputs, x, w, &bias[start..], to));
            }
            row += pair;
        }
    }
}

/// The products of R rows of x with C rows of w.
#[inline(always)]
fn dots<V: Lanes, const R: usize, const C: usize>(
    inputs: usize,
    outputs: usize,
    x: &[f32],
    w: &[f32],
    bias: &[f32],
    scores: &mut [f32],
) {
    let mut sums = [[V::splat(0.0); C]; R];
    let x: [&[f32]; R] = std::array::from_fn(|r| &x[r * inputs..][..inputs]);
    let w: [&[f32]; C] = std::array::from_fn(|c| &w[c * inputs..][..inputs]);
    let whole = inputs / 8 * 8;
    let mut k = 0;
    while k < whole {
        // A loop, and not `from_fn`: its closure has not the features of this function, so that the load would be a call.
        let mut vectors = [V::splat(0.0); R];
        for r in 0..R {
            // SAFETY: all rows hold `inputs` values, and k + 8 ≤ whole ≤ inputs.
            vectors[r] = unsafe { V::load_at(x[r], k) };
        }
        for c in 0..C {
            // SAFETY: as above.
            let w = unsafe { V::load_at(w[c], k) };
            for r in 0..R {
                sums[r][c] = vectors[r].mul_add(w, sums[r][c]);
            }
        }
        k += 8;
    }
    for r in 0..R {
        for c in 0..C {
            let rest: f32 = x[r][whole..].iter().zip(&w[c][whole..]).map(|(x, w)| x * w).sum();
            scores[r * outputs + c] = sums[r][c].sum() + rest + bias[c];
        }
    }
}

multiversion!(weight_gradient_on => weight_gradient_chunk(
    inputs: usize, outputs: usize, x: &[f32], g: &[f32], part: &mut [f32]));

/// One chunk: `x` `[rows, inputs]`, `g` `[rows, outputs]`, `part` `[outputs, inputs]`.
#[inline(always)]
fn weight_gradient_chunk<V: Lanes>(inputs: usize, outputs: usize, x: &[f32], g: &[f32], part: &mut [f32]) {
    let whole = inputs / 16 * 16;
    let mut k = 0;
    while k < whole {
        for (start, count) in tiles(outputs) {
            let to = &mut part[start * inputs + k..];
            by_columns!(count, outer::<V>(inputs, outputs, &x[k..], &g[start..], to));
        }
        k += 16;
    }
    for k in whole..inputs {
        for c in 0..outputs {
            let column = x[k..].iter().step_by(inputs);
            part[c * inputs + k] = column.zip(g[c..].iter().step_by(outputs)).map(|(x, g)| x * g).sum();
        }
    }
}

/// Sixteen columns of x times C columns of g, summed over the rows.
#[inline(always)]
fn outer<V: Lanes, const C: usize>(inputs: usize, outputs: usize, x: &[f32], g: &[f32], to: &mut [f32]) {
    let mut sums = [[V::splat(0.0); 2]; C];
    let rows = g.len().div_ceil(outputs);
    assert!(x.len() >= (rows - 1) * inputs + 16 && g.len() >= (rows - 1) * outputs + C);
    for row in 0..rows {
        // SAFETY: row < rows, and the lengths are checked above.
        let (x, g) = unsafe {
            let x = x.get_unchecked(row * inputs..row * inputs + 16);
            ([V::load_at(x, 0), V::load_at(x, 8)], g.get_unchecked(row * outputs..row * outputs + C))
        };
        for c in 0..C {
            let g = V::splat(g[c]);
            sums[c] = [x[0].mul_add(g, sums[c][0]), x[1].mul_add(g, sums[c][1])];
        }
    }
    for c in 0..C {
        sums[c][0].store(&mut to[c * inputs..][..8]);
        sums[c][1].store(&mut to[c * inputs + 8..][..8]);
    }
}

multiversion!(input_gradient_on => input_gradient_chunk(
    inputs: usize, outputs: usize, g: &[f32], w: &[f32], gradient: &mut [f32]));

/// One chunk: `g` `[rows, outputs]`, `w` `[outputs, inputs]`, `gradient` `[rows, inputs]`.
#[inline(always)]
fn input_gradient_chunk<V: Lanes>(inputs: usize, outputs: usize, g: &[f32], w: &[f32], gradient: &mut [f32]) {
    let whole = inputs / 8 * 8;
    let (gradient, last) = gradient.split_at_mut(gradient.len() / (4 * inputs) * 4 * inputs);
    let (g, last_g) = g.split_at(gradient.len() / inputs * outputs);
    for (gradient, g) in gradient.chunks_mut(4 * inputs).zip(g.chunks(4 * outputs)) {
        rows_of_input_gradient::<V, 4>(inputs, whole, g, w, gradient);
    }
    for (gradient, g) in last.chunks_mut(inputs).zip(last_g.chunks(outputs)) {
        rows_of_input_gradient::<V, 1>(inputs, whole, g, w, gradient);
    }
}

#[inline(always)]
fn rows_of_input_gradient<V: Lanes, const R: usize>(
    inputs: usize,
    whole: usize,
    g: &[f32],
    w: &[f32],
    gradient: &mut [f32],
) {
    let outputs = g.len() / R;
    let mut k = 0;
    while k < whole {
        let mut sums = [V::splat(0.0); R];
        for (c, w) in w.chunks(inputs).enumerate() {
            let w = V::load(&w[k..k + 8]);
            for r in 0..R {
                sums[r] = V::splat(g[r * outputs + c]).mul_add(w, sums[r]);
            }
        }
        for r in 0..R {
            sums[r].store(&mut gradient[r * inputs + k..][..8]);
        }
        k += 8;
    }
    for k in whole..inputs {
        for r in 0..R {
            let g = &g[r * outputs..][..outputs];
            gradient[r * inputs + k] = g.iter().zip(w[k..].iter().step_by(inputs)).map(|(g, w)| g * w).sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, oracle_product, random};

    #[test]
    fn products_are_those_of_a_plain_oracle_in_odd_shapes_and_both_forms() {
        let sizes =
            [(1, 1, 1), (3, 7, 2), (2, 8, 5), (65, 17, 3), (130, 100, 10), (64, 33, 32), (7, 784, 11)];
        for (rows, inputs, outputs) in sizes {
            let sizes = Sizes { rows, inputs, outputs };
            let (x, w) = (random(1, rows * inputs), random(2, inputs * outputs));
            let (bias, g) = (random(3, outputs), random(4, rows * outputs));
            for wide in [false, true] {
                let mut scores = oracle_product(
                    [rows, inputs, outputs],
                    |b, k| x[b * inputs + k],
                    |k, c| w[k * outputs + c],
                );
                scores.iter_mut().enumerate().for_each(|(i, score)| *score += f64::from(bias[i % outputs]));
                close(&forward(wide, sizes, &x, &w, &bias), &scores, 1e-5);
                let dw = oracle_product(
                    [inputs, rows, outputs],
                    |k, b| x[b * inputs + k],
                    |b, c| g[b * outputs + c],
                );
                close(&weight_gradient(wide, sizes, &x, &g), &dw, 1e-5);
                let dx = oracle_product(
                    [rows, outputs, inputs],
                    |b, c| g[b * outputs + c],
                    |c, k| w[k * outputs + c],
                );
                close(&input_gradient(wide, sizes, &g, &w), &dx, 1e-5);
                let db = oracle_product([1, rows, outputs], |_, _| 1.0, |b, c| g[b * outputs + c]);
                close(&column_sums(outputs, &g), &db, 1e-5);
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let sizes = Sizes { rows: 300, inputs: 784, outputs: 10 };
        let (x, w, g) = (random(1, 300 * 784), random(2, 7840), random(3, 3000));
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                [
                    forward(true, sizes, &x, &w, &[0.5; 10]),
                    weight_gradient(true, sizes, &x, &g),
                    input_gradient(true, sizes, &g, &w),
                ]
            })
        };
        assert_eq!(run(1), run(2));
    }

    #[test]
    fn empty_batches_give_empty_products_and_gradients_of_zero() {
        let sizes = Sizes { rows: 0, inputs: 3, outputs: 2 };
        assert!(forward(true, sizes, &[], &[0.0; 6], &[0.0; 2]).is_empty());
        assert_eq!(weight_gradient(true, sizes, &[], &[]), [0.0; 6]);
        assert!(input_gradient(true, sizes, &[], &[0.0; 6]).is_empty());
    }
}
