//! The levels of x86-64.

use std::arch::asm;
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::Simd;

/// AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// AVX-512F.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

/// Implements [`Simd`] by one intrinsic a function.
macro_rules! implement {
    ($level:ident, $vector:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $max:ident, $fma:ident $(, $sums:item)?) => {
        impl Simd for $level {
            type Vector = $vector;
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn splat(value: f32) -> $vector {
                // SAFETY: the caller knows that the instruction exists.
                unsafe { $splat(value) }
            }

            #[inline(always)]
            unsafe fn load(from: *const f32) -> $vector {
                // SAFETY: the caller knows that the instruction exists and that the values are there.
                unsafe { $load(from) }
            }

            #[inline(always)]
            unsafe fn store(to: *mut f32, value: $vector) {
                // SAFETY: the caller knows that the instruction exists and that there is room.
                unsafe { $store(to, value) }
            }

            #[inline(always)]
            unsafe fn add(a: $vector, b: $vector) -> $vector {
                // SAFETY: the caller knows that the instruction exists.
                unsafe { $add(a, b) }
            }

            #[inline(always)]
            unsafe fn max(a: $vector, b: $vector) -> $vector {
                // SAFETY: the caller knows that the instruction exists.
                unsafe { $max(a, b) }
            }

            #[inline(always)]
            unsafe fn mul_add(a: $vector, b: $vector, c: $vector) -> $vector {
                // SAFETY: the caller knows that the instruction exists.
                unsafe { $fma(a, b, c) }
            }

            $($sums)?
        }
    };
}

implement!(
    Avx2,
    __m256,
    8,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_max_ps,
    _mm256_fmadd_ps,
    #[inline(always)]
    unsafe fn sums<const R: usize, const V: usize>(
        depth: usize,
        left: *const f32,
        offsets: *const u32,
        from: [*const f32; V],
    ) -> [[__m256; V]; R] {
        let mut sums = [[MaybeUninit::<__m256>::uninit(); V]; R];
        if R == 4 && V == 3 && depth > 0 {
            // SAFETY: the caller's conditions are those of the function, `sums` has its twelve vectors, all of which it
            // writes, and `from` its three pointers.
            unsafe {
                sums_4x3(depth, left, offsets, from.as_ptr().cast(), sums.as_mut_ptr().cast());
                return sums.map(|row| row.map(|sum| sum.assume_init()));
            }
        }
        // SAFETY: the caller's conditions.
        unsafe { super::sums::<Self, R, V>(depth, left, offsets, from) }
    }
);

/// [`Simd::sums`] of four rows and three vectors, which take all sixteen registers: the compiler, left to itself, moves one
/// load too far up and then spills sums in the innermost loop, at half the speed.
///
/// # Safety
///
/// As [`Simd::sums`], with `depth` not zero; `sums` has room for twelve vectors.
#[target_feature(enable = "avx2,fma")]
unsafe fn sums_4x3(
    depth: usize,
    left: *const f32,
    offsets: *const u32,
    from: *const [*const f32; 3],
    sums: *mut [__m256; 12],
) {
    let zero = _mm256_setzero_ps();
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h, mut i, mut j, mut k, mut l] = [zero; 12];
    // SAFETY: the loop runs `depth` times and reads what the caller has; it writes registers only.
    unsafe {
        let [from0, from1, from2] = *from;
        asm!(
            "2:",
            "mov {offset:e}, dword ptr [{offsets}]",
            "vmovups {x}, ymmword ptr [{from0} + 4 * {offset}]",
            "vmovups {y}, ymmword ptr [{from1} + 4 * {offset}]",
            "vmovups {z}, ymmword ptr [{from2} + 4 * {offset}]",
            "vbroadcastss {factor}, dword ptr [{left}]",
            "vfmadd231ps {a}, {factor}, {x}",
            "vfmadd231ps {b}, {factor}, {y}",
            "vfmadd231ps {c}, {factor}, {z}",
            "vbroadcastss {factor}, dword ptr [{left} + 4]",
            "vfmadd231ps {d}, {factor}, {x}",
            "vfmadd231ps {e}, {factor}, {y}",
            "vfmadd231ps {f}, {factor}, {z}",
            "vbroadcastss {factor}, dword ptr [{left} + 8]",
            "vfmadd231ps {g}, {factor}, {x}",
            "vfmadd231ps {h}, {factor}, {y}",
            "vfmadd231ps {i}, {factor}, {z}",
            "vbroadcastss {factor}, dword ptr [{left} + 12]",
            "vfmadd231ps {j}, {factor}, {x}",
            "vfmadd231ps {k}, {factor}, {y}",
            "vfmadd231ps {l}, {factor}, {z}",
            "add {left}, 16",
            "add {offsets}, 4",
            "dec {depth}",
            "jne 2b",
            left = inout(reg) left => _, offsets = inout(reg) offsets => _, depth = inout(reg) depth => _,
            from0 = in(reg) from0, from1 = in(reg) from1, from2 = in(reg) from2, offset = out(reg) _,
            x = out(ymm_reg) _, y = out(ymm_reg) _, z = out(ymm_reg) _, factor = out(ymm_reg) _,
            a = inout(ymm_reg) a, b = inout(ymm_reg) b, c = inout(ymm_reg) c, d = inout(ymm_reg) d,
            e = inout(ymm_reg) e, f = inout(ymm_reg) f, g = inout(ymm_reg) g, h = inout(ymm_reg) h,
            i = inout(ymm_reg) i, j = inout(ymm_reg) j, k = inout(ymm_reg) k, l = inout(ymm_reg) l,
            options(nostack, readonly)
        );
        sums.write([a, b, c, d, e, f, g, h, i, j, k, l]);
    }
}
implement!(
    Avx512,
    __m512,
    16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_add_ps,
    _mm512_max_ps,
    _mm512_fmadd_ps
);

/// Writes the transpose of eight rows of eight values: `to[i · to_stride + j] = rows[j][i]`.
///
/// # Safety
///
/// AVX2 exists; eight values can be read at each of `rows`, and written at each of the eight rows of `to`.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn transpose_8x8(rows: [__m256; 8], to: *mut f32, to_stride: usize) {
    let [a, b, c, d, e, f, g, h] = rows;
    let pairs = [
        _mm256_unpacklo_ps(a, b),
        _mm256_unpackhi_ps(a, b),
        _mm256_unpacklo_ps(c, d),
        _mm256_unpackhi_ps(c, d),
        _mm256_unpacklo_ps(e, f),
        _mm256_unpackhi_ps(e, f),
        _mm256_unpacklo_ps(g, h),
        _mm256_unpackhi_ps(g, h),
    ];
    let fours = [
        _mm256_shuffle_ps::<0x44>(pairs[0], pairs[2]),
        _mm256_shuffle_ps::<0xee>(pairs[0], pairs[2]),
        _mm256_shuffle_ps::<0x44>(pairs[1], pairs[3]),
        _mm256_shuffle_ps::<0xee>(pairs[1], pairs[3]),
        _mm256_shuffle_ps::<0x44>(pairs[4], pairs[6]),
        _mm256_shuffle_ps::<0xee>(pairs[4], pairs[6]),
        _mm256_shuffle_ps::<0x44>(pairs[5], pairs[7]),
        _mm256_shuffle_ps::<0xee>(pairs[5], pairs[7]),
    ];
    let mut i = 0;
    while i < 4 {
        // SAFETY: the caller has room for eight values in each of the eight rows.
        unsafe {
            _mm256_storeu_ps(to.add(i * to_stride), _mm256_permute2f128_ps::<0x20>(fours[i], fours[i + 4]));
            _mm256_storeu_ps(
                to.add((i + 4) * to_stride),
                _mm256_permute2f128_ps::<0x31>(fours[i], fours[i + 4]),
            );
        }
        i += 1;
    }
}
