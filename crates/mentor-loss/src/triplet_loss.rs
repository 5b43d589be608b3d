//! A triplet loss with its mining, for training.

use burn::tensor::Tensor;

use crate::explicit_gradient::{attach, on_host};
use crate::ranking::{
    AllTriplets, Mining, Ranked, Triplet, ranked_of_mined, ranked_of_triplets, soft_of_all,
};
use crate::{Average, LossError, TripletRanking};

/// Triplet ranking on a batch: which triplets, what loss, what average.
///
/// # Definition
///
/// ```text
/// L = (1/Z) Σ_t L_t      t the triplets that the mining selects, L_t as in TripletRanking, Z by the average
/// ```
///
/// # Shapes
///
/// Embeddings `[N, D]`, row-major on slices, and labels `[N]`; one loss.
///
/// # Numerics
///
/// Everything is computed on the host in `f64`. The hinge over all triplets is [`AllTriplets`]' and costs
/// as much as the distances; the soft margin has no kinks for it to rest on, so that it goes through all
/// triplets, and chosen triplets are taken one by one. The tensor form hands that value and that gradient to
/// automatic differentiation.
///
/// # Parameters
///
/// Those of [`TripletRanking`]; [`Mining`] and [`Average`] have no numbers.
///
/// # Gradient
///
/// As [`AllTriplets`] and [`TripletRanking`]; the choice of triplets is not differentiated. A batch without a
/// valid triplet has loss exactly 0 and gradient exactly 0.
///
/// # Example
///
/// ```
/// use mentor_loss::{Average, Distance, Mining, TripletLoss, TripletRanking};
///
/// let ranking = TripletRanking::hinge(0.2, Distance::Euclidean)?;
/// let hard = TripletLoss::new(ranking, Mining::Hard, Average::Valid);
/// let ranked = hard.of_slices(&[0.0, 0.5, 0.3], &[0, 0, 1])?;
/// assert_eq!(ranked.census.num_valid, 2); // one triplet an anchor: (0, 0.5, 0.3) and (0.5, 0, 0.3)
/// assert!((ranked.loss - (0.4 + 0.5) / 2.0).abs() < 1e-12);
///
/// # Ok::<(), mentor_loss::LossError>(())
/// ```
///
/// # Differs from
///
/// Others' miners and averages under the same names: the table in docs/definitions.md, triplet ranking.
///
/// # Source
///
/// All and hard: A. Hermans, L. Beyer, B. Leibe, arXiv 1703.07737, equations 5 and 6. Semi-hard: F. Schroff,
/// D. Kalenichenko, J. Philbin, "FaceNet", CVPR 2015, section 3.2, in the form of TensorFlow Addons.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TripletLoss {
    ranking: TripletRanking,
    mining: Mining,
    average: Average,
}

/// The loss of a batch on its device, with what happened in it.
#[derive(Clone, Debug)]
pub struct BatchLoss {
    /// `[1]`, differentiable with respect to the embeddings.
    pub loss: Tensor<1>,
    /// Value, gradient and counts on the host.
    pub ranked: Ranked,
}

impl TripletLoss {
    /// The loss of triplets chosen so.
    pub fn new(ranking: TripletRanking, mining: Mining, average: Average) -> Self {
        Self { ranking, mining, average }
    }

    /// Which triplets.
    pub fn mining(&self) -> Mining {
        self.mining
    }

    /// The loss of a batch `[N, D]`, row-major, with labels `[N]`. With [`Mining::None`] there is nothing to
    /// choose from labels, and the batch has no valid triplet: see [`of_triplets`](Self::of_triplets).
    ///
    /// # Errors
    ///
    /// As [`AllTriplets::of_batch`].
    pub fn of_slices<T: Copy + Into<f64>>(
        &self,
        embeddings: &[T],
        labels: &[u32],
    ) -> Result<Ranked, LossError> {
        let distance = self.ranking.distance();
        let all = AllTriplets::new(distance, self.ranking.margin(), self.average)?;
        let ranked = match self.mining {
            Mining::All if self.ranking.is_soft() => {
                soft_of_all(&self.ranking, self.average, embeddings, labels)?
            }
            Mining::All => return all.of_batch(embeddings, labels),
            mining => ranked_of_mined(&self.ranking, mining, self.average, embeddings, labels)?,
        };
        let counts = all.counts(embeddings, labels)?;
        Ok(Ranked { loss: ranked.loss, gradient: ranked.gradient, census: ranked.census, ..counts })
    }

    /// The loss of given triplets of `num_samples` embeddings.
    ///
    /// # Errors
    ///
    /// As [`of_slices`](Self::of_slices), and [`LossError::SampleIndex`] for a triplet of samples that do not
    /// exist.
    pub fn of_triplets<T: Copy + Into<f64>>(
        &self,
        embeddings: &[T],
        num_samples: usize,
        triplets: &[Triplet],
    ) -> Result<Ranked, LossError> {
        ranked_of_triplets(&self.ranking, self.average, embeddings, num_samples, triplets)
    }

    /// The loss of a batch: `embeddings` `[N, D]` and labels `[N]` give `[1]`. Reads the embeddings back.
    ///
    /// # Errors
    ///
    /// As [`of_slices`](Self::of_slices): embeddings that are not finite are an error, not a NaN.
    pub fn of_batch(&self, embeddings: Tensor<2>, labels: &[u32]) -> Result<BatchLoss, LossError> {
        let ranked = self.of_slices(&on_host(&embeddings), labels)?;
        Ok(BatchLoss { loss: attach(embeddings, ranked.loss, &ranked.gradient), ranked })
    }

    /// The loss of given triplets of a batch. Reads the embeddings back.
    ///
    /// # Errors
    ///
    /// As [`of_triplets`](Self::of_triplets).
    pub fn of_batch_triplets(
        &self,
        embeddings: Tensor<2>,
        triplets: &[Triplet],
    ) -> Result<BatchLoss, LossError> {
        let [num_samples, _] = embeddings.dims();
        let ranked = self.of_triplets(&on_host(&embeddings), num_samples, triplets)?;
        Ok(BatchLoss { loss: attach(embeddings, ranked.loss, &ranked.gradient), ranked })
    }
}
