//! Arithmetic in vectors as wide as the processor has, chosen when it runs.
//!
//! Rows are padded by zeros to [`WIDTH`] numbers or a multiple, so that no kernel has a remainder. A vector
//! instruction set changes at most the rounding of sums (with a fused multiply–add or without).

use pulp::{Scalar, Simd, WithSimd};

use crate::level::Level;

/// What rows are padded to: a vector of AVX-512, two of AVX2.
pub const WIDTH: usize = 8;

/// Runs `operation` with the vectors of [`Level::current`], the best of this machine unless a test asks for
/// others.
#[inline(always)]
pub fn dispatch<Op: WithSimd>(operation: Op) -> Op::Output {
    #[cfg(target_arch = "x86_64")]
    {
        let level = Level::current();
        if level == Level::Avx512
            && let Some(simd) = pulp::x86::V4::try_new()
        {
            return Simd::vectorize(simd, operation);
        }
        if level >= Level::Avx2
            && let Some(simd) = pulp::x86::V3::try_new()
        {
            return Simd::vectorize(simd, operation);
        }
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(simd) = pulp::aarch64::Neon::try_new() {
        return Simd::vectorize(simd, operation);
    }
    Simd::vectorize(Scalar::new(), operation)
}
