//! The gradients of the weights and of the bias: sums over all images and positions.
//!
//! The batch is cut into parts whose number depends on the shape alone. Each part sums its images in order
//! into its own `[panels][rows, width]`, and the parts are added in order.

use rayon::prelude::*;

use super::plan::{self, Plan};
use super::shape::ConvShape;
use super::winograd::{ELEMENTS, Geometry, TileSums, kernel_gradient};
use super::{columns, pad};
use crate::host::pointwise::masked;
use crate::host::scratch::Scratch;
use crate::kernels::gemm::outer::{self, Sum};
use crate::kernels::gemm::panel_vectors;
use crate::simd::Level;

/// Parts of a batch, at most.
const PARTS: usize = 8;
/// Values of all parts together, if there is more than one: 32 MiB.
const PART_VALUES: usize = 8 << 20;
/// Positions whose panel of dy stays in the first-level cache.
const BAND: usize = 256;

/// dw from x and dy, and db if `bias` is where to write it.
///
/// # Panics
///
/// As [`conv2d_forward`](super::conv2d_forward).
pub fn conv2d_weight_gradient(
    x: &[f32],
    dy: &[f32],
    relu: Option<&[f32]>,
    shape: &ConvShape,
    dw: &mut [f32],
    bias: Option<&mut [f32]>,
) {
    shape.assert_valid();
    assert_eq!([x.len(), dy.len(), dw.len()], [shape.input_len(), shape.output_len(), shape.weight_len()]);
    assert!(relu.is_none_or(|relu| relu.len() == dy.len()), "the ReLU's output has the size of dy");
    assert!(
        bias.as_ref().is_none_or(|bias| bias.len() == shape.out_channels),
        "one bias for each output channel"
    );
    if dy.is_empty() || dw.is_empty() {
        dw.fill(0.0);
        if let Some(bias) = bias {
            conv2d_bias_gradient(dy, relu, shape, bias);
        }
        return;
    }
    let level = Level::current();
    let tiles = Geometry::forward(level, shape);
    let plan = plan::forward(shape, level.lanes());
    let panels = Panels::new(level, shape, tiles.map_or(shape.patch(), |_| ELEMENTS * shape.in_channels));
    let part_len = panels.bias_start() + panels.padded();
    let parts = PARTS.min(PART_VALUES / part_len).clamp(1, shape.batch);
    // Whole groups, so that only the last part has a smaller one.
    let group = tiles.map_or(plan.group, |tiles| tiles.tiling().group);
    let part_images = shape.batch.div_ceil(parts).next_multiple_of(group);
    let parts = shape.batch.div_ceil(part_images);
    let mut sums = Scratch::take(parts * part_len);
    sums.par_chunks_mut(part_len).enumerate().for_each(|(part, sums)| {
        let images = part * part_images..((part + 1) * part_images).min(shape.batch);
        let x = &x[images.start * shape.in_image()..images.end * shape.in_image()];
        let range = images.start * shape.out_image()..images.end * shape.out_image();
        let (dy, relu) = (&dy[range.clone()], relu.map(|relu| &relu[range]));
        sums.fill(0.0);
        let (sums, bias) = sums.split_at_mut(panels.bias_start());
        match &tiles {
            Some(geometry) => TileSums { geometry, tiling: &geometry.tiling() }.add(x, dy, relu, sums, bias),
            None => panels.add(&plan, x, dy, relu, sums, bias),
        }
    });
    let total = |start: usize, width: usize| {
        let mut total = [0.0; MAX_WIDTH];
        for part in sums.chunks_exact(part_len) {
            total[..width].iter_mut().zip(&part[start..][..width]).for_each(|(total, value)| *total += value);
        }
        total
    };
    let patch = shape.patch();
    dw.par_chunks_mut(panels.full * patch).enumerate().for_each(|(panel, dw)| {
        let (start, width) = (panels.start(panel), panels.width(panel));
        if tiles.is_none() {
            for k in 0..patch {
                let total = total(start + k * width, width);
                dw[k..].iter_mut().step_by(patch).zip(total).for_each(|(to, from)| *to = from);
            }
            return;
        }
        for channel in 0..shape.in_channels {
            let row = |element: usize| start + (element * shape.in_channels + channel) * width;
            let totals: [_; ELEMENTS] = std::array::from_fn(|element| total(row(element), width));
            for (output, dw) in dw.chunks_exact_mut(patch).enumerate() {
                let kernel = kernel_gradient(std::array::from_fn(|element| totals[element][output]));
                dw[9 * channel..][..9].copy_from_slice(&kernel);
            }
        }
    });
    if let Some(bias) = bias {
        for (panel, bias) in bias.chunks_mut(panels.full).enumerate() {
            let total = total(panels.bias_start() + panel * panels.full, bias.len());
            bias.copy_from_slice(&total[..bias.len()]);
        }
    }
}

/// The most channels of a panel on any level.
const MAX_WIDTH: usize = 64;

/// How output channels are cut into panels, each `[depth, width]`; behind them, the bias of all.
struct Panels<'a> {
    level: Level,
    shape: &'a ConvShape,
    /// Rows of a panel.
    depth: usize,
    /// Channels of a full panel.
    full: usize,
}

impl<'a> Panels<'a> {
    fn new(level: Level, shape: &'a ConvShape, depth: usize) -> Self {
        Self { level, shape, depth, full: panel_vectors(level.lanes()) * level.lanes() }
    }

    fn channels(&self, panel: usize) -> usize {
        (self.shape.out_channels - panel * self.full).min(self.full)
    }

    fn width(&self, panel: usize) -> usize {
        self.channels(panel).next_multiple_of(self.level.lanes())
    }

    fn start(&self, panel: usize) -> usize {
        panel * self.full * self.depth
    }

    /// Output channels, filled up to whole vectors.
    fn padded(&self) -> usize {
        self.shape.out_channels.next_multiple_of(self.level.lanes())
    }

    fn bias_start(&self) -> usize {
        self.padded() * self.depth
    }

    /// Adds the images of one part.
    fn add(
        &self,
        plan: &Plan,
        x: &[f32],
        dy: &[f32],
        relu: Option<&[f32]>,
        sums: &mut [f32],
        bias: &mut [f32],
    ) {
        let (in_image, out_image) = (self.shape.in_image(), self.shape.out_image());
        let positions = self.shape.out_height() * self.shape.out_width();
        let mut copy = Scratch::take(plan.source_len);
        let mut right = Scratch::take(plan.group * positions * self.full);
        let groups = x.chunks(plan.group * in_image).zip(dy.chunks(plan.group * out_image));
        for (index, (x, dy)) in groups.enumerate() {
            let source = pad::planes(self.level, plan, x, None, in_image, &mut copy);
            let relu = relu.map(|relu| &relu[index * plan.group * out_image..][..dy.len()]);
            let table = &plan.positions[..dy.len() / out_image * positions];
            for (panel, bias) in bias.chunks_mut(self.full).enumerate() {
                let (channels, width) = (self.channels(panel), self.width(panel));
                let right = &mut right[..table.len() * width];
                for (image, right) in right.chunks_exact_mut(positions * width).enumerate() {
                    let at = image * out_image + panel * self.full * positions;
                    let range = at..at + channels * positions;
                    let relu = relu.map(|relu| &relu[range.clone()]);
                    columns::transpose(self.level, &dy[range], relu, positions, channels, width, right);
                }
                add_rows(right, bias);
                let sums = &mut sums[self.start(panel)..][..self.depth * width];
                for (table, right) in table.chunks(BAND).zip(right.chunks(BAND * width)) {
                    let vectors = width / self.level.lanes();
                    let offsets = &plan.passes[0].offsets;
                    let sum = Sum { source, offsets, positions: table, right, vectors };
                    outer::add(self.level, &sum, sums);
                }
            }
        }
    }
}

/// Adds the sum of the rows of `rows` to `sums`.
fn add_rows(rows: &[f32], sums: &mut [f32]) {
    let mut total = [0.0; MAX_WIDTH];
    let total = &mut total[..sums.len()];
    for row in rows.chunks_exact(sums.len()) {
        total.iter_mut().zip(row).for_each(|(total, value)| *total += value);
    }
    sums.iter_mut().zip(total).for_each(|(sum, total)| *sum += *total);
}

/// db from dy: the sum over images and positions of each channel, images added in `f64`.
///
/// # Panics
///
/// If a length is not that of `shape`.
pub fn conv2d_bias_gradient(dy: &[f32], relu: Option<&[f32]>, shape: &ConvShape, bias: &mut [f32]) {
    assert_eq!([dy.len(), bias.len()], [shape.output_len(), shape.out_channels]);
    assert!(relu.is_none_or(|relu| relu.len() == dy.len()), "the ReLU's output has the size of dy");
    let positions = shape.out_height() * shape.out_width();
    bias.par_iter_mut().enumerate().for_each(|(channel, bias)| {
        let plane = |image: usize| {
            let at = (image * shape.out_channels + channel) * positions;
            at..at + positions
        };
        let sum = |image: usize| match relu {
            None => sum(dy[plane(image)].iter().copied()),
            Some(relu) => {
                let pairs = dy[plane(image)].iter().zip(&relu[plane(image)]);
                sum(pairs.map(|(dy, relu)| masked(*dy, *relu)))
            }
        };
        *bias = (0..shape.batch).map(sum).sum::<f64>() as f32;
    });
}

/// A sum in sixteen lanes.
fn sum(mut values: impl ExactSizeIterator<Item = f32>) -> f64 {
    let mut lanes = [0.0f32; 16];
    for _ in 0..values.len() / 16 {
        lanes.iter_mut().zip(&mut values).for_each(|(lane, value)| *lane += value);
    }
    lanes.iter_mut().zip(values).for_each(|(lane, value)| *lane += value);
    lanes.iter().map(|&lane| f64::from(lane)).sum()
}
