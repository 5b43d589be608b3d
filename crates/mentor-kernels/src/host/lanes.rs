//! Kernels as plain loops that the compiler turns into vectors, in a portable form and one for AVX2: generic
//! over [`Fused`](crate::simd::Fused), which says how a multiply-add is rounded; [`multiversion!`] chooses at
//! run time.

use crate::simd::Level;

/// Whether kernels called on this thread take their AVX2 form: the machine has it, and no test forces
/// another.
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
    by_halves(sums, |a, b| a + b) + rest
}

/// The largest of some values, at least `f32::MIN`, in `WIDTH` lanes; a NaN is passed over.
#[inline(always)]
pub(crate) fn max_over<const WIDTH: usize>(values: &[f32]) -> f32 {
    let larger = |largest: f32, value: f32| if value > largest { value } else { largest };
    let mut lanes = [f32::MIN; WIDTH];
    let (blocks, rest) = values.as_chunks::<WIDTH>();
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(lane, value)| *lane = larger(*lane, *value));
    }
    rest.iter().fold(by_halves(lanes, larger), |largest, &value| larger(largest, value))
}

/// One value of a power of two: one after the other, each operation would wait for the last.
#[inline(always)]
fn by_halves<const WIDTH: usize>(mut lanes: [f32; WIDTH], combine: impl Fn(f32, f32) -> f32) -> f32 {
    const { assert!(WIDTH.is_power_of_two()) }
    let mut half = WIDTH / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = combine(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// `multiversion!(name => kernel(a: A, b: B) -> R)`: a function `name(wide, a, b)` that runs `kernel::<Avx2>`
/// if `wide` (which the caller has from [`wide`]), and `kernel::<Portable>` otherwise.
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
                if wide && $crate::host::lanes::has_avx2() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_and_the_rest_are_all_counted() {
        for count in 0..70u16 {
            let values: Vec<f32> = (0..count).map(f32::from).collect();
            assert_eq!(sum_over::<16>(values.len(), |i| values[i]), values.iter().sum::<f32>());
            for place in 0..values.len() {
                let mut values = values.clone();
                values[place] = 99.0;
                assert_eq!(max_over::<16>(&values), 99.0);
                values[place] = f32::NAN;
                let largest = values.iter().copied().filter(|value| !value.is_nan()).fold(f32::MIN, f32::max);
                assert_eq!(max_over::<16>(&values), largest);
            }
        }
    }
}
