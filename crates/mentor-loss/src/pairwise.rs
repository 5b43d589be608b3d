//! The contrastive loss of pairs: positives near, negatives farther than a margin.

use std::fmt;
use std::str::FromStr;

use burn::tensor::activation::relu;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::distance::sum_of_rows;
use crate::error::check_non_negative;
use crate::{Average, Distance, LossError};

/// How distances become a loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairForm {
    /// Linear in the distance.
    #[default]
    Linear,
    /// Squared and halved, as Hadsell, Chopra and LeCun define it.
    Squared,
}

impl PairForm {
    /// The names that [`from_str`](FromStr::from_str) knows.
    pub const NAMES: &'static [&'static str] = &["linear", "squared"];
}

impl fmt::Display for PairForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linear => "linear",
            Self::Squared => "squared",
        })
    }
}

impl FromStr for PairForm {
    type Err = LossError;

    fn from_str(name: &str) -> Result<Self, LossError> {
        match name {
            "linear" => Ok(Self::Linear),
            "squared" => Ok(Self::Squared),
            _ => Err(LossError::unknown("form", name, Self::NAMES)),
        }
    }
}

/// The contrastive loss, a pairwise ranking loss.
///
/// # Definition
///
/// ```text
/// linear:    L =  y·d    +  (1 − y)·max(0, m − d)         y = 1 for a positive pair, 0 for a negative
/// squared:   L = ½y·d²   + ½(1 − y)·max(0, m − d)²
/// ```
///
/// A batch has N(N − 1)/2 pairs; [`of_batch`](Self::of_batch) takes the mean over all of them, or over the
/// active ones, whose loss is greater than 0.
///
/// # Shapes
///
/// Pairs: `[N, D]`, `[N, D]` and a mask `[N]` of 1 (same) and 0 give `[N]`. Batch: `[N, D]` and labels `[N]`
/// give `[1]`.
///
/// # Gradient
///
/// With respect to d: 1 for a positive pair, −1 for a negative one nearer than the margin, else 0 (squared:
/// d, d − m, 0). At d = m (the kink) and at d = 0 it is 0.
///
/// # Numerics
///
/// See [`Distance`]: exact zeros, and no cancellation for near pairs.
///
/// # Parameters
///
/// `margin` m, at least 0 and finite, in units of the distance: 1 is usual, 0.5 for vectors of length 1.
///
/// # Example
///
/// ```
/// use mentor_loss::{Distance, PairForm, PairwiseRanking};
///
/// let pairs = PairwiseRanking::new(PairForm::Linear, 1.0, Distance::Euclidean)?;
/// assert_eq!(pairs.value(0.5, true), 0.5);
/// assert_eq!(pairs.value(0.5, false), 0.5);
/// assert_eq!(pairs.value(1.0, false), 0.0);
///
/// assert!(PairwiseRanking::new(PairForm::Linear, f64::NAN, Distance::Euclidean).is_err());
/// # Ok::<(), mentor_loss::LossError>(())
/// ```
///
/// # Differs from
///
/// - sentence-transformers `ContrastiveLoss` is the squared form with the cosine distance and margin 0.5.
/// - pytorch-metric-learning `ContrastiveLoss` is the linear form with a margin for positives too (0 by
///   default), of unit vectors, the means over active positives and over active negatives added up.
///
/// # Source
///
/// R. Hadsell, S. Chopra, Y. LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006,
/// eq. 4.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairwiseRanking {
    form: PairForm,
    margin: f64,
    distance: Distance,
}

impl PairwiseRanking {
    /// The loss with this form, margin and distance.
    ///
    /// # Errors
    ///
    /// [`LossError::Parameter`] if `margin` is negative or not finite.
    pub fn new(form: PairForm, margin: f64, distance: Distance) -> Result<Self, LossError> {
        Ok(Self { form, margin: check_non_negative("margin", margin)?, distance })
    }

    /// The margin m.
    pub fn margin(&self) -> f64 {
        self.margin
    }

    /// The distance.
    pub fn distance(&self) -> Distance {
        self.distance
    }

    /// The form.
    pub fn form(&self) -> PairForm {
        self.form
    }

    /// The loss of one pair, from its distance.
    pub fn value(&self, distance: f64, same: bool) -> f64 {
        let gap = if same { distance } else { (self.margin - distance).max(0.0) };
        match self.form {
            PairForm::Linear => gap,
            PairForm::Squared => 0.5 * gap * gap,
        }
    }

    /// Its derivative with respect to the distance.
    pub fn slope(&self, distance: f64, same: bool) -> f64 {
        let sign = if same { 1.0 } else { -1.0 };
        match (self.form, same) {
            _ if distance == 0.0 => 0.0,
            (_, false) if distance >= self.margin => 0.0,
            (PairForm::Linear, _) => sign,
            (PairForm::Squared, true) => distance,
            (PairForm::Squared, false) => distance - self.margin,
        }
    }

    /// The loss of each pair: `a` and `b` `[N, D]` and `same` `[N]`, 1 for a positive pair and 0 for a
    /// negative, give `[N]`.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit; the message names both.
    #[track_caller]
    pub fn per_pair(&self, a: Tensor<2>, b: Tensor<2>, same: Tensor<1, Int>) -> Tensor<1> {
        let [num_pairs, _] = a.dims();
        assert!(
            same.dims() == [num_pairs],
            "PairwiseRanking: {num_pairs} pairs need as many marks, got {:?}",
            same.dims()
        );
        let distances = self.distance.pairs(a, b);
        self.losses(distances.unsqueeze(), same.float().unsqueeze()).reshape([num_pairs])
    }

    /// The mean over the pairs of a batch that `average` names: `embeddings` `[N, D]` and `labels` `[N]` give
    /// `[1]`; 0 if there is no pair.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit; the message names both.
    #[track_caller]
    pub fn of_batch(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, average: Average) -> Tensor<1> {
        self.of_batch_with_share(embeddings, labels, average).0
    }

    /// As [`of_batch`](Self::of_batch), and the share of the pairs whose loss is above 0, `[1]`, which is not
    /// differentiable; 0 if there is no pair.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit; the message names both.
    #[track_caller]
    pub fn of_batch_with_share(
        &self,
        embeddings: Tensor<2>,
        labels: Tensor<1, Int>,
        average: Average,
    ) -> (Tensor<1>, Tensor<1>) {
        let [num_samples, _] = embeddings.dims();
        assert!(
            labels.dims() == [num_samples],
            "PairwiseRanking: embeddings [{num_samples}, D] need labels [{num_samples}], got {:?}",
            labels.dims()
        );
        let column = labels.reshape([num_samples, 1]);
        let same = column.clone().equal(column.transpose()).float();
        let losses = self.losses(self.distance.matrix(embeddings), same);
        // The diagonal is no pair: a positive at distance 0, whose loss is 0. Each other pair occurs twice.
        let num_pairs = (num_samples * num_samples.saturating_sub(1)) as f64;
        let num_active = sum_of_rows(losses.clone().detach().greater_elem(0.0).float());
        let count = match average {
            Average::Valid => Tensor::full([1], num_pairs, &losses.device()),
            Average::Active => num_active.clone(),
        };
        (sum_of_rows(losses).div(count.clamp_min(1.0)), num_active.div_scalar(num_pairs.max(1.0)))
    }

    fn losses(&self, distances: Tensor<2>, same: Tensor<2>) -> Tensor<2> {
        let negative = relu(distances.clone().neg().add_scalar(self.margin));
        let different = same.clone().neg().add_scalar(1.0);
        match self.form {
            PairForm::Linear => same.mul(distances).add(different.mul(negative)),
            PairForm::Squared => {
                same.mul(distances.square()).add(different.mul(negative.square())).mul_scalar(0.5)
            }
        }
    }
}
