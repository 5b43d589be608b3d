//! The losses on scores, chosen by name.

use burn::tensor::{Int, Tensor};

use crate::scores::explain::{self, Explanation};
use crate::{Hinge, LossError, MulticlassSvm, SoftmaxCrossEntropy};

/// A loss on scores `[N, C]` with class targets `[N]`: what `--loss` names.
///
/// ```
/// use mentor_loss::ScoreLoss;
///
/// assert_eq!(ScoreLoss::from_name("crammer-singer", 1.0)?.name(), "crammer-singer");
/// let refused = ScoreLoss::from_name("hinge", 1.0).unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     r#"there is no loss named "hinge"; the losses on scores are svm, crammer-singer, softmax"#
/// );
/// # Ok::<(), mentor_loss::LossError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ScoreLoss {
    /// A hinge loss, in either form.
    Svm(MulticlassSvm),
    /// Softmax cross-entropy.
    Softmax(SoftmaxCrossEntropy),
}

impl ScoreLoss {
    /// The names that [`from_name`](Self::from_name) knows.
    pub const NAMES: &'static [&'static str] = &["svm", "crammer-singer", "softmax"];

    /// The loss of this name, plain except for the margin, which softmax does not have.
    ///
    /// # Errors
    ///
    /// [`LossError::UnknownLoss`], and [`LossError::Parameter`] for a margin that the named loss refuses.
    pub fn from_name(name: &str, margin: f64) -> Result<Self, LossError> {
        match name {
            "svm" => Ok(Self::Svm(MulticlassSvm::new(Hinge::WestonWatkins, margin)?)),
            "crammer-singer" => Ok(Self::Svm(MulticlassSvm::new(Hinge::CrammerSinger, margin)?)),
            "softmax" => Ok(Self::Softmax(SoftmaxCrossEntropy::new())),
            _ => Err(LossError::UnknownLoss { name: name.to_owned(), known: Self::NAMES }),
        }
    }

    /// The name by which the configuration and the command line know it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Svm(svm) => match svm.hinge() {
                Hinge::WestonWatkins => "svm",
                Hinge::CrammerSinger => "crammer-singer",
            },
            Self::Softmax(_) => "softmax",
        }
    }

    /// The loss of each sample: `scores` `[N, C]` and `targets` `[N]` give `[N]`.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit; the message names both.
    #[track_caller]
    pub fn per_sample(&self, scores: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
        match self {
            Self::Svm(loss) => loss.per_sample(scores, targets),
            Self::Softmax(loss) => loss.per_sample(scores, targets),
        }
    }

    /// Every term of one sample's loss, in `f64`. See [`explain`].
    ///
    /// # Errors
    ///
    /// As [`explain::multiclass_svm`] and [`explain::softmax`].
    pub fn explain(&self, scores: &[f64], target: usize) -> Result<Explanation, LossError> {
        match self {
            Self::Svm(loss) => explain::multiclass_svm(loss, scores, target),
            Self::Softmax(loss) => explain::softmax(loss, scores, target),
        }
    }
}
