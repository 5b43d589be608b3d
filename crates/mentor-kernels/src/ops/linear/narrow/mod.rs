//! The products of a layer with few outputs (a classifier), whose width would fill half a register in an
//! ordinary matrix product: here the vectors lie along the inputs, so that no lane is empty.
//!
//! ```text
//! scores[b, c] = Σ_k x[b, k] w[k, c] + bias[c]
//! dw[k, c]     = Σ_b x[b, k] g[b, c]
//! dx[b, k]     = Σ_c g[b, c] w[k, c]
//! ```
//!
//! A task has some rows of the result, or some inputs for `dw`, and every sum in it is taken whole, so the
//! bits do not depend on the number of threads.

mod input_gradient;
mod layout;
mod scores;
mod weight_gradient;

use crate::host::buffer::filled;
use crate::simd::{Level, with_simd};
use input_gradient::gradient_of_rows;
use layout::{Columns, MAX_LANES, ROWS, STRIP};
pub(crate) use layout::{MAX_OUTPUTS, Sizes};
use scores::scores_of_rows;
use weight_gradient::gradient_of_strip;

/// `x` `[rows, inputs]` · `w` `[inputs, outputs]` + `bias` `[outputs]`.
pub(crate) fn forward(sizes: Sizes, x: &[f32], w: &[f32], bias: &[f32]) -> Vec<f32> {
    let Sizes { rows, inputs, outputs } = sizes;
    assert_eq!([x.len(), w.len(), bias.len()], [rows * inputs, inputs * outputs, outputs]);
    let mut scores = filled(rows * outputs);
    if sizes.is_empty() {
        scores.chunks_mut(outputs.max(1)).for_each(|row| row.copy_from_slice(bias));
        return scores;
    }
    let w = Columns::of(w, sizes);
    sizes.for_each_part(&mut scores, ROWS * outputs, |part, scores| {
        let rows = scores.len() / outputs;
        let x = &x[part * ROWS * inputs..][..rows * inputs];
        let w = &w;
        // SAFETY: the machine has the level, and the slices hold `rows` rows.
        unsafe {
            with_simd!(
                w.level,
                scores_of_rows(rows: usize, x: &[f32], w: &Columns, bias: &[f32], scores: &mut [f32])
            )
        }
    });
    scores
}

/// The gradient of the weights, `[inputs, outputs]`, from `x` and `g` `[rows, outputs]`.
pub(crate) fn weight_gradient(sizes: Sizes, x: &[f32], g: &[f32]) -> Vec<f32> {
    let Sizes { rows, inputs, outputs } = sizes;
    assert_eq!([x.len(), g.len()], [rows * inputs, rows * outputs]);
    let level = Level::current();
    let mut gradient = filled(inputs * outputs);
    if sizes.is_empty() {
        return gradient;
    }
    sizes.for_each_part(&mut gradient, STRIP * outputs, |part, gradient| {
        let start = part * STRIP;
        // SAFETY: the machine has the level, and the strip lies within the inputs.
        unsafe {
            with_simd!(
                level,
                gradient_of_strip(sizes: Sizes, start: usize, x: &[f32], g: &[f32], gradient: &mut [f32])
            )
        }
    });
    gradient
}

/// The gradient of the input, `[rows, inputs]`.
pub(crate) fn input_gradient(sizes: Sizes, g: &[f32], w: &[f32]) -> Vec<f32> {
    let Sizes { rows, inputs, outputs } = sizes;
    assert_eq!([g.len(), w.len()], [rows * outputs, inputs * outputs]);
    let mut gradient = filled(rows * inputs);
    if sizes.is_empty() {
        return gradient;
    }
    let w = Columns::of(w, sizes);
    sizes.for_each_part(&mut gradient, ROWS * inputs, |part, gradient| {
        let rows = gradient.len() / inputs;
        let g = &g[part * ROWS * outputs..][..rows * outputs];
        let w = &w;
        // SAFETY: the machine has the level, and the slices hold `rows` rows.
        unsafe {
            with_simd!(w.level, gradient_of_rows(rows: usize, g: &[f32], w: &Columns, gradient: &mut [f32]))
        }
    });
    gradient
}

/// The sum of the rows of `g` `[rows, outputs]`: the gradient of a bias.
pub(crate) fn column_sums(outputs: usize, g: &[f32]) -> Vec<f32> {
    // Sixteen rows side by side are one long row, whose sums the compiler turns into vectors.
    let mut sums = vec![0.0; MAX_LANES * outputs];
    // Blocks first, so that the error grows with the square root of the rows at worst.
    for block in g.chunks((ROWS * outputs).max(1)) {
        let mut part = vec![0.0; sums.len()];
        for rows in block.chunks(part.len()) {
            part.iter_mut().zip(rows).for_each(|(sum, value)| *sum += value);
        }
        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    let (total, others) = sums.split_at_mut(outputs);
    for row in others.chunks_exact(outputs.max(1)) {
        total.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    sums.truncate(outputs);
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::with_level;
    use crate::testing::{close, oracle_product, random};

    #[test]
    fn products_are_those_of_a_plain_oracle_in_odd_shapes_on_every_level() {
        let sizes =
            [(1, 1, 1), (3, 7, 2), (2, 8, 5), (65, 17, 3), (130, 100, 10), (64, 33, 32), (7, 784, 11)];
        for (rows, inputs, outputs) in sizes {
            let sizes = Sizes { rows, inputs, outputs };
            let (x, w) = (random(1, rows * inputs), random(2, inputs * outputs));
            let (bias, g) = (random(3, outputs), random(4, rows * outputs));
            let mut scores =
                oracle_product([rows, inputs, outputs], |b, k| x[b * inputs + k], |k, c| w[k * outputs + c]);
            scores.iter_mut().enumerate().for_each(|(i, score)| *score += f64::from(bias[i % outputs]));
            let dw =
                oracle_product([inputs, rows, outputs], |k, b| x[b * inputs + k], |b, c| g[b * outputs + c]);
            let dx =
                oracle_product([rows, outputs, inputs], |b, c| g[b * outputs + c], |c, k| w[k * outputs + c]);
            let db = oracle_product([1, rows, outputs], |_, _| 1.0, |b, c| g[b * outputs + c]);
            for level in Level::available() {
                with_level(level, || {
                    close(&forward(sizes, &x, &w, &bias), &scores, 1e-5);
                    close(&weight_gradient(sizes, &x, &g), &dw, 1e-5);
                    close(&input_gradient(sizes, &g, &w), &dx, 1e-5);
                    close(&column_sums(outputs, &g), &db, 1e-5);
                });
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        let sizes = Sizes { rows: 300, inputs: 790, outputs: 10 };
        let (x, w, g) = (random(1, 300 * 790), random(2, 7900), random(3, 3000));
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let scores = forward(sizes, &x, &w, &[0.5; 10]);
                [scores, weight_gradient(sizes, &x, &g), input_gradient(sizes, &g, &w)]
            })
        };
        assert_eq!(run(1), run(2));
    }

    #[test]
    fn a_row_has_the_same_bits_whatever_is_beside_it() {
        let (x, w) = (random(1, 70 * 50), random(2, 500));
        let of =
            |rows: usize| forward(Sizes { rows, inputs: 50, outputs: 10 }, &x[..rows * 50], &w, &[0.5; 10]);
        let all = of(70);
        for rows in [1, 2, 3, 7, 65] {
            assert_eq!(of(rows), all[..rows * 10]);
        }
    }

    #[test]
    fn empty_batches_give_empty_products_and_gradients_of_zero() {
        let sizes = Sizes { rows: 0, inputs: 3, outputs: 2 };
        assert!(forward(sizes, &[], &[0.0; 6], &[0.0; 2]).is_empty());
        assert_eq!(weight_gradient(sizes, &[], &[]), [0.0; 6]);
        assert!(input_gradient(sizes, &[], &[0.0; 6]).is_empty());
        let sizes = Sizes { rows: 2, inputs: 0, outputs: 2 };
        assert_eq!(forward(sizes, &[], &[], &[3.0, 4.0]), [3.0, 4.0, 3.0, 4.0]);
    }
}
