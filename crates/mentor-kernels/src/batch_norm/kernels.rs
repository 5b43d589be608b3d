//! The passes over one channel, in vectors.
//!
//! A channel is the list of its planes. What several lists have in common is asserted in [`same_shape`].

use super::moments::{Affine, Moments, Slope};
use crate::simd::{Level, Simd, with_simd};
use crate::slices::{Total, load, store};

fn same_shape(a: &[&[f32]], b: &[&[f32]]) {
    assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.len() == b.len()), "planes of one shape");
}

fn same_shape_mut(a: &[&[f32]], b: &[&mut [f32]]) {
    assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.len() == b.len()), "planes of one shape");
}

/// to += from.
pub(super) fn add(level: Level, from: &[&[f32]], to: &mut [&mut [f32]]) {
    same_shape_mut(from, to);
    assert!(level.exists());
    // SAFETY: the level exists.
    unsafe { with_simd!(level, add_on(from: &[&[f32]], to: &mut [&mut [f32]])) }
}

#[inline(always)]
unsafe fn add_on<S: Simd>(from: &[&[f32]], to: &mut [&mut [f32]]) {
    for (from, to) in from.iter().zip(to) {
        let mut at = 0;
        while at < to.len() {
            // SAFETY: the caller knows that the instructions exist.
            unsafe { store::<S>(to, at, S::add(load::<S>(to, at, 0.0), load::<S>(from, at, 0.0))) };
            at += S::LANES;
        }
    }
}

/// Mean and variance.
pub(super) fn moments(level: Level, x: &[&[f32]]) -> Moments {
    assert!(level.exists());
    let count = x.iter().map(|plane| plane.len()).sum::<usize>() as f64;
    let total = &mut 0.0;
    // SAFETY: the level exists.
    unsafe { with_simd!(level, sum_on(x: &[&[f32]], total: &mut f64)) }
    let mean = (*total / count) as f32;
    // SAFETY: the level exists.
    unsafe { with_simd!(level, squares_on(x: &[&[f32]], mean: f32, total: &mut f64)) }
    Moments { mean, variance: (*total / count) as f32 }
}

#[inline(always)]
unsafe fn sum_on<S: Simd>(x: &[&[f32]], sum: &mut f64) {
    // SAFETY: the caller knows that the instructions exist.
    unsafe {
        let mut total = Total::<S>::new();
        for plane in x {
            let mut at = 0;
            while at < plane.len() {
                total.lanes = S::add(total.lanes, load::<S>(plane, at, 0.0));
                at += S::LANES;
            }
            total.end_part(plane.len());
        }
        *sum = total.flush();
    }
}

/// Σ (x − mean)².
#[inline(always)]
unsafe fn squares_on<S: Simd>(x: &[&[f32]], mean: f32, squares: &mut f64) {
    // SAFETY: the caller knows that the instructions exist.
    unsafe {
        let mut total = Total::<S>::new();
        let centre = S::splat(mean);
        for plane in x {
            let mut at = 0;
            while at < plane.len() {
                let deviation = S::sub(load::<S>(plane, at, mean), centre);
                total.lanes = S::mul_add(deviation, deviation, total.lanes);
                at += S::LANES;
            }
            total.end_part(plane.len());
        }
        *squares = total.flush();
    }
}

/// The normalised values, plus those of `shortcut`, and their positive part with the ReLU.
pub(super) fn normalise(
    level: Level,
    x: &[&[f32]],
    shortcut: Option<&[&[f32]]>,
    affine: Affine,
    y: &mut [&mut [f32]],
) {
    same_shape_mut(x, y);
    shortcut.inspect(|shortcut| same_shape(x, shortcut));
    assert!(level.exists());
    // SAFETY: the level exists, and `shortcut` has the planes of `x`.
    unsafe {
        with_simd!(
            level,
            normalise_on(x: &[&[f32]], shortcut: Option<&[&[f32]]>, affine: Affine, y: &mut [&mut [f32]])
        );
    }
}

#[inline(always)]
unsafe fn normalise_on<S: Simd>(
    x: &[&[f32]],
    shortcut: Option<&[&[f32]]>,
    affine: Affine,
    y: &mut [&mut [f32]],
) {
    // SAFETY: the caller knows that the instructions exist, and that `shortcut` has the planes of `x`.
    unsafe {
        let floor = S::splat(if affine.relu { 0.0 } else { f32::NEG_INFINITY });
        for (index, (x, y)) in x.iter().zip(y).enumerate() {
            let mut at = 0;
            while at < x.len() {
                let mut value = argument::<S>(affine, load::<S>(x, at, 0.0));
                if let Some(shortcut) = shortcut {
                    value = S::add(value, load::<S>(shortcut.get_unchecked(index), at, 0.0));
                }
                // In this order a NaN stays one.
                store::<S>(y, at, S::max(floor, value));
                at += S::LANES;
            }
        }
    }
}

/// scale · (x − mean) + shift.
#[inline(always)]
unsafe fn argument<S: Simd>(affine: Affine, x: S::Vector) -> S::Vector {
    // SAFETY: the caller knows that the instructions exist.
    unsafe { S::mul_add(S::sub(x, S::splat(affine.mean)), S::splat(affine.scale), S::splat(affine.shift)) }
}

/// What [`gather`] reads of a channel.
#[derive(Clone, Copy)]
pub(super) struct Behind<'a> {
    pub(super) x: &'a [&'a [f32]],
    /// A second gradient of the output.
    pub(super) second: Option<&'a [&'a [f32]]>,
    /// The output, where x alone does not tell what the ReLU let pass.
    pub(super) output: Option<&'a [&'a [f32]]>,
    pub(super) affine: Affine,
}

/// Makes `g` the gradient before the ReLU, and gives Σ g and Σ g (x − mean).
///
/// The ReLU's argument is computed as the forward pass did, to the bit.
pub(super) fn gather(level: Level, from: Behind<'_>, g: &mut [&mut [f32]]) -> [f64; 2] {
    same_shape_mut(from.x, g);
    [from.second, from.output].into_iter().flatten().for_each(|planes| same_shape(from.x, planes));
    assert!(level.exists());
    let sums = &mut [0.0; 2];
    // SAFETY: the level exists, and all lists have the planes of `x`.
    unsafe { with_simd!(level, gather_on(from: Behind<'_>, g: &mut [&mut [f32]], sums: &mut [f64; 2])) }
    *sums
}

#[inline(always)]
unsafe fn gather_on<S: Simd>(from: Behind<'_>, g: &mut [&mut [f32]], sums: &mut [f64; 2]) {
    let Behind { x, second, output, affine } = from;
    // SAFETY: the caller knows that the instructions exist, and that all lists have the planes of `x`.
    unsafe {
        let (mut plain, mut products) = (Total::<S>::new(), Total::<S>::new());
        for (index, (x, g)) in x.iter().zip(g).enumerate() {
            let mut at = 0;
            while at < x.len() {
                let x = load::<S>(x, at, 0.0);
                let mut gradient = load::<S>(g, at, 0.0);
                if let Some(second) = second {
                    gradient = S::add(gradient, load::<S>(second.get_unchecked(index), at, 0.0));
                }
                if affine.relu {
                    let output = match output {
                        Some(output) => load::<S>(output.get_unchecked(index), at, 0.0),
                        None => argument::<S>(affine, x),
                    };
                    gradient = S::masked(gradient, output);
                }
                plain.lanes = S::add(plain.lanes, gradient);
                products.lanes = S::mul_add(gradient, S::sub(x, S::splat(affine.mean)), products.lanes);
                store::<S>(g, at, gradient);
                at += S::LANES;
            }
            plain.end_part(x.len());
            products.end_part(x.len());
        }
        *sums = [plain.flush(), products.flush()];
    }
}

/// Writes the gradient of x to `dx`, from `g`, or from `dx` where that is `None`; and adds `other`, one that came another way.
pub(super) fn slope(
    level: Level,
    x: &[&[f32]],
    g: Option<&[&[f32]]>,
    other: Option<&[&[f32]]>,
    slope: Slope,
    dx: &mut [&mut [f32]],
) {
    same_shape_mut(x, dx);
    [g, other].into_iter().flatten().for_each(|planes| same_shape(x, planes));
    assert!(level.exists());
    // SAFETY: the level exists, and all lists have the planes of `x`.
    unsafe {
        with_simd!(
            level,
            slope_on(
                x: &[&[f32]], g: Option<&[&[f32]]>, other: Option<&[&[f32]]>, slope: Slope, dx: &mut [&mut [f32]],
            )
        );
    }
}

#[inline(always)]
unsafe fn slope_on<S: Simd>(
    x: &[&[f32]],
    g: Option<&[&[f32]]>,
    other: Option<&[&[f32]]>,
    slope: Slope,
    dx: &mut [&mut [f32]],
) {
    // SAFETY: the caller knows that the instructions exist, and that all lists have the planes of `x`.
    unsafe {
        let Slope { mean, of_gradient, of_deviation, constant } = slope;
        for (index, (x, dx)) in x.iter().zip(dx).enumerate() {
            let mut at = 0;
            while at < x.len() {
                let deviation = S::sub(load::<S>(x, at, 0.0), S::splat(mean));
                let g = match g {
                    Some(g) => load::<S>(g.get_unchecked(index), at, 0.0),
                    None => load::<S>(dx, at, 0.0),
                };
                let mut value = S::mul_add(deviation, S::splat(of_deviation), S::splat(constant));
                value = S::mul_add(g, S::splat(of_gradient), value);
                if let Some(other) = other {
                    value = S::add(value, load::<S>(other.get_unchecked(index), at, 0.0));
                }
                store::<S>(dx, at, value);
                at += S::LANES;
            }
        }
    }
}
