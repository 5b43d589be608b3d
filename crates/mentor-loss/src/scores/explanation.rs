//! One sample's loss, term by term, in `f64` on plain slices: what `mentor loss` prints.
//!
//! No tensors and no device: each loss writes its definition once more for a reader. The inputs come from
//! people, so every input is checked.

use serde::Serialize;

use crate::LossError;

/// What one class contributes to the loss of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Term {
    /// Index of the class.
    pub class: usize,
    /// Hinge: `max(0, s_j − s_y + Δ)`. Softmax: `−w_c q_c ln p_c`, with q the (smoothed) target.
    pub value: f64,
    /// Whether the class takes part. Hinge: the term is strictly greater than 0 and, for Crammer–Singer, the
    /// first of the largest. Softmax: every class whose share `w_c q_c` is not 0.
    pub active: bool,
}

/// The loss of one sample, with everything that made it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// One term for each class but, for a hinge, the target. The loss is their sum; for Crammer–Singer it
    /// is the active one.
    pub terms: Vec<Term>,
    /// The loss, in nats for softmax.
    pub loss: f64,
    /// Its derivative with respect to each score.
    pub gradient: Vec<f64>,
    /// Softmax: the probability of each class.
    pub probabilities: Option<Vec<f64>>,
}

/// The target's score, if scores and target are what a loss is defined for.
pub(crate) fn check(scores: &[f64], target: usize) -> Result<f64, LossError> {
    if scores.is_empty() {
        return Err(LossError::NoScores);
    }
    if let Some(class) = scores.iter().position(|score| !score.is_finite()) {
        return Err(LossError::Score { class, value: scores[class] });
    }
    scores.get(target).copied().ok_or(LossError::Target { target, num_classes: scores.len() })
}
