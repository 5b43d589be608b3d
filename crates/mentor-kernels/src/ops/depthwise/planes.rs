//! The depthwise convolution of one plane.
//!
//! A plane is copied with its zeros into scratch memory in which what a tap needs for neighbouring results
//! are neighbours: one padded image with stride 1, one for every phase of rows and columns with stride s. All
//! rows of results are then one line at the pitch of the copy, and a tap is an offset from it. What the line
//! has between two rows is computed and dropped. The input gradient is a convolution of stride 1 by the
//! turned window over g with s − 1 zeros between its values.

use super::DepthwiseWindow;
use crate::host::scratch::Scratch;
use crate::simd::{Level, Simd, with_simd};

/// Vectors of results whose sums are in registers.
const TILE: usize = 8;
/// Lanes of the longest vector.
const MAX_LANES: usize = 16;

/// The sizes that all planes of an operation have.
pub(super) struct Planes {
    level: Level,
    kernel: usize,
    input: [usize; 2],
    window: DepthwiseWindow,
}

/// How a plane lies in its copy, and the results in a line.
struct Layout {
    /// Phases of an axis.
    stride: usize,
    rows: usize,
    pitch: usize,
    /// Values of the line of results.
    line: usize,
    /// Of each tap, from a result's place in the line.
    offsets: Vec<u32>,
}

impl Layout {
    fn new(kernel: usize, stride: usize, [rows, columns]: [usize; 2]) -> Self {
        let beyond = (kernel - 1) / stride;
        let (copied_rows, pitch) = (rows + beyond, columns + beyond);
        let offset = |tap: usize| {
            let (d, e) = (tap / kernel, tap % kernel);
            let phase = d % stride * stride + e % stride;
            (phase * copied_rows * pitch + d / stride * pitch + e / stride) as u32
        };
        let line = (rows - 1) * pitch + columns;
        let offsets = (0..kernel * kernel).map(offset).collect();
        Self { stride, rows: copied_rows, pitch, line, offsets }
    }

    /// Values of a line with what whole tiles of vectors reach beyond it.
    fn line_room(&self) -> usize {
        self.line.next_multiple_of(TILE * MAX_LANES)
    }

    /// A plane of `width` columns, its values `spread` apart, with `before` zeros above and left of it. Rows
    /// and columns past the copy are left out. Either the stride or the spread is 1.
    fn copy(&self, plane: &[f32], width: usize, spread: usize, before: [usize; 2]) -> Scratch {
        let Self { stride, rows, pitch, .. } = *self;
        let furthest = self.offsets.iter().max().map_or(0, |&offset| offset as usize);
        let mut copy = Scratch::take((stride * stride * rows * pitch).max(furthest + self.line_room()));
        copy.fill(0.0);
        let copied_rows = (rows * stride).saturating_sub(before[0]).div_ceil(spread);
        for (y, row) in plane.chunks_exact(width).take(copied_rows).enumerate() {
            let y = y * spread + before[0];
            let line = |phase: usize| (y % stride * stride + phase) * rows * pitch + y / stride * pitch;
            if stride == 1 {
                let to = copy[line(0)..][..pitch][before[1]..].iter_mut();
                to.step_by(spread).zip(row).for_each(|(to, value)| *to = *value);
                continue;
            }
            for phase in 0..stride {
                let first = (phase + stride - before[1] % stride) % stride;
                let to = copy[line(phase)..][..pitch].iter_mut().skip((first + before[1]) / stride);
                to.zip(row.iter().skip(first).step_by(stride)).for_each(|(to, value)| *to = *value);
            }
        }
        copy
    }

    /// Sums of all taps for the line of results, and its rows in `out`.
    fn convolve(
        &self,
        level: Level,
        copy: &[f32],
        weights: &[f32],
        bias: f32,
        out: &mut [f32],
        width: usize,
    ) {
        assert!(level.exists() && weights.len() == self.offsets.len());
        let mut line = Scratch::take(self.line_room());
        let (offsets, to) = (&self.offsets[..], &mut line[..]);
        // SAFETY: the level exists; a tap reads no further than its offset and the room of a line, which the
        // copy has behind every offset.
        unsafe {
            with_simd!(
                level,
                line_of(copy: &[f32], offsets: &[u32], weights: &[f32], bias: f32, to: &mut [f32])
            );
        }
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            out.copy_from_slice(&line[row * self.pitch..][..width]);
        }
    }
}

impl Planes {
    pub(super) fn new(level: Level, kernel: usize, input: [usize; 2], window: DepthwiseWindow) -> Self {
        Self { level, kernel, input, window }
    }

    pub(super) fn forward(&self, x: &[f32], weights: &[f32], bias: f32, y: &mut [f32]) {
        let DepthwiseWindow { stride, before, output } = self.window;
        let layout = Layout::new(self.kernel, stride, output);
        let copy = layout.copy(x, self.input[1], 1, before);
        layout.convolve(self.level, &copy, weights, bias, y, output[1]);
    }

    pub(super) fn input_gradient(&self, g: &[f32], weights: &[f32], dx: &mut [f32]) {
        let DepthwiseWindow { stride, before, output } = self.window;
        let layout = Layout::new(self.kernel, 1, self.input);
        let copy = layout.copy(g, output[1], stride, before.map(|before| self.kernel - 1 - before));
        let turned: Vec<f32> = weights.iter().rev().copied().collect();
        layout.convolve(self.level, &copy, &turned, 0.0, dx, self.input[1]);
    }

    /// Adds Σ g x of each tap, and Σ g behind them.
    pub(super) fn add_parameter_gradients(&self, x: &[f32], g: &[f32], sums: &mut [f64]) {
        let DepthwiseWindow { stride, before, output } = self.window;
        let layout = Layout::new(self.kernel, stride, output);
        let copy = layout.copy(x, self.input[1], 1, before);
        let mut line = Scratch::take(layout.line_room());
        line.fill(0.0);
        for (row, g) in g.chunks_exact(output[1]).enumerate() {
            line[row * layout.pitch..][..output[1]].copy_from_slice(g);
        }
        let (g, copy, offsets, level) = (&line[..], &copy[..], &layout.offsets[..], self.level);
        assert!(level.exists() && sums.len() == offsets.len() + 1);
        // SAFETY: as in `convolve`.
        unsafe {
            with_simd!(level, add_dots(g: &[f32], copy: &[f32], offsets: &[u32], sums: &mut [f64]));
        }
    }
}

/// `to[i] = bias + Σ_tap weights[tap] copy[i + offsets[tap]]`.
///
/// # Safety
///
/// The instructions of `S` exist; `to` is whole tiles, and as many values are behind each offset.
#[inline(always)]
unsafe fn line_of<S: Simd>(copy: &[f32], offsets: &[u32], weights: &[f32], bias: f32, to: &mut [f32]) {
    // SAFETY: the caller's conditions.
    unsafe {
        let bias = S::splat(bias);
        for at in (0..to.len()).step_by(TILE * S::LANES) {
            let from: [*const f32; TILE] = std::array::from_fn(|v| copy.as_ptr().add(at + v * S::LANES));
            let [sums] = S::sums::<1, TILE>(offsets.len(), weights.as_ptr(), offsets.as_ptr(), from);
            for (v, &sum) in sums.iter().enumerate() {
                S::store(to.as_mut_ptr().add(at + v * S::LANES), S::add(sum, bias));
            }
        }
    }
}

/// Adds Σ_i g[i] copy[i + offset] of each offset to its sum, and Σ_i g[i] to the last.
///
/// # Safety
///
/// As [`line_of`], of `g`.
#[inline(always)]
unsafe fn add_dots<S: Simd>(g: &[f32], copy: &[f32], offsets: &[u32], sums: &mut [f64]) {
    // SAFETY: the caller's conditions.
    unsafe {
        let mut taps = offsets.chunks_exact(3);
        let mut sums = sums.iter_mut();
        for three in taps.by_ref() {
            let from = std::array::from_fn(|tap| copy.as_ptr().add(three[tap] as usize));
            for dot in dots::<S, 3>(g, from) {
                *sums.next().expect("a sum a tap") += dot;
            }
        }
        for &tap in taps.remainder() {
            let [dot] = dots::<S, 1>(g, [copy.as_ptr().add(tap as usize)]);
            *sums.next().expect("a sum a tap") += dot;
        }
        let last = sums.next().expect("a sum of the bias");
        *last += g.iter().map(|&g| f64::from(g)).sum::<f64>();
    }
}

/// Σ_i g[i] from[t][i], in two chains of lanes each.
///
/// # Safety
///
/// As [`line_of`].
#[inline(always)]
unsafe fn dots<S: Simd, const T: usize>(g: &[f32], from: [*const f32; T]) -> [f64; T] {
    // SAFETY: the caller's conditions; a tile is an even number of vectors.
    unsafe {
        let mut sums = [[S::splat(0.0); 2]; T];
        for at in (0..g.len()).step_by(2 * S::LANES) {
            let pair = [0, 1].map(|half| S::load(g.as_ptr().add(at + half * S::LANES)));
            let mut t = 0;
            while t < T {
                let mut half = 0;
                while half < 2 {
                    let x = S::load(from[t].add(at + half * S::LANES));
                    sums[t][half] = S::mul_add(pair[half], x, sums[t][half]);
                    half += 1;
                }
                t += 1;
            }
        }
        sums.map(|[first, second]| {
            let mut lanes = [0.0_f32; MAX_LANES];
            S::store(lanes.as_mut_ptr(), S::add(first, second));
            lanes.iter().map(|&lane| f64::from(lane)).sum()
        })
    }
}
