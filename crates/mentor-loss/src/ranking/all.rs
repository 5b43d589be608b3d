//! All triplets exactly.

use super::block::{Sums, Wanted, all_triplets};
use super::element::Element;
use super::points::Points;
use super::ranked::Ranked;
use crate::error::check_non_negative;
use crate::{Average, Census, Distance, LossError};

/// Triplet ranking over **all** valid triplets of a batch or a data set, without enumerating them.
///
/// # Definition
///
/// ```text
/// L = (1/M) Σ_a Σ_{p ≠ a, y_p = y_a} Σ_{n, y_n ≠ y_a} max(0, m + d(a, p) − d(a, n))
/// ```
///
/// M is the number of valid triplets, or that of the active ones ([`Average`]).
///
/// For one anchor, let the K keys be t_i = d(a, p_i) + m. A negative at distance v is in k active triplets, k
/// the number of keys above v; it adds their sum less k·v to the loss, ∂L/∂d(a, n) = −k/M, and each of those
/// k positives gains 1/M. Finding k takes constant time after the keys are sorted, so that everything costs
/// O(N²·D), as the distances alone.
///
/// # Shapes
///
/// `embeddings` `[N, D]`, row-major; `labels` `[N]`, any numbers; gradient `[N, D]`. A class with one sample
/// gives negatives only.
///
/// # Gradient
///
/// M times the derivative with respect to a distance is an integer. At the kink (d_an = d_ap + m) a triplet
/// is easy, with gradient 0. Two embeddings at distance 0 do not push each other.
///
/// # Numerics
///
/// Distances are sums of squared differences in `f64`, not a Gram matrix: equal points are exactly 0 apart
/// and nothing cancels. Counts are exact. Sums are in `f64`, taken in an order that does not depend on the
/// number of threads: the same bits for any. The gradient's products are in `f64` for a batch, and in `f32`
/// when streamed. Of pairs nearer than 1/32 of the anchor's distance to the mean, `f32` would lose the
/// difference: they are pushed one by one in `f64`, and the push of every pair is good to 1e-5 of its size.
///
/// # Parameters
///
/// `margin` m, at least 0 and finite, in units of the distance; 0.2 is usual for vectors of length 1.
///
/// # Example
///
/// ```
/// use mentor_loss::{AllTriplets, Average, Distance};
///
/// // On a line: the anchor at 0, its positive at 0.5, negatives at 0.6 and 2.
/// let (embeddings, labels) = ([0.0_f32, 0.5, -0.6, 2.0], [7, 7, 1, 2]);
/// let all = AllTriplets::new(Distance::Euclidean, 0.2, Average::Valid)?;
/// let ranked = all.of_batch(&embeddings, &labels)?;
/// assert_eq!((ranked.census.num_valid, ranked.census.num_active), (4, 1));
/// assert!((ranked.loss - 0.1 / 4.0).abs() < 1e-7); // (0.5 + 0.2 − 0.6) / 4
///
/// assert!(all.of_batch(&embeddings, &labels[..3]).is_err());
/// # Ok::<(), mentor_loss::LossError>(())
/// ```
///
/// # Differs from
///
/// pytorch-metric-learning `TripletMarginLoss` (without a miner, `AvgNonZeroReducer`) and
/// sentence-transformers `BatchAllTripletLoss` are [`Average::Active`]; both hold all triplets in memory,
/// which grows with N³. pytorch-metric-learning makes vectors unit-norm first unless told otherwise.
///
/// # Source
///
/// F. Schroff et al., "FaceNet", CVPR 2015, eq. 1 to 3 (with squared distances). The sum over a sorted list:
/// T. Joachims, "A support vector method for multivariate performance measures", ICML 2005, and "Training
/// linear SVMs in linear time", KDD 2006; A. Airola et al., arXiv 1005.0928; C.-P. Lee, C.-J. Lin,
/// "Large-scale linear RankSVM", Neural Computation 2014; K. Rust, T. Hocking, arXiv 2302.11062.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AllTriplets {
    distance: Distance,
    margin: f64,
    average: Average,
}

impl AllTriplets {
    /// The loss with this distance, margin and average.
    ///
    /// # Errors
    ///
    /// [`LossError::Parameter`] if `margin` is negative or not finite.
    pub fn new(distance: Distance, margin: f64, average: Average) -> Result<Self, LossError> {
        Ok(Self { distance, margin: check_non_negative("margin", margin)?, average })
    }

    pub(super) fn distance(&self) -> Distance {
        self.distance
    }

    pub(super) fn margin(&self) -> f64 {
        self.margin
    }

    pub(super) fn average(&self) -> Average {
        self.average
    }

    /// The loss of a batch, in `f64` throughout. `embeddings` are `f32` or `f64`.
    ///
    /// # Errors
    ///
    /// [`LossError::EmbeddingCount`] and [`LossError::Embedding`] for embeddings that do not fit the labels
    /// or are not finite.
    pub fn of_batch<T: Copy + Into<f64>>(
        &self,
        embeddings: &[T],
        labels: &[u32],
    ) -> Result<Ranked, LossError> {
        Ok(self.in_double(&Points::new(self.distance, embeddings, labels)?))
    }

    /// The loss of a data set of any size: loss and census are those of [`of_batch`](Self::of_batch) to the
    /// last bit, the gradient is a little less exact and takes half the time.
    ///
    /// Memory: 3 KiB for each sample, and five times the embeddings in `f64`; nothing that grows with N².
    ///
    /// # Errors
    ///
    /// As [`of_batch`](Self::of_batch).
    pub fn streamed<T: Copy + Into<f64>>(
        &self,
        embeddings: &[T],
        labels: &[u32],
    ) -> Result<Ranked, LossError> {
        Ok(self.in_single(&Points::new(self.distance, embeddings, labels)?))
    }

    /// Only the counts and mean distances of a batch; the gradient is empty.
    ///
    /// # Errors
    ///
    /// As [`of_batch`](Self::of_batch).
    pub fn counts<T: Copy + Into<f64>>(&self, embeddings: &[T], labels: &[u32]) -> Result<Ranked, LossError> {
        Ok(self.counted(&Points::new(self.distance, embeddings, labels)?))
    }

    /// The stored form: M·∂L/∂d for every ordered pair, integers, `4·N²` bytes of them.
    ///
    /// # Errors
    ///
    /// As [`of_batch`](Self::of_batch).
    pub fn coefficients<T: Copy + Into<f64>>(
        &self,
        embeddings: &[T],
        labels: &[u32],
    ) -> Result<Coefficients, LossError> {
        let points = Points::new(self.distance, embeddings, labels)?;
        let num_samples = points.num_samples;
        let mut values = vec![0; num_samples * num_samples];
        all_triplets::<f64>(&points, self.margin, Wanted::Coefficients(&mut values));
        let mut row_of = vec![0; num_samples];
        for (row, &sample) in points.order.iter().enumerate() {
            row_of[sample] = row;
        }
        Ok(Coefficients { values, row_of })
    }

    // The work begins in functions that are not generic. Others would be compiled with the crate that calls
    // them, by its settings.

    fn in_double(&self, points: &Points) -> Ranked {
        self.ranked::<f64>(points)
    }

    fn in_single(&self, points: &Points) -> Ranked {
        self.ranked::<f32>(points)
    }

    fn counted(&self, points: &Points) -> Ranked {
        let (sums, _) = all_triplets::<f32>(points, self.margin, Wanted::Counts);
        ranked(points, &sums, Vec::new(), self.average)
    }

    fn ranked<T: Element>(&self, points: &Points) -> Ranked {
        let (sums, gradient) = all_triplets::<T>(points, self.margin, Wanted::Gradient);
        ranked(points, &sums, gradient, self.average)
    }
}

/// The numbers of valid triplets and pairs follow from the classes; the rest is in the sums.
pub(super) fn ranked(points: &Points, sums: &Sums, gradient: Vec<f64>, average: Average) -> Ranked {
    let [mut num_valid, mut num_positive, mut num_negative] = [0_u64; 3];
    for class in &points.class {
        let positives = class.len() as u64 - 1;
        let negatives = (points.num_samples - class.len()) as u64;
        num_valid += positives * negatives;
        num_positive += positives;
        num_negative += negatives;
    }
    let census = Census::new(num_valid, sums.num_active, sums.num_hard);
    let factor = match census.denominator(average) {
        0 => 0.0,
        count => 1.0 / count as f64,
    };
    let mean = |sum: f64, count: u64| (count > 0).then(|| sum / count as f64);
    Ranked {
        loss: census.mean(sums.value, average),
        gradient: if gradient.is_empty() { gradient } else { points.gradient(gradient, factor) },
        census,
        batch: census,
        mean_positive_distance: mean(sums.positive_distance, num_positive),
        mean_negative_distance: mean(sums.negative_distance, num_negative),
    }
}

/// The integers by which the distances of all ordered pairs are multiplied in the sum of all hinges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coefficients {
    /// `[N, N]`, rows and columns grouped by class.
    values: Vec<i32>,
    row_of: Vec<usize>,
}

impl Coefficients {
    /// That of d(anchor, other): the active triplets in which `other` is the positive, or minus those in
    /// which it is the negative. `None` if there is no such sample.
    pub fn get(&self, anchor: usize, other: usize) -> Option<i32> {
        let (row, column) = (self.row_of.get(anchor)?, self.row_of.get(other)?);
        self.values.get(row * self.row_of.len() + column).copied()
    }
}
