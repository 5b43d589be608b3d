//! Kernels as plain loops that the compiler turns into vectors, in a portable form and one for AVX2: generic over
//! [`Fused`](crate::simd::Fused), which says how a multiply-add is rounded; [`multiversion!`] chooses at run time.

use crate::simd::Level;

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

/// `multiversion!(kernel::<Fused>(a: A, b: B) -> R)`: a function `kernel_on(wide, a, b)` that runs `kernel` on AVX2
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
                    $kernel::<$crate::simd::Avx2>($($arg),*)
                }
                if wide && $crate::lanes::has_avx2() {
                    // SAFETY: the features were seen on this machine.
                    return unsafe { avx2($($arg),*) };
                }
            }
            let _ = wide;
            $kernel::<$crate::simd::Portable>($($arg),*)
        }
    };
}
pub(crate) use multiversion;
