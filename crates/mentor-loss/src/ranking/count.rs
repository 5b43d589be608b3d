//! All triplets of one anchor, by sorting its positives: the coefficient of each distance in the sum of the hinges,
//! and the cases, without enumerating a triplet.
//!
//! With keys t_i = d_ap,i + m, the hinge of positive i and a negative at distance v is max(0, t_i − v), and it is active
//! iff t_i > v. A negative's coefficient is minus the number of keys above it; a positive's is the number of
//! negatives below its key. Few positives are compared with every negative; many are sorted, see `Table`.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::simd::dispatch;
use super::table::Table;

/// Up to so many positives are compared with every negative, four at a time.
const FEW: usize = 20;

/// What all triplets of an anchor add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Totals {
    /// The sum of the hinges.
    pub(super) value: f64,
    pub(super) num_active: u64,
    pub(super) num_hard: u64,
}

/// Stands in a row of distances where there is no negative: farther than any key.
const NOT_A_NEGATIVE: f64 = f64::MAX;

/// Counts the triplets of one anchor after the other, in the same memory.
#[derive(Default)]
pub(super) struct Counter {
    /// Distances of the positives.
    positives: Vec<f64>,
    /// t_i of each positive: a negative below it makes an active triplet.
    active: Vec<f64>,
    /// The same for hard triplets: d_an ≤ d_ap, but only if active.
    hard: Vec<f64>,
    /// The negatives below the active key of each positive.
    num_below: Vec<f64>,
    table: Table,
}

impl Counter {
    /// Writes the integers that multiply the `distances` of an anchor in the sum of its hinges.
    ///
    /// `own` are the samples of its class, with itself. Numbers from `num_samples` on are padding. Both are
    /// overwritten while the negatives are counted; `distances` ends as it was, but for the padding.
    pub(super) fn count(
        &mut self,
        margin: f64,
        (anchor, own, num_samples): (usize, Range<usize>, usize),
        distances: &mut [f64],
        coefficients: &mut [f64],
    ) -> Totals {
        let places = || own.clone().filter(|&place| place != anchor);
        self.positives.clear();
        self.positives.extend(places().map(|place| distances[place]));
        distances[own.clone()].fill(NOT_A_NEGATIVE);
        distances[num_samples..].fill(NOT_A_NEGATIVE);

        let totals = self.count_negatives(margin, distances, coefficients);

        distances[anchor] = 0.0;
        for ((place, &distance), &num_below) in places().zip(&self.positives).zip(&self.num_below) {
            distances[place] = distance;
            coefficients[place] = num_below;
        }
        totals
    }

    /// Writes the coefficients of the negatives, and `num_below`.
    fn count_negatives(&mut self, margin: f64, distances: &[f64], coefficients: &mut [f64]) -> Totals {
        let Self { positives, active, hard, num_below, table } = self;
        active.clear();
        active.extend(positives.iter().map(|distance| distance + margin));
        hard.clear();
        hard.extend(positives.iter().zip(&*active).map(|(distance, &key)| distance.next_up().min(key)));
        num_below.clear();
        num_below.resize(positives.len(), 0.0);
        let largest = active.iter().copied().fold(0.0, f64::max);

        let (num_active, num_hard) = if positives.len() <= FEW {
            for keys in [&mut *active, hard] {
                keys.resize(keys.len().next_multiple_of(4), f64::NEG_INFINITY); // above no distance
            }
            coefficients.fill(0.0);
            dispatch(Compare { active, hard, distances, coefficients, num_below })
        } else {
            table.build(active, hard);
            table.look_up(distances, coefficients);
            table.totals(active, num_below)
        };
        // Sums of differences to the largest key: they are small where the hinges are.
        let above: f64 = num_below.iter().zip(&*active).map(|(n, key)| n * (largest - key)).sum();
        let value = dispatch(Dot { distances, coefficients, largest }) - above;
        Totals { value: if num_active == 0 { 0.0 } else { value }, num_active, num_hard }
    }
}

/// Every key against every negative.
struct Compare<'a> {
    /// A multiple of four keys.
    active: &'a [f64],
    hard: &'a [f64],
    distances: &'a [f64],
    coefficients: &'a mut [f64],
    num_below: &'a mut [f64],
}

impl WithSimd for Compare<'_> {
    type Output = (u64, u64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (u64, u64) {
        let (zero, one) = (simd.splat_f64s(0.0), simd.splat_f64s(1.0));
        let above = |key, distance| simd.select_f64s(simd.less_than_f64s(distance, key), one, zero);
        let (distances, _) = S::as_simd_f64s(self.distances);
        let (coefficients, _) = S::as_mut_simd_f64s(self.coefficients);
        let mut num_hard = zero;
        let keys = self.active.chunks_exact(4).zip(self.hard.chunks_exact(4));
        for ((active, hard), num_below) in keys.zip(self.num_below.chunks_mut(4)) {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| simd.splat_f64s(active[i]));
            let hard = [0, 1, 2, 3].map(|i| simd.splat_f64s(hard[i]));
            let mut counts = [zero; 4];
            for (&distance, coefficient) in distances.iter().zip(&mut *coefficients) {
                let active = [above(a, distance), above(b, distance), above(c, distance), above(d, distance)];
                for (count, active) in counts.iter_mut().zip(active) {
                    *count = simd.add_f64s(*count, active);
                }
                let [a, b, c, d] = active;
                let sum = simd.add_f64s(simd.add_f64s(a, b), simd.add_f64s(c, d));
                *coefficient = simd.sub_f64s(*coefficient, sum);
                let [a, b, c, d] = hard.map(|key| above(key, distance));
                let sum = simd.add_f64s(simd.add_f64s(a, b), simd.add_f64s(c, d));
                num_hard = simd.add_f64s(num_hard, sum);
            }
            for (total, count) in num_below.iter_mut().zip(counts) {
                *total = simd.reduce_sum_f64s(count);
            }
        }
        let num_active: f64 = self.num_below.iter().sum();
        (num_active as u64, simd.reduce_sum_f64s(num_hard) as u64)
    }
}

/// Σ coefficient · (distance − largest).
struct Dot<'a> {
    distances: &'a [f64],
    coefficients: &'a [f64],
    largest: f64,
}

impl WithSimd for Dot<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let largest = simd.splat_f64s(self.largest);
        let mut sums = [simd.splat_f64s(0.0); 4];
        let (distances, _) = S::as_simd_f64s(self.distances);
        let (coefficients, _) = S::as_simd_f64s(self.coefficients);
        for (distances, coefficients) in distances.chunks(4).zip(coefficients.chunks(4)) {
            for ((sum, &distance), &coefficient) in sums.iter_mut().zip(distances).zip(coefficients) {
                *sum = simd.mul_add_e_f64s(simd.sub_f64s(distance, largest), coefficient, *sum);
            }
        }
        let [a, b, c, d] = sums;
        simd.reduce_sum_f64s(simd.add_f64s(simd.add_f64s(a, b), simd.add_f64s(c, d)))
    }
}
