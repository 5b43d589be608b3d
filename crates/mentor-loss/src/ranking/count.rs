//! All triplets of one anchor, by sorting its positives: the coefficient of each distance in the sum of the
//! hinges, and the cases, without enumerating a triplet.
//!
//! With keys t_i = d_ap,i + m, the hinge of positive i and a negative at distance v is max(0, t_i − v), and
//! it is active iff t_i > v. A negative's coefficient is minus the number of keys above it; a positive's is
//! the number of negatives below its key. Few positives are compared with every negative; many are sorted,
//! see `Table`.

use std::ops::Range;

use mentor_simd::dispatch;
use pulp::{Simd, WithSimd};

use super::element::{Element, lane_bounds};
use super::few::Few;
use super::keys::{CHUNK, Keys};
use super::sink::Sink;
use super::table::Table;

/// Up to so many positives are compared with every negative.
const FEW: usize = 20;

/// What all triplets of an anchor add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Totals {
    /// The sum of the hinges.
    pub(super) value: f64,
    pub(super) num_active: u64,
    pub(super) num_hard: u64,
}

/// Stands in a row of distances if there is no negative: farther than any key.
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
    few: Few,
    table: Table,
}

impl Counter {
    /// Gives `sink` the integers that multiply the `distances` of an anchor in the sum of its hinges.
    ///
    /// `own` are the samples of its class, with itself. Numbers from `num_samples` on are padding, and are
    /// overwritten; other `distances` end as they were.
    pub(super) fn count<T: Element>(
        &mut self,
        margin: f64,
        (anchor, own, num_samples): (usize, Range<usize>, usize),
        distances: &mut [f64],
        sink: &mut Sink<'_, T>,
    ) -> Totals {
        let Self { positives, active, hard, num_below, few, table } = self;
        positives.clear();
        positives.extend_from_slice(&distances[own.start..anchor]);
        positives.extend_from_slice(&distances[anchor + 1..own.end]);
        distances[own.clone()].fill(NOT_A_NEGATIVE);
        distances[num_samples..].fill(NOT_A_NEGATIVE);
        active.clear();
        active.extend(positives.iter().map(|distance| distance + margin));
        hard.clear();
        hard.extend(positives.iter().zip(&*active).map(|(distance, &key)| distance.next_up().min(key)));
        let (lowest, largest) = (lane_bounds(hard).0, lane_bounds(active).1);

        let counted = if positives.len() <= FEW {
            few.start(active, hard);
            count_negatives(few, active, distances, largest, num_below, sink)
        } else {
            table.start(active, hard, lowest, largest);
            count_negatives(table, active, distances, largest, num_below, sink)
        };

        let before = anchor - own.start;
        distances[own.start..anchor].copy_from_slice(&positives[..before]);
        distances[anchor] = 0.0;
        distances[anchor + 1..own.end].copy_from_slice(&positives[before..]);
        num_below.insert(before, 0.0);
        dispatch(|| sink.put(own.start, &distances[own], num_below));
        counted
    }
}

fn count_negatives<K: Keys, T: Element>(
    keys: &mut K,
    active: &[f64],
    distances: &[f64],
    largest: f64,
    num_below: &mut Vec<f64>,
    sink: &mut Sink<'_, T>,
) -> Totals {
    let sum = dispatch(Pass { keys, distances, largest, sink });
    num_below.clear();
    num_below.resize(active.len(), 0.0);
    let (num_active, num_hard) = keys.totals(active, num_below);
    let above: f64 = num_below.iter().zip(active).map(|(n, key)| n * (largest - key)).sum();
    Totals { value: if num_active == 0 { 0.0 } else { sum - above }, num_active, num_hard }
}

/// One pass over the negatives; gives Σ coefficient · (distance − largest).
///
/// Differences to the largest key are small where the hinges are, and so is what their sums lose.
struct Pass<'a, 'b, K, T> {
    keys: &'a mut K,
    distances: &'a [f64],
    largest: f64,
    sink: &'a mut Sink<'b, T>,
}

impl<K: Keys, T: Element> WithSimd for Pass<'_, '_, K, T> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let largest = simd.splat_f64s(self.largest);
        let mut sums = [simd.splat_f64s(0.0); 4];
        let mut coefficients = [0.0; CHUNK];
        for (chunk, distances) in self.distances.chunks(CHUNK).enumerate() {
            let coefficients = &mut coefficients[..distances.len()];
            self.keys.count(simd, distances, coefficients);
            self.sink.put(chunk * CHUNK, distances, coefficients);
            let (distances, _) = S::as_simd_f64s(distances);
            let (coefficients, _) = S::as_simd_f64s(coefficients);
            for (distances, coefficients) in distances.chunks(4).zip(coefficients.chunks(4)) {
                for ((sum, &distance), &coefficient) in sums.iter_mut().zip(distances).zip(coefficients) {
                    *sum = simd.mul_add_e_f64s(simd.sub_f64s(distance, largest), coefficient, *sum);
                }
            }
        }
        let [a, b, c, d] = sums;
        simd.reduce_sum_f64s(simd.add_f64s(simd.add_f64s(a, b), simd.add_f64s(c, d)))
    }
}
