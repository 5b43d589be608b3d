//! The convolution kernels against their equations in `f64`, on every level that the machine has.

use mentor_kernels::conv::{
    ConvShape, conv2d_bias_gradient, conv2d_forward, conv2d_input_gradient, conv2d_weight_gradient,
};
use mentor_kernels::simd::{Level, with_level};
use proptest::prelude::*;

/// Batch, channels in, height, width, channels out, kernel height and width, stride, padding, dilation.
const SHAPES: [[usize; 10]; 29] = [
    [2, 1, 5, 5, 1, 3, 3, 1, 1, 1],
    [3, 3, 7, 9, 17, 3, 3, 1, 1, 1],
    [1, 17, 6, 11, 3, 3, 3, 1, 0, 1],
    [2, 17, 8, 8, 17, 3, 3, 1, 1, 1],
    [9, 4, 14, 14, 8, 3, 3, 1, 1, 1],
    [2, 3, 28, 28, 5, 5, 5, 1, 2, 1],
    [2, 2, 13, 33, 6, 3, 3, 1, 1, 1],
    // Stride 2 and 3, even and odd sizes.
    [3, 3, 16, 16, 17, 3, 3, 2, 1, 1],
    [2, 5, 15, 17, 4, 3, 3, 2, 1, 1],
    [2, 3, 9, 9, 7, 3, 3, 2, 0, 1],
    [2, 3, 11, 10, 7, 5, 3, 3, 2, 1],
    [1, 2, 9, 12, 3, 2, 4, 4, 1, 1],
    // 1 × 1.
    [3, 5, 4, 4, 6, 1, 1, 1, 0, 1],
    [2, 5, 9, 8, 7, 1, 1, 2, 0, 1],
    [2, 3, 3, 3, 2, 1, 1, 3, 2, 1],
    // Dilation.
    [2, 3, 12, 13, 4, 3, 3, 1, 2, 2],
    [2, 3, 12, 13, 4, 3, 3, 2, 2, 2],
    [1, 2, 14, 9, 3, 3, 2, 2, 1, 3],
    // Kernels that are not square, kernels as large as the image, and more padding than kernel.
    [2, 3, 6, 7, 5, 1, 5, 1, 2, 1],
    [2, 3, 4, 4, 9, 4, 4, 1, 0, 1],
    [1, 1, 1, 1, 1, 3, 3, 1, 1, 1],
    [2, 2, 3, 2, 3, 2, 2, 1, 3, 1],
    // More panels of weights, and more positions, than a block holds.
    [1, 70, 20, 20, 100, 3, 3, 1, 1, 1],
    // By tiles: bands that reach over images, rows shorter and longer than a vector, all paddings, odd
    // channels.
    [5, 16, 14, 14, 20, 3, 3, 1, 1, 1],
    [9, 12, 8, 8, 13, 3, 3, 1, 1, 1],
    [2, 33, 4, 4, 12, 3, 3, 1, 1, 1],
    [2, 13, 6, 40, 16, 3, 3, 1, 0, 1],
    [2, 16, 10, 6, 17, 3, 3, 1, 2, 1],
    [1, 12, 36, 48, 12, 3, 3, 1, 1, 1],
];

fn shape(
    [batch, in_channels, height, width, out_channels, kh, kw, stride, padding, dilation]: [usize; 10],
) -> ConvShape {
    ConvShape { batch, in_channels, height, width, out_channels, kernel: [kh, kw], stride, padding, dilation }
}

/// Values in −1 to 1.
fn values(stream: u64, count: usize) -> Vec<f32> {
    let mut state = stream.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A sum and the sum of its terms' sizes, by which the rounding error is bounded.
#[derive(Clone, Copy, Default)]
struct Term {
    sum: f64,
    size: f64,
}

impl Term {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.size += value.abs();
    }
}

/// The equations: y without bias, dx, dw and db.
struct Oracle {
    y: Vec<Term>,
    dx: Vec<Term>,
    dw: Vec<Term>,
    db: Vec<Term>,
}

fn oracle(shape: &ConvShape, x: &[f32], w: &[f32], dy: &[f32]) -> Oracle {
    let ConvShape { batch, in_channels, height, width, out_channels, kernel: [kh, kw], .. } = *shape;
    let (out_height, out_width) = (shape.out_height(), shape.out_width());
    let zeros = |count| vec![Term::default(); count];
    let mut all =
        Oracle { y: zeros(dy.len()), dx: zeros(x.len()), dw: zeros(w.len()), db: zeros(out_channels) };
    for b in 0..batch {
        for o in 0..out_channels {
            for i in 0..out_height {
                for j in 0..out_width {
                    let at_y = ((b * out_channels + o) * out_height + i) * out_width + j;
                    let dy = f64::from(dy[at_y]);
                    all.db[o].add(dy);
                    for c in 0..in_channels {
                        for p in 0..kh {
                            for q in 0..kw {
                                let row = (i * shape.stride + p * shape.dilation).wrapping_sub(shape.padding);
                                let column =
                                    (j * shape.stride + q * shape.dilation).wrapping_sub(shape.padding);
                                if row < height && column < width {
                                    let at_x = ((b * in_channels + c) * height + row) * width + column;
                                    let at_w = ((o * in_channels + c) * kh + p) * kw + q;
                                    let (x, w) = (f64::from(x[at_x]), f64::from(w[at_w]));
                                    all.y[at_y].add(x * w);
                                    all.dx[at_x].add(w * dy);
                                    all.dw[at_w].add(x * dy);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    all
}

/// Each value within 4e-6 of the sum of its terms' sizes; by tiles, whose errors come from the neighbours
/// too, of the largest such sum.
#[track_caller]
fn close(what: &str, shape: &ConvShape, found: &[f32], expected: &[Term]) {
    assert_eq!(found.len(), expected.len());
    let by_tiles =
        shape.kernel == [3, 3] && shape.stride == 1 && shape.in_channels.min(shape.out_channels) >= 12;
    let largest = expected.iter().fold(0.0, |largest: f64, term| largest.max(term.size));
    for (index, (&found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected.sum).abs();
        assert!(
            error <= 4e-6 * if by_tiles { largest } else { expected.size },
            "{what} at {index}: {found}, not {}: {shape:?}",
            expected.sum
        );
    }
}

/// All results of a shape: y, y with bias and ReLU, dx, dw, db; the last three also behind a ReLU.
fn results(shape: &ConvShape, x: &[f32], w: &[f32], bias: &[f32], dy: &[f32]) -> Vec<Vec<f32>> {
    let nothing = |count| vec![f32::NAN; count];
    let (mut plain, mut y) = (nothing(dy.len()), nothing(dy.len()));
    conv2d_forward(x, w, None, false, shape, &mut plain);
    conv2d_forward(x, w, Some(bias), true, shape, &mut y);
    let mut all = vec![plain, y.clone()];
    for relu in [None, Some(&y[..])] {
        let (mut dx, mut dw) = (nothing(x.len()), nothing(w.len()));
        let (mut fused, mut db) = (nothing(bias.len()), nothing(bias.len()));
        conv2d_input_gradient(dy, w, relu, shape, &mut dx);
        conv2d_weight_gradient(x, dy, relu, shape, &mut dw, Some(&mut fused));
        conv2d_bias_gradient(dy, relu, shape, &mut db);
        all.extend([dx, dw, fused, db]);
    }
    all
}

fn check(shape: &ConvShape, seed: u64) {
    let (x, w) = (values(seed, shape.input_len()), values(seed + 1, shape.weight_len()));
    let (bias, dy) = (values(seed + 2, shape.out_channels), values(seed + 3, shape.output_len()));
    let expected = oracle(shape, &x, &w, &dy);
    for level in Level::available() {
        let found = with_level(level, || results(shape, &x, &w, &bias, &dy));
        close("y", shape, &found[0], &expected.y);
        let positions = shape.out_height() * shape.out_width();
        for (index, (&y, &plain)) in found[1].iter().zip(&found[0]).enumerate() {
            assert_eq!(
                y,
                (plain + bias[index / positions % bias.len()]).max(0.0),
                "bias and ReLU: {shape:?}"
            );
        }
        let behind: Vec<f32> =
            dy.iter().zip(&found[1]).map(|(dy, y)| if *y > 0.0 { *dy } else { 0.0 }).collect();
        let masked = oracle(shape, &x, &w, &behind);
        for (found, expected) in [(&found[2..6], &expected), (&found[6..], &masked)] {
            close("dx", shape, &found[0], &expected.dx);
            close("dw", shape, &found[1], &expected.dw);
            close("db with dw", shape, &found[2], &expected.db);
            close("db", shape, &found[3], &expected.db);
        }
    }
}

#[test]
fn odd_shapes_agree_with_the_equations_on_every_level() {
    SHAPES.iter().enumerate().for_each(|(seed, sizes)| check(&shape(*sizes), seed as u64 * 10));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape_agrees_with_the_equations(
        batch in 1..4usize, channels in (1..8usize, 1..20usize), size in (1..19usize, 1..37usize),
        kernel in (1..6usize, 1..6usize), stride in 1..4usize, padding in 0..4usize, dilation in 1..4usize,
        seed in 0..1000u64,
    ) {
        let [(c, o), (h, w), (kh, kw)] = [channels, size, kernel];
        check(&shape([batch, c, h, w, o, kh, kw, stride, padding, dilation]), seed);
    }

    /// ⟨x ∗ w, dy⟩ = ⟨x, dx⟩ = ⟨w, dw⟩.
    #[test]
    fn gradients_are_the_adjoints_of_the_forward_pass(
        batch in 1..10usize, channels in (1..20usize, 1..20usize), size in (3..20usize, 3..20usize),
        kernel in 1..4usize, stride in 1..3usize, padding in 0..3usize, seed in 0..1000u64,
    ) {
        let (from, to) = channels;
        let shape = shape([batch, from, size.0, size.1, to, kernel, kernel, stride, padding, 1]);
        let (x, w) = (values(seed, shape.input_len()), values(seed + 1, shape.weight_len()));
        let (bias, dy) = (vec![0.0; shape.out_channels], values(seed + 3, shape.output_len()));
        let all = results(&shape, &x, &w, &bias, &dy);
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let size = all[0].iter().zip(&dy).map(|(y, dy)| f64::from(y * dy).abs()).sum::<f64>();
        let forward = dot(&all[0], &dy);
        prop_assert!((forward - dot(&x, &all[2])).abs() <= 1e-5 * (1.0 + size));
        prop_assert!((forward - dot(&w, &all[3])).abs() <= 1e-5 * (1.0 + size));
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads_or_the_run() {
    for sizes in [
        [37, 5, 9, 8, 18, 3, 3, 1, 1, 1],
        [26, 6, 14, 14, 20, 3, 3, 2, 1, 1],
        [5, 40, 30, 30, 8, 3, 3, 1, 1, 1],
        [21, 16, 14, 14, 20, 3, 3, 1, 1, 1],
    ] {
        let shape = shape(sizes);
        let (x, w) = (values(1, shape.input_len()), values(2, shape.weight_len()));
        let (bias, dy) = (values(3, shape.out_channels), values(4, shape.output_len()));
        let bits = |threads: usize| -> Vec<Vec<u32>> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let all = pool.install(|| results(&shape, &x, &w, &bias, &dy));
            all.iter().map(|values| values.iter().map(|value| value.to_bits()).collect()).collect()
        };
        let one = bits(1);
        for threads in [1, 2, 3] {
            assert!(bits(threads) == one, "{threads} threads: {shape:?}");
        }
    }
}

/// The statement about accuracy in the documentation of the tiles.
#[test]
fn tiles_are_no_further_off_than_the_direct_sum() {
    // The same image: with 3 × 3 kernels by tiles, and in the middle of 5 × 5 kernels as a direct sum.
    let tiles = shape([4, 64, 14, 14, 32, 3, 3, 1, 1, 1]);
    let direct = ConvShape { kernel: [5, 5], padding: 2, ..tiles };
    let (x, w) = (values(1, tiles.input_len()), values(2, tiles.weight_len()));
    let mut wide = vec![0.0; direct.weight_len()];
    for (kernel, w) in wide.chunks_exact_mut(25).zip(w.chunks_exact(9)) {
        (0..9).for_each(|i| kernel[(i / 3 + 1) * 5 + i % 3 + 1] = w[i]);
    }
    let expected = oracle(&tiles, &x, &w, &vec![0.0; tiles.output_len()]).y;
    let error = |shape: &ConvShape, w: &[f32]| {
        let mut y = vec![0.0; shape.output_len()];
        conv2d_forward(&x, w, None, false, shape, &mut y);
        let squares = y.iter().zip(&expected).map(|(y, expected)| (f64::from(*y) - expected.sum).powi(2));
        (squares.sum::<f64>() / expected.iter().map(|term| term.sum.powi(2)).sum::<f64>()).sqrt()
    };
    let (tiles, direct) = (error(&tiles, &w), error(&direct, &wide));
    println!("relative error (root mean square): {tiles:.2e} by tiles, {direct:.2e} directly");
    assert!(tiles < direct && tiles < 1e-6, "{tiles:e}, {direct:e}");
}

#[test]
fn a_value_that_is_not_a_number_stays_visible() {
    let shape = shape([1, 1, 4, 9, 1, 3, 3, 1, 1, 1]);
    let mut x = values(1, shape.input_len());
    x[20] = f32::NAN;
    let mut y = vec![0.0; shape.output_len()];
    for level in Level::available() {
        with_level(level, || conv2d_forward(&x, &values(2, 9), Some(&[0.5]), true, &shape, &mut y));
        // Row 2, column 2 reaches its neighbours and nobody else.
        for (index, value) in y.iter().enumerate() {
            let near = (1..=3).contains(&(index / 9)) && (1..=3).contains(&(index % 9));
            assert_eq!(value.is_nan(), near, "at {index}");
        }
    }
}

#[test]
fn empty_batches_and_images_smaller_than_the_kernel_give_zeros() {
    let empty = shape([0, 2, 5, 5, 3, 3, 3, 1, 1, 1]);
    let (mut dw, mut db) = ([1.0; 54], [1.0; 3]);
    conv2d_forward(&[], &[0.0; 54], None, false, &empty, &mut []);
    conv2d_input_gradient(&[], &[0.0; 54], None, &empty, &mut []);
    conv2d_weight_gradient(&[], &[], None, &empty, &mut dw, Some(&mut db));
    assert_eq!((dw, db), ([0.0; 54], [0.0; 3]));

    let small = shape([1, 2, 2, 2, 3, 3, 3, 1, 0, 1]);
    assert_eq!(small.output_len(), 0);
    let (mut dw, mut dx) = ([1.0; 54], [1.0; 8]);
    conv2d_weight_gradient(&[1.0; 8], &[], None, &small, &mut dw, None);
    conv2d_input_gradient(&[], &[1.0; 54], None, &small, &mut dx);
    assert_eq!((dw, dx), ([0.0; 54], [0.0; 8]));
}

#[test]
#[should_panic(expected = "sizes of a convolution are at least 1")]
fn a_stride_of_zero_is_refused() {
    conv2d_forward(&[0.0; 4], &[0.0], None, false, &shape([1, 1, 2, 2, 1, 1, 1, 0, 0, 1]), &mut [0.0; 4]);
}

#[test]
#[should_panic(expected = "left == right")]
fn slices_of_another_size_are_refused() {
    conv2d_forward(&[0.0; 5], &[0.0], None, false, &shape([1, 1, 2, 2, 1, 1, 1, 1, 0, 1]), &mut [0.0; 4]);
}
