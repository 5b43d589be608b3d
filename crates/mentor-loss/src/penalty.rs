//! Penalties on weights: L2, L1 and both, and the proximal step that makes weights exactly zero.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::LossError;
use crate::error::check_non_negative;

/// A penalty on the size of weights, added to the mean data loss.
///
/// # Definition
///
/// ```text
/// λR(W) = l2 · Σ w² + l1 · Σ |w|
/// J(W)  = (1/N) Σ_i L_i + λR(W)
/// ```
///
/// Over the weights of linear and convolutional layers and a transformer's positions. Biases and the
/// parameters of normalisation are never penalised; choosing what to pass is the caller's part. L2 has no
/// factor ½, and neither is divided by the number of samples or of weights.
///
/// # Shapes
///
/// Weights of any shape; result `[1]`.
///
/// # Gradient
///
/// L2: `2·l2·w`, by [`gradient_l2`](Self::gradient_l2) without a graph. L1 has none at 0 and is not meant to
/// be differentiated: gradient steps with sign(w) jump over 0 and leave no weight there. Apply
/// [`soft_threshold`] after the update instead.
///
/// # Numerics
///
/// Plain sums. f32 weights whose squares overflow (beyond 1e19) give an infinite value.
///
/// # Parameters
///
/// `l1`, `l2`: the λ of each, at least 0 and finite; 0 turns it off. Usual: l2 from 1e-4 to 5e-4.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use mentor_loss::Penalty;
///
/// let weights = Tensor::<1>::from_floats([3.0, -4.0], &Device::flex());
/// assert_eq!(Penalty::new(0.0, 0.1)?.value(weights.clone()).into_scalar::<f32>(), 2.5); // 0.1 · (9 + 16)
/// assert_eq!(Penalty::new(0.5, 0.0)?.value(weights).into_scalar::<f32>(), 3.5); // 0.5 · (3 + 4)
///
/// assert!(Penalty::new(0.0, -1e-4).is_err());
/// # Ok::<(), mentor_loss::LossError>(())
/// ```
///
/// # Differs from
///
/// - PyTorch and Burn `weight_decay` d adds d·w to the gradient: d = 2·l2. AdamW and other decoupled decays
///   are no penalty at all.
/// - scikit-learn `SGDClassifier`: alpha = 2·l2 (its penalty is alpha/2 · Σ w²), alpha = l1.
/// - scikit-learn `LogisticRegression`, `LinearSVC` and LIBLINEAR multiply the data instead, by C =
///   1/(2·l2·N).
///
/// # Source
///
/// A. Hoerl, R. Kennard, "Ridge Regression", Technometrics 12 (1970). R. Tibshirani, "Regression Shrinkage
/// and Selection via the Lasso", JRSS B 58 (1996). H. Zou, T. Hastie, "Regularization and Variable Selection
/// via the Elastic Net", JRSS B 67 (2005), for both together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Penalty {
    l1: f64,
    l2: f64,
}

/// A penalty as files hold it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    l1: f64,
    l2: f64,
}

impl TryFrom<Written> for Penalty {
    type Error = LossError;

    fn try_from(written: Written) -> Result<Self, LossError> {
        Self::new(written.l1, written.l2)
    }
}

impl Penalty {
    /// The penalty `l1·Σ|w| + l2·Σw²`.
    ///
    /// # Errors
    ///
    /// [`LossError::Parameter`] if one is negative or not finite (in `f32`).
    pub fn new(l1: f64, l2: f64) -> Result<Self, LossError> {
        Ok(Self { l1: check_non_negative("l1", l1)?, l2: check_non_negative("l2", l2)? })
    }

    /// The factor of Σ|w|.
    pub fn l1(&self) -> f64 {
        self.l1
    }

    /// The factor of Σw².
    pub fn l2(&self) -> f64 {
        self.l2
    }

    /// Whether nothing is penalised.
    pub fn is_zero(&self) -> bool {
        self.l1 == 0.0 && self.l2 == 0.0
    }

    /// The penalty of one tensor of weights, as a tensor of shape `[1]`.
    ///
    /// Differentiable, but an optimiser that uses [`gradient_l2`](Self::gradient_l2) saves the graph.
    pub fn value<const D: usize>(&self, weights: Tensor<D>) -> Tensor<1> {
        match (self.l1 > 0.0, self.l2 > 0.0) {
            (false, false) => Tensor::zeros([1], &weights.device()),
            (false, true) => weights.square().sum().mul_scalar(self.l2),
            (true, false) => weights.abs().sum().mul_scalar(self.l1),
            (true, true) => {
                let squares = weights.clone().square().sum().mul_scalar(self.l2);
                squares.add(weights.abs().sum().mul_scalar(self.l1))
            }
        }
    }

    /// The gradient of the L2 part, `2·l2·w`. The L1 part is [`soft_threshold`]'s.
    pub fn gradient_l2<const D: usize>(&self, weights: Tensor<D>) -> Tensor<D> {
        weights.mul_scalar(2.0 * self.l2)
    }
}

/// The proximal step of L1: moves every weight towards 0 by `amount`, and no further than 0.
///
/// # Definition
///
/// ```text
/// S(w, a) = sign(w) · max(0, |w| − a) = argmin_v ½(v − w)² + a·|v|,   a = learning_rate · l1
/// ```
///
/// Weights with |w| ≤ a become exactly 0 (computed as `w − clamp(w, −a, a)`, which is exact there).
///
/// # Panics
///
/// If `amount` is negative or not a number.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// let weights = Tensor::<1>::from_floats([0.75, -0.75, 0.25, -0.1], &Device::flex());
/// let shrunk = mentor_loss::soft_threshold(weights, 0.25).into_data().try_to_vec::<f32>()?;
/// assert_eq!(shrunk, [0.5, -0.5, 0.0, 0.0]);
/// # Ok::<(), burn::tensor::DataError>(())
/// ```
///
/// # Differs from
///
/// PyTorch, Optax and Keras regularisers add `l1·sign(w)` to the gradient, after which no weight is
/// exactly 0. scikit-learn's SGD truncates cumulatively (Tsuruoka et al. 2009), which zeroes weights too.
///
/// # Source
///
/// I. Daubechies, M. Defrise, C. De Mol, "An iterative thresholding algorithm for linear inverse problems",
/// Comm. Pure Appl. Math. 57 (2004). N. Parikh, S. Boyd, "Proximal Algorithms", 2014, section 6.5.2.
#[track_caller]
pub fn soft_threshold<const D: usize>(weights: Tensor<D>, amount: f64) -> Tensor<D> {
    assert!(amount >= 0.0, "soft_threshold: amount is {amount}, but must be at least 0");
    let clamped = weights.clone().clamp(-amount, amount);
    weights.sub(clamped)
}
