//! The exponential function, as a kernel that the compiler vectorises.

use crate::host::pointwise::floor_at;
use crate::simd::Fused;

/// eˣ for x ≤ 0 to about one unit in the last place, down to the smallest subnormal; NaN for NaN.
///
/// x = n ln 2 + r with |r| ≤ ln 2 / 2, and eʳ by the polynomial of Cephes (S. Moshier). No branch, so that
/// the compiler vectorises a loop of it.
#[inline(always)]
pub(crate) fn exp_of_non_positive<F: Fused>(x: f32) -> f32 {
    /// Adding it rounds to an integer, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let x = floor_at(x, -105.0);
    let shifted = F::fused(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = F::fused(n, 2.121_944_4e-4, F::fused(n, -0.693_359_4, x));
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_6e-1, 5e-1] {
        p = F::fused(p, r, coefficient);
    }
    let power = F::fused(p, r * r, r) + 1.0;
    // 2ⁿ in two factors: below −126 one alone would be subnormal, and lose the digits of the power.
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    let scale = |exponent: i32| f32::from_bits((exponent.wrapping_add(127) as u32) << 23);
    power * scale(half) * scale(n.wrapping_sub(half))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Portable;

    #[test]
    fn exponentials_are_exact_to_two_units_in_the_last_place() {
        for step in 0..200_000 {
            let x = -(step as f32) * 5.5e-4;
            let expected = f64::from(x).exp();
            let found = f64::from(exp_of_non_positive::<Portable>(x));
            let unit = (expected * f64::from(f32::EPSILON)).max(1.5e-45);
            assert!((found - expected).abs() <= 2.0 * unit, "e^{x}: {found} instead of {expected}");
        }
        assert_eq!(exp_of_non_positive::<Portable>(0.0), 1.0);
        assert_eq!(exp_of_non_positive::<Portable>(f32::MIN), 0.0);
        assert!(exp_of_non_positive::<Portable>(f32::NAN).is_nan());
    }
}
