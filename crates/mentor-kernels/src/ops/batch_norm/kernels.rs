//! The passes over a group of channels, in vectors.
//!
//! A group is the list of its planes, image after image, so that plane i belongs to channel i modulo their
//! number. What several lists have in common is asserted in [`same_shape`].

use super::moments::{Affine, Moments, Slope};
use crate::host::slices::{Total, load, store};
use crate::simd::{Level, Simd, with_simd};

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

/// Mean and variance of each of `channels`.
pub(super) fn moments(level: Level, x: &[&[f32]], channels: usize) -> Vec<Moments> {
    let count = x.iter().step_by(channels).map(|plane| plane.len()).sum::<usize>() as f64;
    let means: Vec<f32> =
        sums(level, x, None, channels).into_iter().map(|sum| (sum / count) as f32).collect();
    let squares = sums(level, x, Some(&means), channels);
    let pairs = means.into_iter().zip(squares);
    pairs.map(|(mean, squares)| Moments { mean, variance: (squares / count) as f32 }).collect()
}

/// Σ x of each channel, or Σ (x − mean)² if there are means.
fn sums(level: Level, x: &[&[f32]], means: Option<&[f32]>, channels: usize) -> Vec<f64> {
    assert!(level.exists() && means.is_none_or(|means| means.len() == channels));
    let mut sums = vec![0.0; channels];
    let found = &mut sums[..];
    // SAFETY: the level exists.
    unsafe { with_simd!(level, sums_on(x: &[&[f32]], means: Option<&[f32]>, found: &mut [f64])) }
    sums
}

#[inline(always)]
unsafe fn sums_on<S: Simd>(x: &[&[f32]], means: Option<&[f32]>, found: &mut [f64]) {
    // SAFETY: the caller knows that the instructions exist.
    unsafe {
        let mut totals: Vec<_> = found.iter().map(|_| Total::<S>::new()).collect();
        for (index, plane) in x.iter().enumerate() {
            let channel = index % totals.len();
            let total = &mut totals[channel];
            let (mut lanes, mut at) = (total.lanes, 0);
            match means {
                None => {
                    while at < plane.len() {
                        lanes = S::add(lanes, load::<S>(plane, at, 0.0));
                        at += S::LANES;
                    }
                }
                Some(means) => {
                    let mean = means[channel];
                    while at < plane.len() {
                        let deviation = S::sub(load::<S>(plane, at, mean), S::splat(mean));
                        lanes = S::mul_add(deviation, deviation, lanes);
                        at += S::LANES;
                    }
                }
            }
            total.lanes = lanes;
            total.end_part(plane.len());
        }
        found.iter_mut().zip(&mut totals).for_each(|(found, total)| *found = total.flush());
    }
}

/// The normalised values, plus those of `shortcut`, and their positive part with the ReLU.
pub(super) fn normalise(
    level: Level,
    x: &[&[f32]],
    shortcut: Option<&[&[f32]]>,
    affines: &[Affine],
    y: &mut [&mut [f32]],
) {
    same_shape_mut(x, y);
    shortcut.inspect(|shortcut| same_shape(x, shortcut));
    assert!(level.exists());
    // SAFETY: the level exists, and `shortcut` has the planes of `x`.
    unsafe {
        with_simd!(
            level,
            normalise_on(
                x: &[&[f32]], shortcut: Option<&[&[f32]]>, affines: &[Affine], y: &mut [&mut [f32]],
            )
        );
    }
}

#[inline(always)]
unsafe fn normalise_on<S: Simd>(
    x: &[&[f32]],
    shortcut: Option<&[&[f32]]>,
    affines: &[Affine],
    y: &mut [&mut [f32]],
) {
    // SAFETY: the caller knows that the instructions exist, and that `shortcut` has the planes of `x`.
    unsafe {
        for (index, (x, y)) in x.iter().zip(y).enumerate() {
            let affine = affines[index % affines.len()];
            let floor = S::splat(if affine.relu { 0.0 } else { f32::NEG_INFINITY });
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

/// What [`gather`] reads of a group.
#[derive(Clone, Copy)]
pub(super) struct Behind<'a> {
    pub(super) x: &'a [&'a [f32]],
    /// A second gradient of the output.
    pub(super) second: Option<&'a [&'a [f32]]>,
    /// The output, where x alone does not tell what the ReLU let pass.
    pub(super) output: Option<&'a [&'a [f32]]>,
    pub(super) affines: &'a [Affine],
}

/// Makes `g` the gradient before the ReLU, and gives Σ g and Σ g (x − mean) of each channel.
///
/// The ReLU's argument is computed as the forward pass did, to the bit.
pub(super) fn gather(level: Level, from: Behind<'_>, g: &mut [&mut [f32]]) -> Vec<[f64; 2]> {
    same_shape_mut(from.x, g);
    [from.second, from.output].into_iter().flatten().for_each(|planes| same_shape(from.x, planes));
    assert!(level.exists());
    let mut sums = vec![[0.0; 2]; from.affines.len()];
    let found = &mut sums[..];
    // SAFETY: the level exists, and all lists have the planes of `x`.
    unsafe { with_simd!(level, gather_on(from: Behind<'_>, g: &mut [&mut [f32]], found: &mut [[f64; 2]])) }
    sums
}

#[inline(always)]
unsafe fn gather_on<S: Simd>(from: Behind<'_>, g: &mut [&mut [f32]], found: &mut [[f64; 2]]) {
    let Behind { x, second, output, affines } = from;
    // SAFETY: the caller knows that the instructions exist, and that all lists have the planes of `x`.
    unsafe {
        let mut totals: Vec<_> = affines.iter().map(|_| [Total::<S>::new(), Total::<S>::new()]).collect();
        for (index, (x, g)) in x.iter().zip(g).enumerate() {
            let affine = affines[index % affines.len()];
            let [plain, products] = &mut totals[index % affines.len()];
            let (mut sum, mut sum_of_products, mut at) = (plain.lanes, products.lanes, 0);
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
                sum = S::add(sum, gradient);
                sum_of_products = S::mul_add(gradient, S::sub(x, S::splat(affine.mean)), sum_of_products);
                store::<S>(g, at, gradient);
                at += S::LANES;
            }
            (plain.lanes, products.lanes) = (sum, sum_of_products);
            plain.end_part(x.len());
            products.end_part(x.len());
        }
        for (found, [plain, products]) in found.iter_mut().zip(&mut totals) {
            *found = [plain.flush(), products.flush()];
        }
    }
}

/// Writes the gradient of x to `dx`, from `g`, or from `dx` where that is `None`; and adds `other`, one that
/// came another way.
pub(super) fn slope(
    level: Level,
    x: &[&[f32]],
    g: Option<&[&[f32]]>,
    other: Option<&[&[f32]]>,
    slopes: &[Slope],
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
                x: &[&[f32]], g: Option<&[&[f32]]>, other: Option<&[&[f32]]>, slopes: &[Slope],
                dx: &mut [&mut [f32]],
            )
        );
    }
}

#[inline(always)]
unsafe fn slope_on<S: Simd>(
    x: &[&[f32]],
    g: Option<&[&[f32]]>,
    other: Option<&[&[f32]]>,
    slopes: &[Slope],
    dx: &mut [&mut [f32]],
) {
    // SAFETY: the caller knows that the instructions exist, and that all lists have the planes of `x`.
    unsafe {
        for (index, (x, dx)) in x.iter().zip(dx).enumerate() {
            let Slope { mean, of_gradient, of_deviation, constant } = slopes[index % slopes.len()];
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
