//! Convolution in two dimensions on slices of `f32`: forward, and the gradients of the input, the weights and
//! the bias.
//!
//! ```text
//! y[b, o, i, j]  = bias[o] + Σ_{c,p,q} w[o, c, p, q] · x[b, c, s i + d p − padding, s j + d q − padding]
//! dx[b, c, h, v] = Σ_{o,p,q} w[o, c, p, q] · dy[b, o, i, j]
//!                  over s i + d p − padding = h, s j + d q − padding = v
//! dw[o, c, p, q] = Σ_{b,i,j} dy[b, o, i, j] · x[b, c, s i + d p − padding, s j + d q − padding]
//! db[o]          = Σ_{b,i,j} dy[b, o, i, j]
//! ```
//!
//! Images are `[batch, channels, height, width]`, weights
//! `[out_channels, in_channels, kernel height, kernel width]`, both contiguous; x is zero outside of the
//! image; s is the stride and d the dilation. One group.
//!
//! A task is a small group of images whose padded copy fits the second-level cache (`pad`). From that copy
//! the products read directly (`gemm`): no matrix of patches is built. How tasks are cut and the order of
//! every sum depend on the shape and the [`Level`] alone, so results have the same bits for any number of
//! threads.
//!
//! With `relu`, the stored output of a ReLU that followed the convolution, the gradients take dy as the
//! gradient after the ReLU: values where that output is not positive count as zero.

use rayon::prelude::*;

use crate::host::scratch::Scratch;
use crate::kernels::gemm::rows::{self, Product};
use crate::simd::Level;
use plan::{Pass, Plan};

pub(crate) mod columns;
mod pad;
mod plan;
mod shape;
mod weight_gradient;
mod winograd;

pub use shape::ConvShape;
pub use weight_gradient::{conv2d_bias_gradient, conv2d_weight_gradient};

/// y = x ∗ w + bias, and its ReLU if `relu`.
///
/// # Panics
///
/// If a length is not that of `shape`, or a kernel size, the stride or the dilation is zero.
pub fn conv2d_forward(
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    relu: bool,
    shape: &ConvShape,
    out: &mut [f32],
) {
    shape.assert_valid();
    assert_eq!([x.len(), w.len(), out.len()], [shape.input_len(), shape.weight_len(), shape.output_len()]);
    assert!(bias.is_none_or(|bias| bias.len() == shape.out_channels), "one bias for each output channel");
    if out.is_empty() {
        return;
    }
    let level = Level::current();
    if let Some(geometry) = winograd::Geometry::forward(level, shape) {
        let kernel =
            |o: usize, c: usize| *w[o * shape.patch() + 9 * c..].first_chunk().expect("nine weights");
        return geometry.run(kernel, x, None, bias, relu, out);
    }
    let plan = plan::forward(shape, level.lanes());
    let depth = shape.patch();
    let mut left = Scratch::take(w.len());
    rows::pack(level, shape.out_channels, depth, &mut left, |row, to, stride| {
        to.iter_mut().step_by(stride).zip(&w[row * depth..][..depth]).for_each(|(to, from)| *to = *from);
    });
    let task = Task { level, plan: &plan, left: &left, bias, relu };
    task.all(x, None, shape.in_image(), out, shape.out_image());
}

/// dx from dy and w.
///
/// # Panics
///
/// As [`conv2d_forward`].
pub fn conv2d_input_gradient(dy: &[f32], w: &[f32], relu: Option<&[f32]>, shape: &ConvShape, dx: &mut [f32]) {
    shape.assert_valid();
    assert_eq!([dy.len(), w.len(), dx.len()], [shape.output_len(), shape.weight_len(), shape.input_len()]);
    assert!(relu.is_none_or(|relu| relu.len() == dy.len()), "the ReLU's output has the size of dy");
    if dx.is_empty() || dy.is_empty() {
        dx.fill(0.0);
        return;
    }
    let level = Level::current();
    if let Some(geometry) = winograd::Geometry::input_gradient(level, shape) {
        let kernel = |c: usize, o: usize| {
            let mut kernel: [f32; 9] = *w[o * shape.patch() + 9 * c..].first_chunk().expect("nine weights");
            kernel.reverse();
            kernel
        };
        return geometry.run(kernel, dy, relu, None, false, dx);
    }
    let plan = plan::input_gradient(shape, level.lanes());
    let mut left = Scratch::take(w.len());
    let mut start = 0;
    for pass in &plan.passes {
        let depth = pass.offsets.len();
        let end = start + shape.in_channels * depth;
        rows::pack(level, shape.in_channels, depth, &mut left[start..end], |row, to, stride| {
            let mut to = to.iter_mut().step_by(stride);
            for kernels in w.chunks_exact(shape.patch()) {
                let kernel = &kernels[row * shape.kernel[0] * shape.kernel[1]..];
                for ([i, j], to) in pass.taps.iter().zip(&mut to) {
                    *to = kernel[i * shape.kernel[1] + j];
                }
            }
        });
        start = end;
    }
    let task = Task { level, plan: &plan, left: &left, bias: None, relu: false };
    task.all(dy, relu, shape.out_image(), dx, shape.in_image());
}

/// The passes of a plan over images, with packed weights: one pass's after the other's.
struct Task<'a> {
    level: Level,
    plan: &'a Plan,
    left: &'a [f32],
    bias: Option<&'a [f32]>,
    relu: bool,
}

impl Task<'_> {
    fn all(&self, images: &[f32], relu: Option<&[f32]>, image_len: usize, out: &mut [f32], out_len: usize) {
        let group = self.plan.group;
        out.par_chunks_mut(group * out_len).enumerate().for_each(|(index, out)| {
            let range = index * group * image_len..(index * group + out.len() / out_len) * image_len;
            self.group(&images[range.clone()], relu.map(|relu| &relu[range]), image_len, out, out_len);
        });
    }

    fn group(&self, images: &[f32], relu: Option<&[f32]>, image_len: usize, out: &mut [f32], out_len: usize) {
        let plan = self.plan;
        let mut copy = Scratch::take(plan.source_len);
        let source = pad::planes(self.level, plan, images, relu, image_len, &mut copy);
        let mut results = Scratch::take(plan.results_len);
        let images = out.len() / out_len;
        let mut left = self.left;
        if plan.passes.iter().any(|pass| pass.offsets.is_empty()) {
            out.fill(0.0);
        }
        // Input positions that no tap reaches, as between those of a 1 × 1 kernel with stride 2, are done.
        for pass in plan.passes.iter().filter(|pass| !pass.offsets.is_empty()) {
            let depth = pass.offsets.len();
            let channels = out_len / plan.output_plane;
            let (this, rest) = left.split_at(channels * depth);
            left = rest;
            let product = Product {
                left: this,
                count: channels,
                source,
                offsets: &pass.offsets,
                reads: &pass.vector_reads[..images * pass.vectors],
                writes: &pass.vector_writes[..images * pass.vectors],
                result_stride: pass.result_plane,
                bias: self.bias,
                relu: self.relu,
            };
            if pass.in_place {
                rows::run(self.level, &product, out);
            } else {
                rows::run(self.level, &product, &mut results);
                let planes =
                    out.chunks_exact_mut(plan.output_plane).zip(results.chunks_exact(pass.result_plane));
                planes.for_each(|(out, results)| place(pass, plan.output_width, results, out));
            }
        }
    }
}

/// Puts the results of one channel where they belong, without what was computed between two rows.
fn place(pass: &Pass, width: usize, results: &[f32], out: &mut [f32]) {
    let [_, columns] = pass.positions;
    let rows = out.chunks_exact_mut(width).skip(pass.first[0]).step_by(pass.step);
    for (out, results) in rows.zip(results.chunks(pass.result_pitch)).take(pass.positions[0]) {
        let out = &mut out[pass.first[1]..];
        match pass.step {
            1 => out[..columns].copy_from_slice(&results[..columns]),
            step => out.iter_mut().step_by(step).zip(&results[..columns]).for_each(|(to, from)| *to = *from),
        }
    }
}
