//! A kernel compiled for each level, and the choice between them.

/// `with_simd!(level, kernel(a: A, b: B))` defines nothing: it runs `kernel::<S>(a, b)` compiled for `level`.
///
/// The kernel must be `#[inline(always)]`, or it is compiled without the instructions.
macro_rules! with_simd {
    ($level:expr, $kernel:ident($($arg:ident: $ty:ty),* $(,)?)) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2($($arg: $ty),*) {
            // SAFETY: the caller's conditions are the kernel's, and this function runs where AVX2 and FMA
            // exist.
            unsafe { $kernel::<$crate::simd::Avx2>($($arg),*) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx2,fma")]
        unsafe fn avx512($($arg: $ty),*) {
            // SAFETY: the caller's conditions are the kernel's, and this function runs where AVX-512F exists.
            unsafe { $kernel::<$crate::simd::Avx512>($($arg),*) }
        }
        match $level {
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Level::Avx2 => avx2($($arg),*),
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Level::Avx512 => avx512($($arg),*),
            _ => $kernel::<$crate::simd::Portable>($($arg),*),
        }
    }};
}
pub(crate) use with_simd;
