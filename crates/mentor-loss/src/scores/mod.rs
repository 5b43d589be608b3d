//! Losses on scores, and the choice between them by name.

pub mod explain;
mod score_loss;
mod softmax;
mod svm;

pub use score_loss::ScoreLoss;
pub use softmax::SoftmaxCrossEntropy;
pub use svm::{Hinge, MulticlassSvm};
