//! Activations, normalisation, softmax and pooling: plain loops, which the compiler makes vectors of.

use pulp::{Simd, WithSimd};

use super::LANES;
use super::columns::{Pixels, Window};

/// A function of each value alone.
pub(crate) struct Each<'a, F> {
    pub(crate) values: &'a mut [f32],
    pub(crate) function: F,
}

impl<F: Fn(f32) -> f32> WithSimd for Each<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.values.iter_mut().for_each(|value| *value = (self.function)(*value));
    }
}

/// eˣ with a relative error below 3e-7; x is brought to [-87, 88] first. Cephes' `expf`: 2ⁿ · eʳ with |r| ≤
/// ln 2 / 2.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    /// Adding it rounds to a whole number, which its last bits then hold.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        p = p * r + coefficient;
    }
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    (p * r * r + r + 1.0) * f32::from_bits(power)
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// x · sigmoid(x): SiLU, also called swish (Elfwing et al. 2018).
#[inline(always)]
pub(crate) fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

/// min(max(x + 3, 0), 6) / 6 (MobileNetV3, section 5.2).
#[inline(always)]
pub(crate) fn hard_sigmoid(x: f32) -> f32 {
    (x + 3.0).clamp(0.0, 6.0) * (1.0 / 6.0)
}

/// x · hard-sigmoid(x) (MobileNetV3, section 5.2).
#[inline(always)]
pub(crate) fn hard_swish(x: f32) -> f32 {
    x * hard_sigmoid(x)
}

/// x · Φ(x), the exact form with the error function (Hendrycks and Gimpel 2016).
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// The error function, to 5e-7: a ratio of polynomials on [-4, 4], the one of Eigen's
/// `generic_fast_erf_float`.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let mut numerator = -2.726_142_3e-10;
    for coefficient in
        [2.770_681_4e-8, -2.101_024e-6, -5.692_506_4e-5, -7.349_906_4e-4, -2.954_6e-3, -1.609_603_3e-2]
    {
        numerator = numerator * square + coefficient;
    }
    let mut denominator = -1.456_607_2e-5;
    for coefficient in [-2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2] {
        denominator = denominator * square + coefficient;
    }
    x * numerator / denominator
}

/// Normalises rows `[rows, stride]` over their first `gain.len()` values and writes them to `out`.
pub(crate) struct LayerNorm<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) gain: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) epsilon: f32,
    pub(crate) out: &'a mut [f32],
}

impl WithSimd for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.gain.len();
        for (row, out) in self.values.chunks_exact(self.stride).zip(self.out.chunks_exact_mut(self.stride)) {
            let (row, out) = (&row[..width], &mut out[..width]);
            let mean = sum(row, |value| value) / width as f32;
            let variance = sum(row, |value| (value - mean) * (value - mean)) / width as f32;
            let scale = 1.0 / (variance + self.epsilon).sqrt();
            for (((out, value), gain), bias) in out.iter_mut().zip(row).zip(self.gain).zip(self.bias) {
                *out = (value - mean) * scale * gain + bias;
            }
        }
    }
}

/// The sum of a function of each value, in sixteen parts.
#[inline(always)]
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut parts = [0.0_f32; LANES];
    for chunk in chunks {
        parts.iter_mut().zip(chunk).for_each(|(part, &value)| *part += of(value));
    }
    parts.iter_mut().zip(rest).for_each(|(part, &value)| *part += of(value));
    parts.iter().sum()
}

/// Replaces rows `[rows, stride]` by softmax(scale · row) of their first `count` values.
pub(crate) struct Softmax<'a> {
    pub(crate) values: &'a mut [f32],
    pub(crate) stride: usize,
    pub(crate) count: usize,
    pub(crate) scale: f32,
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for row in self.values.chunks_exact_mut(self.stride) {
            let row = &mut row[..self.count];
            let mut parts = [f32::NEG_INFINITY; LANES];
            let (chunks, rest) = row.as_chunks::<LANES>();
            for chunk in chunks {
                parts.iter_mut().zip(chunk).for_each(|(part, &value)| *part = part.max(value));
            }
            parts.iter_mut().zip(rest).for_each(|(part, &value)| *part = part.max(value));
            let greatest = parts.iter().fold(f32::NEG_INFINITY, |greatest, &part| greatest.max(part));
            row.iter_mut().for_each(|value| *value = exp((*value - greatest) * self.scale));
            let share = 1.0 / sum(row, |value| value);
            row.iter_mut().for_each(|value| *value *= share);
        }
    }
}

/// The greatest value of each channel under a window; what lies outside does not count. One image.
pub(crate) struct MaxPool<'a> {
    pub(crate) pixels: Pixels<'a>,
    pub(crate) window: Window,
    pub(crate) out: &'a mut [f32],
}

impl WithSimd for MaxPool<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Pixels { values, height, width, stride, .. } = self.pixels;
        let ((top, _), (left, columns)) = (self.window.along(height), self.window.along(width));
        let inside = |at: usize, before: usize, size: usize| {
            (at * self.window.stride).saturating_sub(before)
                ..(at * self.window.stride + self.window.kernel - before).min(size)
        };
        for (at, out) in self.out.chunks_exact_mut(stride).enumerate() {
            out.fill(f32::NEG_INFINITY);
            for y in inside(at / columns, top, height) {
                for x in inside(at % columns, left, width) {
                    let pixel = &values[(y * width + x) * stride..][..stride];
                    out.iter_mut().zip(pixel).for_each(|(out, &value)| *out = out.max(value));
                }
            }
        }
    }
}

/// The mean of each channel over the pixels of one image `[pixels, channels]`.
pub(crate) struct Mean<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl WithSimd for Mean<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let pixels = self.values.len() / self.out.len();
        self.out.fill(0.0);
        for pixel in self.values.chunks_exact(self.out.len()) {
            self.out.iter_mut().zip(pixel).for_each(|(out, &value)| *out += value);
        }
        let share = 1.0 / pixels as f32;
        self.out.iter_mut().for_each(|out| *out *= share);
    }
}

/// Multiplies each channel of one image `[pixels, channels]` by its factor.
pub(crate) struct ScaleChannels<'a> {
    pub(crate) values: &'a mut [f32],
    pub(crate) factors: &'a [f32],
}

impl WithSimd for ScaleChannels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for pixel in self.values.chunks_exact_mut(self.factors.len()) {
            pixel.iter_mut().zip(self.factors).for_each(|(value, factor)| *value *= factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use mentor_simd::Level;

    use super::*;
    use crate::network::kernels::run;

    /// By its series, which converges for every x.
    fn erf_series(x: f64) -> f64 {
        let mut term = x;
        let mut sum = x;
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn exponentials_and_the_error_function_are_exact_to_single_precision() {
        for at in -800..=800 {
            let x = at as f32 / 100.0;
            let found = f64::from(exp(10.0 * x)) / f64::from(10.0 * x).clamp(-87.0, 88.0).exp();
            assert!((found - 1.0).abs() < 3e-7, "exp {x}: {found}");
            if x.abs() <= 4.0 {
                let error = f64::from(erf(x)) - erf_series(f64::from(x));
                assert!(error.abs() < 5e-7, "erf {x}: {error}");
            }
        }
        assert_eq!(
            [gelu(0.0), silu(0.0), hard_swish(-3.0), hard_swish(3.0), hard_sigmoid(9.0)],
            [0.0, 0.0, 0.0, 3.0, 1.0]
        );
    }

    #[test]
    fn rows_are_normalised_and_softmax_sums_to_one() {
        for level in Level::available() {
            let values: Vec<f32> = (0..20).map(|at| (at % 10) as f32 * 100.0).collect();
            let mut out = vec![0.0; 20];
            let (gain, bias) = ([2.0; 10], [1.0; 10]);
            run(
                level,
                LayerNorm {
                    values: &values,
                    stride: 10,
                    gain: &gain,
                    bias: &bias,
                    epsilon: 0.0,
                    out: &mut out,
                },
            );
            let mean: f32 = out[..10].iter().sum::<f32>() / 10.0;
            let spread: f32 = out[..10].iter().map(|x| (x - 1.0) * (x - 1.0)).sum::<f32>() / 10.0;
            assert!((mean - 1.0).abs() < 1e-5 && (spread - 4.0).abs() < 1e-5, "{out:?}");
            run(level, Softmax { values: &mut out, stride: 10, count: 9, scale: 0.5 });
            assert!((out[..9].iter().sum::<f32>() - 1.0).abs() < 1e-6 && out[0] < out[8], "{out:?}");
        }
    }
}
