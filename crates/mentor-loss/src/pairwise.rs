//! The contrastive loss of pairs: positives near, negatives farther than a margin.

use std::fmt;
use std::str::FromStr;

use burn::tensor::activation::relu;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::{check_finite, check_non_negative};
use crate::{Distance, LossError};

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
/// linear:    L =  y·max(0, d − m₊)   +  (1 − y)·max(0, m − d)     y = 1: a positive pair, 0: a negative
/// squared:   L = ½y·max(0, d − m₊)²  + ½(1 − y)·max(0, m − d)²
/// ```
///
/// All N(N − 1)/2 pairs of a batch are [`PairwiseLoss`](crate::PairwiseLoss)'s.
///
/// # Shapes
///
/// `[N, D]`, `[N, D]` and a mask `[N]` of 1 (same) and 0 give `[N]`.
///
/// # Gradient
///
/// With respect to d: 1 for a positive pair farther than m₊, −1 for a negative one nearer than m, else 0
/// (squared: d − m₊, d − m, 0). At the kinks and at d = 0 it is 0.
///
/// # Numerics
///
/// See [`Distance`]: exact zeros, and no cancellation for near pairs.
///
/// # Parameters
///
/// `margin` m, at least 0 and finite, in units of the distance: 1 is usual, 0.5 for vectors of length 1. The
/// margin m₊ of positive pairs is 0, as in the paper, unless
/// [`with_positive_margin`](Self::with_positive_margin) gives another.
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
/// - pytorch-metric-learning `ContrastiveLoss` is the linear form of unit vectors, the means over active
///   positives and over active negatives added up; `pos_margin` is m₊.
///
/// # Source
///
/// R. Hadsell, S. Chopra, Y. LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006,
/// eq. 4.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairwiseRanking {
    form: PairForm,
    margin: f64,
    positive_margin: f64,
    distance: Distance,
}

impl PairwiseRanking {
    /// The loss with this form, margin and distance.
    ///
    /// # Errors
    ///
    /// [`LossError::Parameter`] if `margin` is negative or not finite.
    pub fn new(form: PairForm, margin: f64, distance: Distance) -> Result<Self, LossError> {
        let margin = check_non_negative("margin", margin)?;
        Ok(Self { form, margin, positive_margin: 0.0, distance })
    }

    /// The same loss, in which positive pairs need not be nearer than this; below 0, none is near enough.
    ///
    /// # Errors
    ///
    /// [`LossError::Parameter`] if it is not finite.
    pub fn with_positive_margin(self, margin: f64) -> Result<Self, LossError> {
        Ok(Self { positive_margin: check_finite("positive margin", margin)?, ..self })
    }

    /// The margin m.
    pub fn margin(&self) -> f64 {
        self.margin
    }

    /// The form.
    pub fn form(&self) -> PairForm {
        self.form
    }

    /// The distance.
    pub fn distance(&self) -> Distance {
        self.distance
    }

    /// The loss of one pair, from its distance.
    pub fn value(&self, distance: f64, same: bool) -> f64 {
        let gap = if same { distance - self.positive_margin } else { self.margin - distance }.max(0.0);
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
            (_, true) if distance <= self.positive_margin => 0.0,
            (PairForm::Linear, _) => sign,
            (PairForm::Squared, true) => distance - self.positive_margin,
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
        let (distances, same) = (self.distance.pairs(a, b), same.float());
        let positive = match self.positive_margin {
            0.0 => distances.clone(),
            margin => relu(distances.clone().sub_scalar(margin)),
        };
        let negative = relu(distances.neg().add_scalar(self.margin));
        let different = same.clone().neg().add_scalar(1.0);
        match self.form {
            PairForm::Linear => same.mul(positive).add(different.mul(negative)),
            PairForm::Squared => {
                same.mul(positive.square()).add(different.mul(negative.square())).mul_scalar(0.5)
            }
        }
    }
}
