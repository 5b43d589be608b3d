//! The levels of x86-64.

use std::arch::asm;
use std::arch::x86_64::*;

use super::{Fused, Simd};

/// AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// AVX-512F.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

/// Implements [`Simd`] by one intrinsic a function.
macro_rules! implement {
    (
        $level:ident, $vector:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident,
        $sub:ident, $max:ident, $interleave:ident, $deinterleave:ident, $masked:ident, $fma:ident
        $(, $sums:item)?
    ) => {
        impl Fused for $level {
            #[inline(always)]
            fn fused(a: f32, b: f32, c: f32) -> f32 {
                a.mul_add(b, c)
            }
        }

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
            unsafe fn sub(a: $vector, b: $vector) -> $vector {
                // SAFETY: the caller knows that the instruction exists.
                unsafe { $sub(a, b) }
            }

            #[inline(always)]
            unsafe fn interleave(a: $vector, b: $vector) -> [$vector; 2] {
                // SAFETY: the caller knows that the instructions exist.
                unsafe { $interleave(a, b) }
            }

            #[inline(always)]
            unsafe fn deinterleave(a: $vector, b: $vector) -> [$vector; 2] {
                // SAFETY: the caller knows that the instructions exist.
                unsafe { $deinterleave(a, b) }
            }

            #[inline(always)]
            unsafe fn masked(value: $vector, output: $vector) -> $vector {
                // SAFETY: the caller knows that the instructions exist.
                unsafe { $masked(value, output) }
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
    _mm256_sub_ps,
    _mm256_max_ps,
    interleave_8,
    deinterleave_8,
    masked_8,
    _mm256_fmadd_ps,
    #[inline(always)]
    unsafe fn sums<const R: usize, const V: usize>(
        depth: usize,
        left: *const f32,
        offsets: *const u32,
        from: [*const f32; V],
    ) -> [[__m256; V]; R] {
        if R == 4 && V == 3 && depth > 0 {
            // SAFETY: the caller's conditions are those of the function; `from` has its three pointers, and
            // an array of four times three vectors is one of `R` times `V`.
            unsafe {
                let sums = sums_4x3(depth, left, offsets, *from.as_ptr().cast());
                return std::mem::transmute_copy(&sums);
            }
        }
        // SAFETY: the caller's conditions.
        unsafe { super::sums::<Self, R, V>(depth, left, offsets, from) }
    }
);

/// [`Simd::sums`] of four rows and three vectors, which take all sixteen registers: the compiler, left to
/// itself, moves one load too far up and then spills sums in the innermost loop, at half the speed.
///
/// # Safety
///
/// As [`Simd::sums`], with `depth` not zero.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn sums_4x3(
    depth: usize,
    left: *const f32,
    offsets: *const u32,
    [from0, from1, from2]: [*const f32; 3],
) -> [[__m256; 3]; 4] {
    let zero = _mm256_setzero_ps();
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h, mut i, mut j, mut k, mut l] = [zero; 12];
    // SAFETY: the loop runs `depth` times and reads what the caller has; it writes registers only.
    unsafe {
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
    }
    [[a, b, c], [d, e, f], [g, h, i], [j, k, l]]
}
implement!(
    Avx512,
    __m512,
    16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_max_ps,
    interleave_16,
    deinterleave_16,
    masked_16,
    _mm512_fmadd_ps
);

#[inline]
#[target_feature(enable = "avx2")]
fn interleave_8(a: __m256, b: __m256) -> [__m256; 2] {
    let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    [_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn interleave_16(a: __m512, b: __m512) -> [__m512; 2] {
    let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    let high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    [_mm512_permutex2var_ps(a, low, b), _mm512_permutex2var_ps(a, high, b)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn deinterleave_8(a: __m256, b: __m256) -> [__m256; 2] {
    // In pairs of lanes a b a b, which the permutation sorts.
    let (even, odd) = (_mm256_shuffle_ps::<0x88>(a, b), _mm256_shuffle_ps::<0xdd>(a, b));
    let (even, odd) = (_mm256_castps_pd(even), _mm256_castps_pd(odd));
    let (even, odd) = (_mm256_permute4x64_pd::<0xd8>(even), _mm256_permute4x64_pd::<0xd8>(odd));
    [_mm256_castpd_ps(even), _mm256_castpd_ps(odd)]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn deinterleave_16(a: __m512, b: __m512) -> [__m512; 2] {
    let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    [_mm512_permutex2var_ps(a, even, b), _mm512_permutex2var_ps(a, odd, b)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn masked_8(value: __m256, output: __m256) -> __m256 {
    // True where the output is positive or not a number.
    _mm256_and_ps(value, _mm256_cmp_ps::<_CMP_NLE_UQ>(output, _mm256_setzero_ps()))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn masked_16(value: __m512, output: __m512) -> __m512 {
    _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLE_UQ>(output, _mm512_setzero_ps()), value)
}

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
