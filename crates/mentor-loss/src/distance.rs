//! Distances between embeddings.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::LossError;

/// How far apart two embeddings are.
///
/// # Definition
///
/// ```text
/// euclidean   d(a, b) = ‖a − b‖
/// squared     d(a, b) = ‖a − b‖²
/// cosine      d(a, b) = 1 − â·b̂ = ½‖â − b̂‖²      â = a/‖a‖, and 0 for a = 0
/// ```
///
/// The cosine distance to a zero vector is 1.
///
/// # Gradient
///
/// Zero where d = 0, also for the Euclidean distance, whose derivative does not exist there: two equal points
/// do not push each other. The root is taken of a masked square, and nothing is added to a value. A zero
/// vector gets no gradient from the cosine.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use mentor_loss::Distance;
///
/// let device = Device::flex();
/// let a = Tensor::<2>::from_floats([[0.0, 0.0], [1.0, 1.0]], &device);
/// let b = Tensor::<2>::from_floats([[3.0, 4.0], [1.0, 1.0]], &device);
/// let distances = Distance::Euclidean.pairs(a, b).into_data().try_to_vec::<f32>()?;
/// assert_eq!(distances, [5.0, 0.0]);
/// assert!("manhattan".parse::<Distance>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Differs from
///
/// PyTorch `pairwise_distance` adds 1e-6 to each difference; `cdist` takes a Gram matrix from 26 rows on,
/// which is wrong near 0; the gradient of `torch.norm` at 0 was NaN before 2.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distance {
    /// ‖a − b‖.
    #[default]
    Euclidean,
    /// ‖a − b‖².
    #[serde(rename = "squared")]
    SquaredEuclidean,
    /// 1 − cos(a, b).
    Cosine,
}

impl Distance {
    /// The names that [`from_str`](FromStr::from_str) knows.
    pub const NAMES: &'static [&'static str] = &["euclidean", "squared", "cosine"];

    /// The distance of each row of `a` to the same row of `b`: `[N, D]` and `[N, D]` give `[N]`.
    ///
    /// # Panics
    ///
    /// If the shapes differ; the message names both.
    #[track_caller]
    pub fn pairs(self, a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
        assert!(
            a.dims() == b.dims(),
            "Distance: pairs need the same shape, got {:?} and {:?}",
            a.dims(),
            b.dims()
        );
        let [num_pairs, _] = a.dims();
        match self {
            Self::Euclidean => root(squares(a, b)).reshape([num_pairs]),
            Self::SquaredEuclidean => squares(a, b).reshape([num_pairs]),
            Self::Cosine => {
                let (a, b) = (unit_norm(a), unit_norm(b));
                let missing = missing_lengths(a.clone()).add(missing_lengths(b.clone()));
                squares(a, b).add(missing).mul_scalar(0.5).reshape([num_pairs])
            }
        }
    }
}

/// Rows of length 1; a row of zeros stays one, with gradient 0.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let rows = Tensor::<2>::from_floats([[3.0, 4.0], [0.0, 0.0]], &Device::flex());
/// let units = mentor_loss::unit_norm(rows).into_data().try_to_vec::<f32>()?;
/// assert_eq!(units, [0.6, 0.8, 0.0, 0.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn unit_norm(rows: Tensor<2>) -> Tensor<2> {
    // Divided by the largest first (a constant to the gradient: the direction does not depend on it), so that
    // squares neither overflow nor vanish.
    let largest = rows.clone().detach().abs().max_dim(1);
    let empty = largest.clone().equal_elem(0.0);
    let [_, dim] = rows.dims();
    let rows = rows.div(largest.mask_fill(empty.clone(), 1.0));
    let squares = rows.clone().square().sum_dim(1);
    let units = rows.div(squares.mask_fill(empty.clone(), 1.0).sqrt());
    units.mask_fill(empty.repeat_dim(1, dim), 0.0)
}

/// Σ (a − b)², `[N, 1]`.
fn squares(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    a.sub(b).square().sum_dim(1)
}

/// The square root with derivative 0 at 0: the mask comes before the root, whose derivative there is
/// infinite.
fn root(squares: Tensor<2>) -> Tensor<2> {
    let zero = squares.clone().lower_equal_elem(0.0);
    squares.mask_fill(zero.clone(), 1.0).sqrt().mask_fill(zero, 0.0)
}

/// 1 for rows of zeros and 0 for others, `[N, 1]`, without gradient.
fn missing_lengths(units: Tensor<2>) -> Tensor<2> {
    units.detach().abs().max_dim(1).equal_elem(0.0).float()
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Euclidean => "euclidean",
            Self::SquaredEuclidean => "squared",
            Self::Cosine => "cosine",
        })
    }
}

impl FromStr for Distance {
    type Err = LossError;

    fn from_str(name: &str) -> Result<Self, LossError> {
        match name {
            "euclidean" => Ok(Self::Euclidean),
            "squared" => Ok(Self::SquaredEuclidean),
            "cosine" => Ok(Self::Cosine),
            _ => Err(LossError::unknown("distance", name, Self::NAMES)),
        }
    }
}
