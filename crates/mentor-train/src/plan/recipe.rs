//! What a network learns from.

use super::distill::DistillPlan;
use super::frozen::FrozenPlan;
use super::optimum::OptimumPlan;
use super::self_train::SelfTrainPlan;

/// What a network learns from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Recipe {
    /// Labels alone.
    Labels,
    /// Labels alone, of a linear classifier, up to a proven distance from the optimum.
    Optimum(OptimumPlan),
    /// Labels, of which a linear head on a pretrained network learns; the network stays as it is.
    Frozen(FrozenPlan),
    /// The same, and then of all layers of the network together.
    FineTune(FrozenPlan),
    /// Teachers, and labels beside them.
    Distill(DistillPlan),
    /// Few labels, and many images without.
    SelfTrain(SelfTrainPlan),
}
