//! Depthwise convolution: each channel by its own window, with vectors along the channels.

use pulp::{Simd, WithSimd};

use super::columns::{Pixels, Window};

/// Results of a row that are computed at once: they share the pixels between them.
const TILE: usize = 4;

/// One image.
pub(crate) struct Depthwise<'a> {
    /// All channels are read; their number is padded.
    pub(crate) pixels: Pixels<'a>,
    pub(crate) window: Window,
    /// `[kernel row, kernel column, channel]`.
    pub(crate) weights: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) clamp: [f32; 2],
    /// `[row, column, channel]`.
    pub(crate) out: &'a mut [f32],
}

impl WithSimd for Depthwise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (self.window.kernel, self.window.stride) {
            (3, 1) => self.rows::<S, 3, 1, 6>(simd),
            (3, 2) => self.rows::<S, 3, 2, 9>(simd),
            (5, 1) => self.rows::<S, 5, 1, 8>(simd),
            (5, 2) => self.rows::<S, 5, 2, 11>(simd),
            (kernel, stride) => unreachable!("no depthwise window of {kernel} with stride {stride}"),
        }
    }
}

impl Depthwise<'_> {
    /// `SPAN = (TILE - 1) · STRIDE + K` pixels of a row are under the windows of a tile.
    #[inline(always)]
    fn rows<S: Simd, const K: usize, const STRIDE: usize, const SPAN: usize>(self, simd: S) {
        let Pixels { values, height, width, channels, stride } = self.pixels;
        assert!(channels == stride && channels.is_multiple_of(super::LANES));
        let vectors = channels / S::F32_LANES;
        let ((top, _), (left, columns)) = (self.window.along(height), self.window.along(width));
        let pixels = S::as_simd_f32s(values).0;
        let weights = S::as_simd_f32s(self.weights).0;
        let bias = S::as_simd_f32s(self.bias).0;
        let clamp = self.clamp.map(|limit| simd.splat_f32s(limit));
        let out = S::as_mut_simd_f32s(self.out).0;
        // Tiles whose windows all lie inside, in columns.
        let first = left.div_ceil(STRIDE).min(columns);
        let last = if width + left >= K { ((width + left - K) / STRIDE + 1).min(columns) } else { 0 };
        for (y, out) in out.chunks_exact_mut(columns * vectors).enumerate() {
            // The rows of the window that lie inside.
            let begin = top.saturating_sub(y * STRIDE).min(K);
            let end = (height + top).saturating_sub(y * STRIDE).min(K);
            let row = |dy: usize| &pixels[(y * STRIDE + dy - top) * width * vectors..][..width * vectors];
            let mut x = 0;
            while x < columns {
                if x >= first && x + TILE <= last {
                    let start = (x * STRIDE - left) * vectors;
                    for c in 0..vectors {
                        let mut sums = [bias[c]; TILE];
                        for dy in begin..end {
                            let line = &row(dy)[start + c..];
                            let weights = &weights[dy * K * vectors + c..];
                            let mut seen = [bias[c]; SPAN];
                            let mut i = 0;
                            while i < SPAN {
                                seen[i] = line[i * vectors];
                                i += 1;
                            }
                            let mut dx = 0;
                            while dx < K {
                                let weight = weights[dx * vectors];
                                let mut t = 0;
                                while t < TILE {
                                    sums[t] = simd.mul_add_f32s(weight, seen[t * STRIDE + dx], sums[t]);
                                    t += 1;
                                }
                                dx += 1;
                            }
                        }
                        let mut t = 0;
                        while t < TILE {
                            out[(x + t) * vectors + c] =
                                simd.min_f32s(clamp[1], simd.max_f32s(clamp[0], sums[t]));
                            t += 1;
                        }
                    }
                    x += TILE;
                } else {
                    let left_out = left.saturating_sub(x * STRIDE).min(K);
                    let right_end = (width + left).saturating_sub(x * STRIDE).min(K);
                    for c in 0..vectors {
                        let mut sum = bias[c];
                        for dy in begin..end {
                            for dx in left_out..right_end {
                                let pixel = row(dy)[(x * STRIDE + dx - left) * vectors + c];
                                sum = simd.mul_add_f32s(weights[(dy * K + dx) * vectors + c], pixel, sum);
                            }
                        }
                        out[x * vectors + c] = simd.min_f32s(clamp[1], simd.max_f32s(clamp[0], sum));
                    }
                    x += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mentor_simd::Level;

    use super::*;
    use crate::network::kernels::columns::Padding;
    use crate::network::kernels::{product, run};
    use crate::testing::random;

    #[test]
    fn every_window_and_padding_is_that_of_a_plain_loop() {
        let channels = 32;
        for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2)] {
            for padding in [Padding::Same, Padding::Each(kernel / 2)] {
                for (height, width) in [(1, 1), (2, 3), (7, 13), (14, 16), (9, 23)] {
                    let window = Window { kernel, stride, padding };
                    let ((top, rows), (left, columns)) = (window.along(height), window.along(width));
                    let values = random(1, height * width * channels);
                    let (weights, bias) = (random(2, kernel * kernel * channels), random(3, channels));
                    for level in Level::available() {
                        let mut out = vec![f32::NAN; rows * columns * channels];
                        let pixels = Pixels { values: &values, height, width, channels, stride: channels };
                        let (weights, bias, clamp) = (&weights[..], &bias[..], product::ANY);
                        run(level, Depthwise { pixels, window, weights, bias, clamp, out: &mut out });
                        for (at, &found) in out.iter().enumerate() {
                            let (c, x, y) = (at % channels, at / channels % columns, at / channels / columns);
                            let mut sum = f64::from(bias[c]);
                            for (dy, dx) in (0..kernel).flat_map(|dy| (0..kernel).map(move |dx| (dy, dx))) {
                                let (iy, ix) = (y * stride + dy, x * stride + dx);
                                if iy >= top && iy - top < height && ix >= left && ix - left < width {
                                    let pixel = values[((iy - top) * width + ix - left) * channels + c];
                                    sum += f64::from(pixel * weights[(dy * kernel + dx) * channels + c]);
                                }
                            }
                            assert!(
                                (f64::from(found) - sum).abs() < 1e-5,
                                "{level:?} {window:?} {height}x{width}"
                            );
                        }
                    }
                }
            }
        }
    }
}
