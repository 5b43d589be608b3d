//! Ranking losses on plain slices, on the CPU, in `f64`: all pairs and triplets exactly, and mined or given
//! triplets.
//!
//! A batch of N samples holds O(N³) triplets, and every one of them counts here, at the price of the distance
//! matrix: see [`AllTriplets`]. What a training step needs is in [`TripletLoss`](crate::TripletLoss).

mod all;
mod block;
mod count;
mod element;
mod few;
mod given;
mod gradient;
mod keys;
mod listed;
mod mining;
mod pair_sum;
mod pairs;
mod points;
mod product;
mod ranked;
mod relative;
mod sink;
mod soft;
mod table;

pub use all::{AllTriplets, Coefficients};
pub use given::Triplet;
pub use listed::Pair;
pub use mining::Mining;
pub use pair_sum::PairSum;
pub use pairs::RankedPairs;
pub use ranked::Ranked;
pub(crate) use relative::relative_distances;

use crate::{Average, LossError, PairwiseRanking, TripletRanking};
use points::Points;

/// The loss of the triplets that `mining` chooses; none for [`Mining::All`] and [`Mining::None`].
pub(crate) fn ranked_of_mined<T: Copy + Into<f64>>(
    ranking: &TripletRanking,
    mining: Mining,
    average: Average,
    embeddings: &[T],
    labels: &[u32],
) -> Result<Ranked, LossError> {
    let points = Points::new(ranking.distance(), embeddings, labels)?;
    let triplets = match mining {
        Mining::Hard => mining::batch_hard(&points),
        Mining::SemiHard => mining::semi_hard(&points),
        Mining::All | Mining::None => Vec::new(),
    };
    Ok(given::of_triplets(&points, ranking, &triplets, average))
}

/// The soft margin of all triplets.
pub(crate) fn soft_of_all<T: Copy + Into<f64>>(
    ranking: &TripletRanking,
    average: Average,
    embeddings: &[T],
    labels: &[u32],
) -> Result<Ranked, LossError> {
    Ok(soft::of_batch(&Points::new(ranking.distance(), embeddings, labels)?, ranking, average))
}

/// The loss of given triplets.
pub(crate) fn ranked_of_triplets<T: Copy + Into<f64>>(
    ranking: &TripletRanking,
    average: Average,
    embeddings: &[T],
    num_samples: usize,
    triplets: &[Triplet],
) -> Result<Ranked, LossError> {
    given::check(triplets, num_samples)?;
    let points = Points::new(ranking.distance(), embeddings, &vec![0; num_samples])?;
    Ok(given::of_triplets(&points, ranking, triplets, average))
}

/// The loss of all pairs.
pub(crate) fn ranked_pairs<T: Copy + Into<f64>>(
    ranking: &PairwiseRanking,
    average: Average,
    embeddings: &[T],
    labels: &[u32],
) -> Result<RankedPairs, LossError> {
    Ok(pairs::of_pairs(&Points::new(ranking.distance(), embeddings, labels)?, ranking, average))
}
