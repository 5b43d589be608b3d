//! Triplets that are named one by one.

use super::points::Points;
use super::ranked::Ranked;
use super::sink::weight;
use crate::{Average, Census, Distance, LossError, TripletRanking};

/// Three samples: an anchor, one that should be near it, and one that should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Triplet {
    /// Index of the anchor.
    pub anchor: usize,
    /// Index of the positive.
    pub positive: usize,
    /// Index of the negative.
    pub negative: usize,
}

/// The loss of these triplets, whose samples exist.
pub(super) fn of_triplets(
    points: &Points,
    ranking: &TripletRanking,
    triplets: &[Triplet],
    average: Average,
) -> Ranked {
    let mut row_of = vec![0; points.num_samples];
    points.order.iter().enumerate().for_each(|(row, &sample)| row_of[sample] = row);
    let mut gradient = vec![0.0; points.rows.len()];
    let mut census = Census::default();
    let [mut sum, mut positive_sum, mut negative_sum] = [0.0; 3];
    for triplet in triplets {
        let [a, p, n] = [triplet.anchor, triplet.positive, triplet.negative].map(|sample| row_of[sample]);
        let [d_ap, d_an] = [p, n].map(|other| points.pair(a, other));
        let slope = ranking.slope(d_ap, d_an);
        sum += ranking.value(d_ap, d_an);
        positive_sum += d_ap;
        negative_sum += d_an;
        census.count(ranking.case(d_ap, d_an));
        for (other, weight) in
            [(p, weight(points.distance, slope, d_ap)), (n, weight(points.distance, -slope, d_an))]
        {
            points.push(&mut gradient, a, other, weight);
        }
    }
    let count = census.denominator(average);
    let factor = if count == 0 { 0.0 } else { 1.0 / count as f64 };
    let mean = |sum: f64| (!triplets.is_empty()).then(|| sum / triplets.len() as f64);
    Ranked {
        loss: census.mean(sum, average),
        gradient: points.gradient(gradient, factor),
        census,
        batch: census,
        mean_positive_distance: mean(positive_sum),
        mean_negative_distance: mean(negative_sum),
    }
}

/// The first index that is no sample.
pub(super) fn check(triplets: &[Triplet], num_samples: usize) -> Result<(), LossError> {
    check_indices(triplets.iter().flat_map(|t| [t.anchor, t.positive, t.negative]), num_samples)
}

/// The first of these that is no sample.
pub(super) fn check_indices(
    mut indices: impl Iterator<Item = usize>,
    num_samples: usize,
) -> Result<(), LossError> {
    match indices.find(|&index| index >= num_samples) {
        Some(index) => Err(LossError::SampleIndex { index, num_samples }),
        None => Ok(()),
    }
}

impl Points {
    /// The distance of two rows.
    pub(super) fn pair(&self, a: usize, b: usize) -> f64 {
        let differences = self.row(a).iter().zip(self.row(b)).map(|(a, b)| a - b);
        let square: f64 = differences.map(|difference| difference * difference).sum();
        match self.distance {
            Distance::Euclidean => square.sqrt(),
            Distance::SquaredEuclidean => square,
            Distance::Cosine => self.cosine(a, b, square),
        }
    }

    /// Adds weight · (a − b) to the gradient of row a, and takes it from that of row b.
    pub(super) fn push(&self, gradient: &mut [f64], a: usize, b: usize, weight: f64) {
        for (column, (x, y)) in self.row(a).iter().zip(self.row(b)).enumerate() {
            let push = weight * (x - y);
            gradient[a * self.width + column] += push;
            gradient[b * self.width + column] -= push;
        }
    }
}
