//! Consumers of the coefficients of an anchor's distances, part by part.

use mentor_simd::dispatch;

use super::element::{Element, lane_sum};
use crate::Distance;

/// Takes what multiplies the distances of one anchor.
pub(super) enum Sink<'a, T> {
    /// Only counts are wanted.
    Nothing,
    /// The integers, `[N]`.
    Integers(&'a mut [i32]),
    /// The weights of the pairs, see [`weight`].
    Weights(WeightRow<'a, T>),
}

/// The weights of the pairs of one anchor.
pub(super) struct WeightRow<'a, T> {
    pub(super) distance: Distance,
    /// Pairs below this distance get the weight 0 and are listed.
    pub(super) near: f64,
    /// `[stride]`.
    pub(super) weights: &'a mut [T],
    /// Places and weights of near pairs.
    pub(super) near_pairs: Vec<(usize, f64)>,
}

/// What is left of the weights of an anchor when all are written.
#[derive(Default)]
pub(super) struct Weighed {
    pub(super) total: f64,
    pub(super) near_pairs: Vec<(usize, f64)>,
}

impl<T: Element> Sink<'_, T> {
    /// Takes the coefficients of the distances from place `first` on; the last one for a place counts.
    #[inline(always)]
    pub(super) fn put(&mut self, first: usize, distances: &[f64], coefficients: &[f64]) {
        match self {
            Self::Nothing => {}
            Self::Integers(all) => {
                // The last distances may be padding alone, past the N integers.
                let integers = all.get_mut(first..).unwrap_or_default().iter_mut().zip(coefficients);
                integers.for_each(|(integer, &coefficient)| *integer = coefficient as i32);
            }
            Self::Weights(row) => row.put(first, distances, coefficients),
        }
    }

    /// Takes 0 for every distance.
    pub(super) fn put_none(&mut self) {
        match self {
            Self::Nothing => {}
            Self::Integers(all) => all.fill(0),
            Self::Weights(row) => row.weights.fill(T::default()),
        }
    }

    /// After the last coefficient.
    pub(super) fn finish(self) -> Weighed {
        match self {
            Self::Nothing | Self::Integers(_) => Weighed::default(),
            Self::Weights(row) => {
                Weighed { total: dispatch(|| lane_sum(row.weights)), near_pairs: row.near_pairs }
            }
        }
    }
}

impl<T: Element> WeightRow<'_, T> {
    #[inline(always)]
    fn put(&mut self, first: usize, distances: &[f64], coefficients: &[f64]) {
        let Self { distance, near, .. } = *self;
        let weights = &mut self.weights[first..][..distances.len()];
        let pairs = || coefficients.iter().zip(distances);
        let mut any_near = false;
        for (out, (&coefficient, &d)) in weights.iter_mut().zip(pairs()) {
            let weight = weight(distance, coefficient, d);
            any_near |= (d < near) & (weight != 0.0);
            *out = T::narrow(if d < near { 0.0 } else { weight });
        }
        if any_near {
            let weights = pairs().map(|(&coefficient, &d)| (d, weight(distance, coefficient, d)));
            let near_pairs = (first..).zip(weights).filter(|&(_, (d, weight))| d < near && weight != 0.0);
            self.near_pairs.extend(near_pairs.map(|(place, (_, weight))| (place, weight)));
        }
    }
}

/// The weight with ∂(coefficient · distance)/∂a = weight · (a − b), by the distance d of a and b.
#[inline(always)]
pub(super) fn weight(distance: Distance, coefficient: f64, d: f64) -> f64 {
    match distance {
        // Divided even by 0, and then chosen, so that vectors can be used.
        Distance::Euclidean => {
            let quotient = coefficient / d;
            if d > 0.0 { quotient } else { 0.0 }
        }
        Distance::SquaredEuclidean => 2.0 * coefficient,
        Distance::Cosine => coefficient,
    }
}
