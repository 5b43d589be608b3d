//! All pairs of a batch.

use super::block::{Wanted, each_anchor};
use super::pair_sum::PairSum;
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
    let all = sum_of_pairs(points, ranking, |_| true);
    let factor = match all.denominator(average) {
        0 => 0.0,
        count => 1.0 / count as f64,
    };
    let PairSum { sum, mut gradient, num_pairs, num_active } = all;
    gradient.iter_mut().for_each(|value| *value *= factor);
    RankedPairs { loss: sum * factor, gradient, num_pairs, num_active }
}

/// The losses of the pairs of a kind, each pair once: `counts` is asked whether a pair of one class (or of
/// two) counts.
pub(super) fn sum_of_pairs(
    points: &Points,
    ranking: &PairwiseRanking,
    counts: impl Fn(bool) -> bool + Sync,
) -> PairSum {
    let (mut sum, mut num_pairs, mut num_active) = (0.0, 0_u64, 0_u64);
    let of_anchor =
        |slopes: &mut Vec<f64>, anchor: usize, distances: &mut [f64], sink: &mut Sink<'_, f64>| {
            slopes.clear();
            slopes.resize(distances.len(), 0.0);
            let (mut sum, mut num_pairs, mut num_active) = (0.0, 0_u64, 0_u64);
            for (other, &d) in distances[..points.num_samples].iter().enumerate() {
                let same = points.class[anchor].contains(&other);
                if other == anchor || !counts(same) {
                    continue;
                }
                let value = ranking.value(d, same);
                sum += value;
                num_pairs += 1;
                num_active += u64::from(value > 0.0);
                slopes[other] = ranking.slope(d, same);
            }
            sink.put(0, distances, slopes);
            (sum, num_pairs, num_active)
        };
    let gradient = each_anchor(points, Wanted::Gradient, of_anchor, |(of_anchor, pairs, active)| {
        sum += of_anchor;
        num_pairs += pairs;
        num_active += active;
    });
    // Both orders of each pair came by.
    PairSum {
        sum: sum / 2.0,
        gradient: points.gradient(gradient, 0.5),
        num_pairs: num_pairs / 2,
        num_active: num_active / 2,
    }
}
