//! Ranking losses of pairs that are listed one by one: of a part of a batch, or between a batch and others.

use super::pair_sum::PairSum;
use super::pairs::sum_of_pairs;
use super::points::Points;
use super::ranked::Ranked;
use super::sink::weight;
use super::{AllTriplets, given};
use crate::{Census, Distance, LossError, PairwiseRanking};

/// A sample and another, which it is to be near to, or is not.
pub type Pair = [usize; 2];

impl AllTriplets {
    /// The loss of all triplets that listed pairs make: each positive pair (a, p) with each negative pair
    /// (a, n) of the same anchor. In `f64` throughout, in one thread; the price is that of the pairs, not of
    /// the triplets.
    ///
    /// ```
    /// use mentor_loss::{AllTriplets, Average, Distance};
    ///
    /// let all = AllTriplets::new(Distance::Euclidean, 0.2, Average::Valid)?;
    /// let ranked = all.of_pairs(&[0.0, 0.5, 0.6, 2.0], 4, &[[0, 1]], &[[0, 2], [0, 3], [1, 2]])?;
    /// assert_eq!((ranked.census.num_valid, ranked.census.num_active), (2, 1));
    /// assert!((ranked.loss - 0.1 / 2.0).abs() < 1e-12); // (0.5 + 0.2 − 0.6) / 2
    /// assert!(all.of_pairs(&[0.0], 1, &[[0, 1]], &[]).is_err());
    /// # Ok::<(), mentor_loss::LossError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`of_batch`](AllTriplets::of_batch), and [`LossError::SampleIndex`] for a pair of samples that do
    /// not exist.
    pub fn of_pairs<T: Copy + Into<f64>>(
        &self,
        embeddings: &[T],
        num_samples: usize,
        positives: &[Pair],
        negatives: &[Pair],
    ) -> Result<Ranked, LossError> {
        let points = listed(self.distance(), embeddings, num_samples, [positives, negatives])?;
        Ok(self.of_listed(&points, positives, negatives))
    }

    fn of_listed(&self, points: &Points, positives: &[Pair], negatives: &[Pair]) -> Ranked {
        let mut gradient = vec![0.0; points.rows.len()];
        let (mut census, mut sum) = (Census::default(), 0.0);
        let [mut positive_sum, mut negative_sum] = [0.0; 2];
        let (positives, negatives) = (by_anchor(points, positives), by_anchor(points, negatives));
        let mut rest = negatives.as_slice();
        for positives in positives.chunk_by(|a, b| a.anchor == b.anchor) {
            let anchor = positives[0].anchor;
            rest = &rest[rest.partition_point(|pair| pair.anchor < anchor)..];
            let negatives = &rest[..rest.partition_point(|pair| pair.anchor == anchor)];
            // Both are sorted by distance. Sums over the keys from k on: Σ d(a, p) + m.
            let key = |distance: f64| distance + self.margin();
            let mut sums_from = vec![0.0; positives.len() + 1];
            for (place, pair) in positives.iter().enumerate().rev() {
                sums_from[place] = sums_from[place + 1] + key(pair.distance);
            }
            let (mut num_active, mut num_hard) = (0, 0);
            for negative in negatives {
                let first = positives.partition_point(|pair| key(pair.distance) <= negative.distance);
                let count = positives.len() - first;
                num_active += count as u64;
                let num_semi_hard =
                    positives[first..].partition_point(|pair| pair.distance < negative.distance);
                num_hard += (count - num_semi_hard) as u64;
                sum += sums_from[first] - count as f64 * negative.distance;
                let slope = weight(points.distance, -(count as f64), negative.distance);
                points.push(&mut gradient, anchor, negative.other, slope);
            }
            for positive in positives {
                let count = negatives.partition_point(|pair| pair.distance < key(positive.distance));
                let slope = weight(points.distance, count as f64, positive.distance);
                points.push(&mut gradient, anchor, positive.other, slope);
            }
            census += Census::new((positives.len() * negatives.len()) as u64, num_active, num_hard);
        }
        positives.iter().for_each(|pair| positive_sum += pair.distance);
        negatives.iter().for_each(|pair| negative_sum += pair.distance);
        let count = census.denominator(self.average());
        let mean = |sum: f64, count: usize| (count > 0).then(|| sum / count as f64);
        Ranked {
            loss: census.mean(sum, self.average()),
            gradient: points.gradient(gradient, if count == 0 { 0.0 } else { 1.0 / count as f64 }),
            census,
            batch: census,
            mean_positive_distance: mean(positive_sum, positives.len()),
            mean_negative_distance: mean(negative_sum, negatives.len()),
        }
    }
}

impl PairwiseRanking {
    /// The losses of listed pairs of plain slices, positives and negatives apart, so that the caller chooses
    /// the mean: over all, or one of each kind. In `f64` throughout.
    ///
    /// ```
    /// use mentor_loss::{Distance, PairForm, PairwiseRanking};
    ///
    /// let loss = PairwiseRanking::new(PairForm::Linear, 1.0, Distance::Euclidean)?;
    /// let [positives, negatives] = loss.of_pairs(&[0.0, 0.5, 0.75], 3, &[[0, 1]], &[[0, 2], [1, 2]])?;
    /// assert_eq!((positives.sum, negatives.sum), (0.5, 0.25 + 0.75));
    /// assert_eq!(positives.gradient, [-1.0, 1.0, 0.0]);
    /// assert_eq!(negatives.gradient, [1.0, 1.0, -2.0]);
    /// # Ok::<(), mentor_loss::LossError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`AllTriplets::of_pairs`].
    pub fn of_pairs<T: Copy + Into<f64>>(
        &self,
        embeddings: &[T],
        num_samples: usize,
        positives: &[Pair],
        negatives: &[Pair],
    ) -> Result<[PairSum; 2], LossError> {
        let points = listed(self.distance(), embeddings, num_samples, [positives, negatives])?;
        Ok([self.sum_of_listed(&points, positives, true), self.sum_of_listed(&points, negatives, false)])
    }

    /// As [`of_pairs`](Self::of_pairs), of every pair of a batch `[N, D]` with labels `[N]`, each once. No
    /// memory grows with their number.
    ///
    /// # Errors
    ///
    /// As [`AllTriplets::of_batch`].
    pub fn of_slices<T: Copy + Into<f64>>(
        &self,
        embeddings: &[T],
        labels: &[u32],
    ) -> Result<[PairSum; 2], LossError> {
        let points = Points::new(self.distance(), embeddings, labels)?;
        Ok([true, false].map(|kind| sum_of_pairs(&points, self, |same| same == kind)))
    }

    fn sum_of_listed(&self, points: &Points, pairs: &[Pair], same: bool) -> PairSum {
        let mut gradient = vec![0.0; points.rows.len()];
        let (mut sum, mut num_active) = (0.0, 0);
        for &[a, b] in pairs {
            let distance = points.pair(a, b);
            let loss = self.value(distance, same);
            sum += loss;
            num_active += u64::from(loss > 0.0);
            let slope = weight(points.distance, self.slope(distance, same), distance);
            if slope != 0.0 {
                points.push(&mut gradient, a, b, slope);
            }
        }
        let num_pairs = pairs.len() as u64;
        PairSum { sum, gradient: points.gradient(gradient, 1.0), num_pairs, num_active }
    }
}

/// The embeddings, in their own order, if the pairs are of them.
fn listed<T: Copy + Into<f64>>(
    distance: Distance,
    embeddings: &[T],
    num_samples: usize,
    pairs: [&[Pair]; 2],
) -> Result<Points, LossError> {
    given::check_indices(pairs.into_iter().flatten().flatten().copied(), num_samples)?;
    Points::new(distance, embeddings, &vec![0; num_samples])
}

struct Measured {
    anchor: usize,
    other: usize,
    distance: f64,
}

/// The pairs with their distances, sorted by anchor and then by distance.
fn by_anchor(points: &Points, pairs: &[Pair]) -> Vec<Measured> {
    let measured = |&[anchor, other]: &Pair| Measured { anchor, other, distance: points.pair(anchor, other) };
    let mut measured: Vec<Measured> = pairs.iter().map(measured).collect();
    measured.sort_by(|a, b| a.anchor.cmp(&b.anchor).then(a.distance.total_cmp(&b.distance)));
    measured
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Average, Mining, PairForm, Triplet, TripletLoss, TripletRanking};

    /// Ten points on a grid, so that many distances are equal, in classes of 1 to 4.
    fn points() -> (Vec<f64>, Vec<u32>) {
        let embeddings = (0..10).flat_map(|i| [f64::from(i * 7 % 5) / 4.0, f64::from(i * 3 % 4) / 4.0]);
        (embeddings.collect(), vec![0, 1, 1, 2, 2, 2, 3, 3, 3, 3])
    }

    fn pairs(labels: &[u32], same: bool) -> Vec<Pair> {
        let all = (0..labels.len()).flat_map(|a| (0..labels.len()).map(move |b| [a, b]));
        all.filter(|&[a, b]| a != b && (labels[a] == labels[b]) == same).collect()
    }

    fn assert_close(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12), "{a:?}\n{b:?}");
    }

    #[test]
    fn all_pairs_of_a_batch_are_all_triplets() {
        let (embeddings, labels) = points();
        for distance in [Distance::Euclidean, Distance::SquaredEuclidean, Distance::Cosine] {
            for average in [Average::Valid, Average::Active] {
                let all = AllTriplets::new(distance, 0.25, average).unwrap();
                let expected = all.of_batch(&embeddings, &labels).unwrap();
                let found = all
                    .of_pairs(&embeddings, labels.len(), &pairs(&labels, true), &pairs(&labels, false))
                    .unwrap();
                assert_eq!(found.census, expected.census, "{distance}");
                assert_close(&[found.loss], &[expected.loss]);
                assert_close(&found.gradient, &expected.gradient);
            }
        }
    }

    #[test]
    fn some_pairs_are_the_triplets_that_they_make() {
        let (embeddings, labels) = points();
        let positives: Vec<Pair> = pairs(&labels, true).into_iter().step_by(2).collect();
        let negatives: Vec<Pair> = pairs(&labels, false).into_iter().step_by(3).collect();
        let triplets: Vec<Triplet> = positives
            .iter()
            .flat_map(|&[anchor, positive]| {
                let of_anchor = negatives.iter().filter(move |pair| pair[0] == anchor);
                of_anchor.map(move |&[_, negative]| Triplet { anchor, positive, negative })
            })
            .collect();
        let ranking = TripletRanking::hinge(0.1, Distance::Euclidean).unwrap();
        let given = TripletLoss::new(ranking, Mining::None, Average::Active);
        let expected = given.of_triplets(&embeddings, labels.len(), &triplets).unwrap();
        let all = AllTriplets::new(Distance::Euclidean, 0.1, Average::Active).unwrap();
        let found = all.of_pairs(&embeddings, labels.len(), &positives, &negatives).unwrap();
        assert_eq!(found.census, expected.census);
        assert_close(&[found.loss], &[expected.loss]);
        assert_close(&found.gradient, &expected.gradient);
    }

    #[test]
    fn contrastive_gradients_are_central_differences() {
        let (mut embeddings, labels) = points();
        // Away from distances of 0, where the derivative does not exist.
        embeddings.iter_mut().enumerate().for_each(|(i, value)| *value += (i as f64 * 0.7).sin() * 0.03);
        let (positives, negatives) = (pairs(&labels, true), pairs(&labels, false));
        for form in [PairForm::Linear, PairForm::Squared] {
            for distance in [Distance::Euclidean, Distance::SquaredEuclidean, Distance::Cosine] {
                let loss = PairwiseRanking::new(form, 0.6, distance).unwrap();
                let sums = |embeddings: &[f64]| {
                    loss.of_pairs(embeddings, labels.len(), &positives, &negatives).unwrap()
                };
                let batch = loss.of_slices(&embeddings, &labels).unwrap();
                // Listed both ways, each pair counts twice.
                let [near, far] = sums(&embeddings);
                assert_close(&[2.0 * batch[0].sum, 2.0 * batch[1].sum], &[near.sum, far.sum]);
                assert_eq!(
                    [2 * batch[0].num_active, 2 * batch[1].num_active],
                    [near.num_active, far.num_active]
                );
                let total = |embeddings: &[f64]| sums(embeddings).iter().map(|side| side.sum).sum::<f64>();
                for place in 0..embeddings.len() {
                    let moved = |by: f64| {
                        let mut moved = embeddings.clone();
                        moved[place] += by;
                        total(&moved)
                    };
                    let expected = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                    let found = near.gradient[place] + far.gradient[place];
                    assert!((found - expected).abs() < 1e-5, "{form} {distance}: {found} {expected}");
                }
            }
        }
    }
}
