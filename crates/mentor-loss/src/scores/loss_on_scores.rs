//! What every loss on scores can do: each implements it in its own file.

use burn::tensor::{Int, Tensor};

use super::explanation::Explanation;
use super::parameters::Parameters;
use crate::LossError;

/// A loss on scores `[N, C]` with class targets `[N]`.
pub(crate) trait LossOnScores {
    /// The name by which the configuration and the command line know it.
    fn name(&self) -> &'static str;

    /// Its parameters, every one of them: with the name they make the same loss again.
    fn parameters(&self) -> Parameters;

    /// The loss of each sample: `scores` `[N, C]` and `targets` `[N]` give `[N]`.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit; the message names both.
    #[track_caller]
    fn per_sample(&self, scores: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1>;

    /// Every term of one sample's loss, in `f64`.
    ///
    /// # Errors
    ///
    /// If there are no scores, one is not finite, or the target is none of them.
    fn explain(&self, scores: &[f64], target: usize) -> Result<Explanation, LossError>;

    /// The mean loss of samples whose scores are all zero: what no weights at all have. Of weighted classes
    /// as if all had the largest weight.
    fn of_zero_scores(&self, num_classes: usize) -> f64;

    /// Refuses a number of classes that the parameters do not fit.
    ///
    /// # Errors
    ///
    /// [`LossError::ClassWeightCount`].
    fn check_classes(&self, _num_classes: usize) -> Result<(), LossError> {
        Ok(())
    }
}
