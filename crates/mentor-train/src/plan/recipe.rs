//! What a network learns from.

use super::distill::DistillPlan;
use super::self_train::SelfTrainPlan;

/// What a network learns from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Recipe {
    /// Labels alone.
    Labels,
    /// Teachers, and labels beside them.
    Distill(DistillPlan),
    /// Few labels, and many images without.
    SelfTrain(SelfTrainPlan),
}
