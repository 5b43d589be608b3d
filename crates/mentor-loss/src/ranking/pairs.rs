//! All pairs of a batch.

use super::block::{Wanted, each_anchor};
use super::points::Points;
use super::sink::Sink;
use crate::{Average, PairwiseRanking};

/// A loss on pairs with its gradient and its counts.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedPairs {
    /// The mean over the pairs, by the average that was asked for; 0 if there is none.
    pub loss: f64,
    /// Its derivative with respect to the embeddings, `[N, D]`.
    pub gradient: Vec<f64>,
    /// N(N − 1)/2.
    pub num_pairs: u64,
    /// Those whose loss is above 0.
    pub num_active: u64,
}

/// The loss of all pairs.
pub(super) fn of_pairs(points: &Points, ranking: &PairwiseRanking, average: Average) -> RankedPairs {
    let (mut sum, mut num_active) = (0.0, 0_u64);
    let of_anchor =
        |slopes: &mut Vec<f64>, anchor: usize, distances: &mut [f64], sink: &mut Sink<'_, f64>| {
            slopes.clear();
            slopes.resize(distances.len(), 0.0);
            let (mut sum, mut num_active) = (0.0, 0_u64);
            // The anchor itself is no pair: a positive at distance 0, whose loss and slope are 0.
            for (other, &d) in distances[..points.num_samples].iter().enumerate() {
                let same = points.class[anchor].contains(&other);
                let value = ranking.value(d, same);
                sum += value;
                num_active += u64::from(value > 0.0);
                slopes[other] = ranking.slope(d, same);
            }
            sink.put(0, distances, slopes);
            (sum, num_active)
        };
    // Both orders of each pair come by.
    let gradient = each_anchor(points, Wanted::Gradient, of_anchor, |(of_anchor, active)| {
        sum += of_anchor;
        num_active += active;
    });
    let num_ordered = points.num_samples as u64 * (points.num_samples as u64).saturating_sub(1);
    let count = match average {
        Average::Valid => num_ordered,
        Average::Active => num_active,
    };
    let factor = if count == 0 { 0.0 } else { 1.0 / count as f64 };
    RankedPairs {
        loss: sum * factor,
        gradient: points.gradient(gradient, factor),
        num_pairs: num_ordered / 2,
        num_active: num_active / 2,
    }
}
