//! The elements that products are taken of, `f32` or `f64`, in vectors as wide as the processor has.

use pulp::Simd;

/// `f32` or `f64`, in vectors.
pub(super) trait Element: Copy + Default + Send + Sync {
    /// Numbers in 64 bytes, a vector of AVX-512: how many coordinates are multiplied at once.
    const WIDTH: usize;
    /// Nearer than this share of its length, a difference of embeddings is not left to products of this type.
    const NEAR: f64;
    /// A vector of them.
    type Vector<S: Simd>: Copy;

    fn narrow(value: f64) -> Self;
    fn widen(self) -> f64;
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    fn add<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// `a · b + c`, rounded once where that is as fast.
    fn mul_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    fn vectors<S: Simd>(slice: &[Self]) -> &[Self::Vector<S>];
    fn vectors_mut<S: Simd>(slice: &mut [Self]) -> &mut [Self::Vector<S>];
}

macro_rules! element {
    (
        $scalar:ty, $near:expr, $vector:ident, $splat:ident, $add:ident, $mul_add:ident, $as:ident,
        $as_mut:ident
    ) => {
        impl Element for $scalar {
            const WIDTH: usize = 64 / size_of::<$scalar>();
            const NEAR: f64 = $near;
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn narrow(value: f64) -> Self {
                value as $scalar
            }
            #[inline(always)]
            fn widen(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }
            #[inline(always)]
            fn add<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn mul_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn vectors<S: Simd>(slice: &[Self]) -> &[S::$vector] {
                S::$as(slice).0
            }
            #[inline(always)]
            fn vectors_mut<S: Simd>(slice: &mut [Self]) -> &mut [S::$vector] {
                S::$as_mut(slice).0
            }
        }
    };
}

element!(f32, 1.0 / 32.0, f32s, splat_f32s, add_f32s, mul_add_e_f32s, as_simd_f32s, as_mut_simd_f32s);
element!(f64, 0.0, f64s, splat_f64s, add_f64s, mul_add_e_f64s, as_simd_f64s, as_mut_simd_f64s);

/// A sum in eight lanes: quicker, and more exact, than one number after the other.
#[inline(always)]
pub(super) fn lane_sum<T: Element>(values: &[T]) -> f64 {
    let mut lanes = [0.0; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, value)| *lane += value.widen());
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|value| value.widen()).sum::<f64>()
}

/// The least and the largest of some numbers, of which there is at least one.
pub(super) fn lane_bounds(values: &[f64]) -> (f64, f64) {
    let (mut least, mut largest) = ([values[0]; 8], [values[0]; 8]);
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks.iter().map(|chunk| &chunk[..]).chain([rest]) {
        for ((least, largest), &value) in least.iter_mut().zip(&mut largest).zip(chunk) {
            *least = least.min(value);
            *largest = largest.max(value);
        }
    }
    (least.into_iter().fold(values[0], f64::min), largest.into_iter().fold(values[0], f64::max))
}
