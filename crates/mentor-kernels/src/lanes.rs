//! Eight `f32` at once: the registers of AVX2, or an array that the compiler may vectorise.
//!
//! A kernel is written once, generic over [`Lanes`], and compiled for each; [`multiversion!`] chooses at run time.

use crate::simd::Level;

/// Eight `f32` values.
///
/// `mul_add` rounds once on AVX2 and twice in the portable form, so the two agree to rounding, not to the bit.
pub(crate) trait Lanes: Copy {
    fn splat(value: f32) -> Self;
    /// The first eight of `from`, which must hold as many.
    fn load(from: &[f32]) -> Self;
    /// The eight values of `from` at `at`, for the innermost loops.
    ///
    /// # Safety
    ///
    /// `from` must hold `at + 8` values.
    #[inline(always)]
    unsafe fn load_at(from: &[f32], at: usize) -> Self {
        debug_assert!(from.len() >= at + 8);
        // SAFETY: the caller has checked the length.
        Self::load(unsafe { from.get_unchecked(at..at + 8) })
    }
    /// Into the first eight of `to`, which must hold as many.
    fn store(self, to: &mut [f32]);
    /// self · factor + addend.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// a · b + c of single values, rounded as [`mul_add`](Self::mul_add) rounds: for loops that the compiler vectorises.
    fn fused(a: f32, b: f32, c: f32) -> f32;
    /// The sum of the eight, always in the same order.
    fn sum(self) -> f32;
}

/// The portable form.
#[derive(Clone, Copy)]
pub(crate) struct Array([f32; 8]);

impl Lanes for Array {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; 8])
    }

    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let mut lanes = [0.0; 8];
        lanes.copy_from_slice(&from[..8]);
        Self(lanes)
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        to[..8].copy_from_slice(&self.0);
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * factor.0[i] + addend.0[i]))
    }

    #[inline(always)]
    fn fused(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.0;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::Avx;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Lanes;
    use std::arch::x86_64::*;

    /// A register of AVX2. Only functions that [`multiversion!`](super::multiversion) guards may use it.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx(__m256);

    // SAFETY of all blocks below: `Avx` is named only as the type argument of a kernel that `multiversion!`
    // calls after it has seen AVX2 and FMA at run time; loads and stores check their length first.
    impl Lanes for Avx {
        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_set1_ps(value) })
        }

        #[inline(always)]
        fn load(from: &[f32]) -> Self {
            assert!(from.len() >= 8);
            // SAFETY: see above.
            Self(unsafe { _mm256_loadu_ps(from.as_ptr()) })
        }

        #[inline(always)]
        fn store(self, to: &mut [f32]) {
            assert!(to.len() >= 8);
            // SAFETY: see above.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), self.0) }
        }

        #[inline(always)]
        fn mul_add(self, factor: Self, addend: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, addend.0) })
        }

        #[inline(always)]
        fn fused(a: f32, b: f32, c: f32) -> f32 {
            a.mul_add(b, c)
        }

        #[inline(always)]
        fn sum(self) -> f32 {
            // SAFETY: see above.
            unsafe {
                let half = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
                let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
                _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)))
            }
        }
    }
}

/// Whether kernels called on this thread take their AVX2 form: the machine has it, and no test forces another.
pub(crate) fn wide() -> bool {
    Level::current() != Level::Portable
}

/// Whether the AVX2 form of the kernels runs on this machine.
#[inline]
pub(crate) fn has_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Σ f(i) over `0..count`, in `WIDTH` partial sums.
#[inline(always)]
pub(crate) fn sum_over<const WIDTH: usize>(count: usize, f: impl Fn(usize) -> f32) -> f32 {
    let mut sums = [0.0f32; WIDTH];
    let whole = count / WIDTH * WIDTH;
    for start in (0..whole).step_by(WIDTH) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += f(start + lane);
        }
    }
    let rest: f32 = (whole..count).map(f).sum();
    sums.iter().sum::<f32>() + rest
}

/// `multiversion!(kernel::<Lanes>(a: A, b: B) -> R)`: a function `kernel_on(wide, a, b)` that runs `kernel` on AVX2
/// if `wide` (which the caller has from [`wide`]), and in its portable form otherwise.
macro_rules! multiversion {
    ($(#[$doc:meta])* $name:ident => $kernel:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments, reason = "slices and their sizes")]
        fn $name(wide: bool, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "slices and their sizes")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    $kernel::<$crate::lanes::Avx>($($arg),*)
                }
                if wide && $crate::lanes::has_avx2() {
                    // SAFETY: the features were seen on this machine.
                    return unsafe { avx2($($arg),*) };
                }
            }
            let _ = wide;
            $kernel::<$crate::lanes::Array>($($arg),*)
        }
    };
}
pub(crate) use multiversion;
