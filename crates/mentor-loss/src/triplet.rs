//! Triplet ranking: the positive nearer than the negative, by a margin.

use burn::tensor::Tensor;
use burn::tensor::activation::{relu, softplus};

use crate::error::check_non_negative;
use crate::{Case, Distance, LossError};

/// The triplet ranking loss of given triplets.
///
/// # Definition
///
/// ```text
/// hinge:        L = max(0, m + d(a, p) − d(a, n))
/// soft margin:  L = ln(1 + e^(m + d(a, p) − d(a, n)))
/// ```
///
/// # Shapes
///
/// `anchors`, `positives` and `negatives` `[T, D]`; result `[T]`.
///
/// # Gradient
///
/// Hinge: with respect to d(a, p) it is 1 and to d(a, n) −1 if the triplet is active (`d_ap + m > d_an`),
/// else 0; at the kink 0. Soft margin: σ(m + d_ap − d_an), which is 0 nowhere. A distance of 0 has gradient
/// 0.
///
/// # Numerics
///
/// Distances of given pairs are sums of squared differences, so that nothing cancels. The soft margin does
/// not overflow: at distances of ±1e4 it is the difference itself, or 0.
///
/// # Parameters
///
/// `margin` m, at least 0 and finite, in units of the distance. 0.2 is usual for vectors of length 1. The
/// soft margin of its paper has m = 0.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use mentor_loss::{Distance, TripletRanking};
///
/// let point = |x: f32| Tensor::<2>::from_floats([[x]], &Device::flex());
/// let ranking = TripletRanking::hinge(0.2, Distance::Euclidean)?;
/// let loss = ranking.per_triplet(point(0.0), point(0.5), point(0.6));
/// assert!((loss.into_scalar::<f32>() - 0.1).abs() < 1e-6);
///
/// assert!(TripletRanking::hinge(-0.2, Distance::Euclidean).is_err());
/// # Ok::<(), mentor_loss::LossError>(())
/// ```
///
/// # Differs from
///
/// - PyTorch `TripletMarginLoss` adds 1e-6 to each difference before the norm, so that equal points are not 0
///   apart.
/// - Burn 0.22 `TripletMarginLoss` gives NaN gradients where the anchor equals the positive.
/// - pytorch-metric-learning `TripletMarginLoss(smooth_loss=True)` is the soft margin with a margin.
/// - FaceNet, and TensorFlow Addons, use squared distances: `Distance::SquaredEuclidean`.
///
/// # Source
///
/// F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet", CVPR 2015, eq. 1. K. Weinberger, L. Saul, "Distance
/// Metric Learning for Large Margin Nearest Neighbor Classification", JMLR 10 (2009), for the unsquared
/// hinge's origin. Soft margin: A. Hermans, L. Beyer, B. Leibe, arXiv 1703.07737, section 2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TripletRanking {
    distance: Distance,
    margin: f64,
    is_soft: bool,
}

impl TripletRanking {
    /// The hinge with this margin.
    ///
    /// # Errors
    ///
    /// [`LossError::Parameter`] if `margin` is negative or not finite.
    pub fn hinge(margin: f64, distance: Distance) -> Result<Self, LossError> {
        Ok(Self { distance, margin: check_non_negative("margin", margin)?, is_soft: false })
    }

    /// The soft margin, with m = 0.
    pub fn soft_margin(distance: Distance) -> Self {
        Self { distance, margin: 0.0, is_soft: true }
    }

    /// The soft margin with this m.
    ///
    /// # Errors
    ///
    /// As [`hinge`](Self::hinge).
    pub fn softplus(margin: f64, distance: Distance) -> Result<Self, LossError> {
        Ok(Self { is_soft: true, ..Self::hinge(margin, distance)? })
    }

    /// The distance.
    pub fn distance(&self) -> Distance {
        self.distance
    }

    /// The margin m.
    pub fn margin(&self) -> f64 {
        self.margin
    }

    /// Whether this is the soft margin.
    pub fn is_soft(&self) -> bool {
        self.is_soft
    }

    /// The case of one triplet. The soft margin is 0 nowhere, so that it has no easy ones.
    pub fn case(&self, d_ap: f64, d_an: f64) -> Case {
        match self.is_soft {
            false => Case::of(d_ap, d_an, self.margin),
            true if d_an > d_ap => Case::SemiHard,
            true => Case::Hard,
        }
    }

    /// The loss of one triplet, from its distances.
    ///
    /// ```
    /// use mentor_loss::{Distance, TripletRanking};
    ///
    /// let ranking = TripletRanking::hinge(0.2, Distance::Euclidean)?;
    /// assert!((ranking.value(0.5, 0.3) - 0.4).abs() < 1e-15);
    /// assert_eq!(ranking.value(0.5, 0.7), 0.0);
    /// # Ok::<(), mentor_loss::LossError>(())
    /// ```
    pub fn value(&self, d_ap: f64, d_an: f64) -> f64 {
        let closer = d_ap + self.margin;
        match self.is_soft {
            // The predicate decides, so that value and case cannot disagree by a rounding.
            false if closer > d_an => closer - d_an,
            false => 0.0,
            true => {
                let gap = closer - d_an;
                gap.max(0.0) + (-gap.abs()).exp().ln_1p()
            }
        }
    }

    /// Its derivative with respect to d_ap, minus that with respect to d_an.
    pub fn slope(&self, d_ap: f64, d_an: f64) -> f64 {
        let closer = d_ap + self.margin;
        if !self.is_soft {
            return f64::from(u8::from(closer > d_an));
        }
        let small = (-(closer - d_an).abs()).exp();
        if closer > d_an { 1.0 / (1.0 + small) } else { small / (1.0 + small) }
    }

    /// The loss of each triplet: three tensors `[T, D]` give `[T]`.
    ///
    /// # Panics
    ///
    /// If the shapes differ; the message names both.
    #[track_caller]
    pub fn per_triplet(&self, anchors: Tensor<2>, positives: Tensor<2>, negatives: Tensor<2>) -> Tensor<1> {
        let d_ap = self.distance.pairs(anchors.clone(), positives);
        let d_an = self.distance.pairs(anchors, negatives);
        let gap = d_ap.add_scalar(self.margin).sub(d_an);
        if self.is_soft { softplus(gap, 1.0) } else { relu(gap) }
    }
}
