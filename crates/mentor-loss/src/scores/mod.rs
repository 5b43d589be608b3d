//! Losses on scores, and the choice between them by name.

mod explanation;
mod loss_on_scores;
mod parameters;
mod score_loss;
mod softmax;
mod svm;

pub use explanation::{Explanation, Term};
pub use parameters::{Parameter, Parameters, Range, Value};
pub use score_loss::{NamedLoss, ScoreLoss};
pub use softmax::SoftmaxCrossEntropy;
pub use svm::{Hinge, MulticlassSvm};
