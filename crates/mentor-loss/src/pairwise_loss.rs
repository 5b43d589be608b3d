//! The contrastive loss of all pairs of a batch, for training.

use burn::tensor::Tensor;

use crate::explicit_gradient::{attach, on_host};
use crate::ranking::{RankedPairs, ranked_pairs};
use crate::{Average, LossError, PairwiseRanking};

/// Pairwise ranking over all pairs of a batch.
///
/// # Definition
///
/// ```text
/// L = (1/Z) Σ_{i<j} L_ij      L_ij as in PairwiseRanking, positive where y_i = y_j; Z by the average
/// ```
///
/// # Shapes
///
/// Embeddings `[N, D]`, row-major on slices, and labels `[N]`; one loss.
///
/// # Numerics
///
/// Everything is computed on the host in `f64`, in an order that does not depend on the number of threads.
/// Memory grows with N, not with N²; the tensor form hands value and gradient to automatic differentiation.
///
/// # Gradient
///
/// As [`PairwiseRanking`]: zero at a distance of 0 and at the margin. A batch without a pair has loss and
/// gradient exactly 0.
///
/// # Example
///
/// ```
/// use mentor_loss::{Average, Distance, PairForm, PairwiseLoss, PairwiseRanking};
///
/// let ranking = PairwiseRanking::new(PairForm::Linear, 1.0, Distance::Euclidean)?;
/// // One positive at distance 0.5; negatives at 0.3 and 0.2.
/// let ranked = PairwiseLoss::new(ranking, Average::Valid).of_slices(&[0.0, 0.5, 0.3], &[0, 0, 1])?;
/// assert!((ranked.loss - (0.5 + 0.7 + 0.8) / 3.0).abs() < 1e-12);
/// assert_eq!((ranked.num_pairs, ranked.num_active), (3, 3));
/// # Ok::<(), mentor_loss::LossError>(())
/// ```
///
/// # Differs from
///
/// See [`PairwiseRanking`].
///
/// # Source
///
/// R. Hadsell, S. Chopra, Y. LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006,
/// eq. 4.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairwiseLoss {
    ranking: PairwiseRanking,
    average: Average,
}

impl PairwiseLoss {
    /// The loss of all pairs, averaged so.
    pub fn new(ranking: PairwiseRanking, average: Average) -> Self {
        Self { ranking, average }
    }

    /// The loss of a batch `[N, D]`, row-major, with labels `[N]`.
    ///
    /// # Errors
    ///
    /// [`LossError::EmbeddingCount`] and [`LossError::Embedding`] for embeddings that do not fit the labels
    /// or are not finite.
    pub fn of_slices<T: Copy + Into<f64>>(
        &self,
        embeddings: &[T],
        labels: &[u32],
    ) -> Result<RankedPairs, LossError> {
        ranked_pairs(&self.ranking, self.average, embeddings, labels)
    }

    /// The loss of a batch: `embeddings` `[N, D]` and labels `[N]` give `[1]`, differentiable, and what
    /// happened in it. Reads the embeddings back.
    ///
    /// # Errors
    ///
    /// As [`of_slices`](Self::of_slices): embeddings that are not finite are an error, not a NaN.
    pub fn of_batch(
        &self,
        embeddings: Tensor<2>,
        labels: &[u32],
    ) -> Result<(Tensor<1>, RankedPairs), LossError> {
        let ranked = self.of_slices(&on_host(&embeddings), labels)?;
        Ok((attach(embeddings, ranked.loss, &ranked.gradient), ranked))
    }
}
