//! The soft margin over all triplets, which has no kinks that a sum over a sorted list could rest on: one
//! exponential a triplet.

use super::all::ranked;
use super::block::{Sums, Wanted, each_anchor};
use super::points::Points;
use super::ranked::Ranked;
use super::sink::Sink;
use crate::{Average, Case, TripletRanking};

/// The loss of all triplets of a batch, with its gradient.
pub(super) fn of_batch(points: &Points, ranking: &TripletRanking, average: Average) -> Ranked {
    let of_anchor =
        |slopes: &mut Vec<f64>, anchor: usize, distances: &mut [f64], sink: &mut Sink<'_, f64>| {
            slopes.clear();
            slopes.resize(distances.len(), 0.0);
            let own = points.class[anchor].clone();
            let others = || (0..own.start).chain(own.end..points.num_samples);
            let mut sums = Sums {
                positive_distance: distances[own.clone()].iter().sum(),
                negative_distance: others().map(|negative| distances[negative]).sum(),
                ..Sums::default()
            };
            for positive in own.clone().filter(|&positive| positive != anchor) {
                let d_ap = distances[positive];
                for negative in others() {
                    let d_an = distances[negative];
                    let slope = ranking.slope(d_ap, d_an);
                    slopes[positive] += slope;
                    slopes[negative] -= slope;
                    sums.value += ranking.value(d_ap, d_an);
                    sums.num_active += 1;
                    sums.num_hard += u64::from(ranking.case(d_ap, d_an) == Case::Hard);
                }
            }
            sink.put(0, distances, slopes);
            sums
        };
    let mut sums = Sums::default();
    let gradient = each_anchor(points, Wanted::Gradient, of_anchor, |of_anchor| sums.add(&of_anchor));
    ranked(points, &sums, gradient, average)
}
