//! The few operations that kernels are written in.
//!
//! A kernel is a function generic over `Simd`. It is compiled once a [`Level`] inside a function that enables
//! the instructions of that level, so that everything inlined into it becomes those instructions.

pub use mentor_simd::{Level, with_level};

mod dispatch;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use dispatch::with_simd;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512, transpose_8x8};

/// Multiply-adds of single values, for loops that the compiler turns into vectors.
pub(crate) trait Fused {
    /// a · b + c, rounded once where the level has the instruction.
    fn fused(a: f32, b: f32, c: f32) -> f32;
}

/// Operations on a vector of [`LANES`](Simd::LANES) values.
///
/// # Safety
///
/// All functions may be called only where the instructions of the implementing level are known to exist;
/// `load` and `store` need `LANES` values behind the pointer, at any alignment.
#[allow(clippy::missing_safety_doc, reason = "the trait states it once for all of its functions")]
pub(crate) trait Simd: Copy + Fused {
    type Vector: Copy;
    const LANES: usize;
    unsafe fn splat(value: f32) -> Self::Vector;
    unsafe fn load(from: *const f32) -> Self::Vector;
    unsafe fn store(to: *mut f32, value: Self::Vector);
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn sub(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn max(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The first and the second half of a₀ b₀ a₁ b₁ ….
    unsafe fn interleave(a: Self::Vector, b: Self::Vector) -> [Self::Vector; 2];
    /// The values of a and then b at even places, and those at odd places.
    unsafe fn deinterleave(a: Self::Vector, b: Self::Vector) -> [Self::Vector; 2];
    /// Zero where `output` is zero or negative, and `value` elsewhere.
    unsafe fn masked(value: Self::Vector, output: Self::Vector) -> Self::Vector;
    /// a · b + c, rounded once where the level has the instruction.
    unsafe fn mul_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// `sums[r][v] = Σ_k left[k · R + r] · from[v][offsets[k] …]`, the heart of a product of packed rows and
    /// vectors.
    ///
    /// `left` has `depth · R` values and `offsets` `depth`, and a vector is behind each
    /// `from[v] + offsets[k]`.
    #[inline(always)]
    unsafe fn sums<const R: usize, const V: usize>(
        depth: usize,
        left: *const f32,
        offsets: *const u32,
        from: [*const f32; V],
    ) -> [[Self::Vector; V]; R] {
        // SAFETY: the caller's conditions.
        unsafe { sums::<Self, R, V>(depth, left, offsets, from) }
    }
}

/// [`Simd::sums`] as the compiler arranges it.
///
/// # Safety
///
/// As there.
#[inline(always)]
unsafe fn sums<S: Simd, const R: usize, const V: usize>(
    depth: usize,
    mut left: *const f32,
    offsets: *const u32,
    from: [*const f32; V],
) -> [[S::Vector; V]; R] {
    // SAFETY: `k` is less than `depth`, and `left` moves over `depth` times `R` values.
    unsafe {
        let mut sums = [[S::splat(0.0); V]; R];
        let mut k = 0;
        while k < depth {
            let offset = *offsets.add(k) as usize;
            let mut loaded = [S::splat(0.0); V];
            let mut v = 0;
            while v < V {
                loaded[v] = S::load(from[v].add(offset));
                v += 1;
            }
            let mut r = 0;
            while r < R {
                let factor = S::splat(*left.add(r));
                let mut v = 0;
                while v < V {
                    sums[r][v] = S::mul_add(factor, loaded[v], sums[r][v]);
                    v += 1;
                }
                r += 1;
            }
            left = left.add(R);
            k += 1;
        }
        sums
    }
}

/// Plain Rust on four values, which the compiler turns into one register of SSE2 or NEON.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Fused for Portable {
    #[inline(always)]
    fn fused(a: f32, b: f32, c: f32) -> f32 {
        // `f32::mul_add` is a call into the mathematics library where the target has no such instruction.
        if cfg!(any(target_arch = "aarch64", target_feature = "fma")) { a.mul_add(b, c) } else { a * b + c }
    }
}

// No function below needs an instruction that the target lacks.
impl Simd for Portable {
    type Vector = [f32; 4];
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 4] {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 4] {
        // SAFETY: the caller has four values there; an array of `f32` is read at any alignment.
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, value: [f32; 4]) {
        // SAFETY: as in `load`.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(value) }
    }

    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]
    }

    #[inline(always)]
    unsafe fn sub(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        [a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]]
    }

    #[inline(always)]
    unsafe fn interleave(a: [f32; 4], b: [f32; 4]) -> [[f32; 4]; 2] {
        [[a[0], b[0], a[1], b[1]], [a[2], b[2], a[3], b[3]]]
    }

    #[inline(always)]
    unsafe fn deinterleave(a: [f32; 4], b: [f32; 4]) -> [[f32; 4]; 2] {
        [[a[0], a[2], b[0], b[2]], [a[1], a[3], b[1], b[3]]]
    }

    #[inline(always)]
    unsafe fn masked(value: [f32; 4], output: [f32; 4]) -> [f32; 4] {
        let masked = |i: usize| if output[i] <= 0.0 { 0.0 } else { value[i] };
        [masked(0), masked(1), masked(2), masked(3)]
    }

    #[inline(always)]
    unsafe fn max(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        let max = |a: f32, b: f32| if a > b { a } else { b };
        [max(a[0], b[0]), max(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])]
    }

    #[inline(always)]
    unsafe fn mul_add(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        let fused = |i: usize| Self::fused(a[i], b[i], c[i]);
        [fused(0), fused(1), fused(2), fused(3)]
    }
}
