//! One sample's loss, term by term, in `f64` on plain slices: what `mentor loss` prints.
//!
//! No tensors and no device: these are the same definitions as [`MulticlassSvm`] and [`SoftmaxCrossEntropy`],
//! written once more for a reader. Their inputs come from people, so every input is checked.

use serde::Serialize;

use crate::{Hinge, LossError, MulticlassSvm, SoftmaxCrossEntropy};

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

/// The multiclass SVM loss of one sample.
///
/// # Errors
///
/// [`LossError::NoScores`], [`LossError::Score`] and [`LossError::Target`] for scores that are empty or not
/// finite and for a target that is not among them.
///
/// # Example
///
/// ```
/// use mentor_loss::{Hinge, MulticlassSvm, explain};
///
/// let svm = MulticlassSvm::new(Hinge::WestonWatkins, 1.0)?;
/// let cat = explain::multiclass_svm(&svm, &[3.2, 5.1, -1.7], 0)?;
/// assert!((cat.terms[0].value - 2.9).abs() < 1e-12 && cat.terms[0].active); // car: 5.1 − 3.2 + 1
/// assert!(cat.terms[1].value == 0.0 && !cat.terms[1].active); // frog
/// assert_eq!(cat.gradient, [-1.0, 1.0, 0.0]);
///
/// assert!(explain::multiclass_svm(&svm, &[3.2, 5.1], 2).is_err());
/// # Ok::<(), mentor_loss::LossError>(())
/// ```
pub fn multiclass_svm(svm: &MulticlassSvm, scores: &[f64], target: usize) -> Result<Explanation, LossError> {
    let target_score = check(scores, target)?;
    let mut terms: Vec<Term> = scores
        .iter()
        .enumerate()
        .filter(|&(class, _)| class != target)
        .map(|(class, &score)| {
            let value = (score - target_score + svm.margin()).max(0.0);
            Term { class, value, active: value > 0.0 }
        })
        .collect();
    if svm.hinge() == Hinge::CrammerSinger {
        let largest = terms.iter().fold(0.0, |largest: f64, term| largest.max(term.value));
        let mut found = false;
        for term in &mut terms {
            term.active = !found && largest > 0.0 && term.value == largest;
            found |= term.active;
        }
    }
    let mut gradient = vec![0.0; scores.len()];
    for term in terms.iter().filter(|term| term.active) {
        gradient[term.class] += 1.0;
        gradient[target] -= 1.0;
    }
    let loss = terms.iter().filter(|term| term.active).map(|term| term.value).sum();
    Ok(Explanation { terms, loss, gradient, probabilities: None })
}

/// The softmax cross-entropy of one sample, with the loss's smoothing and class weights.
///
/// Exact to a few units in the last place of `f64` also where the loss is tiny: the largest score is left
/// out of the sum of exponentials, whose logarithm is a `log1p`.
///
/// # Errors
///
/// As [`multiclass_svm`], and [`LossError::ClassWeightCount`] if the class weights do not fit the scores.
///
/// # Example
///
/// ```
/// use mentor_loss::{SoftmaxCrossEntropy, explain};
///
/// let cat = explain::softmax(&SoftmaxCrossEntropy::new(), &[3.2, 5.1, -1.7], 0)?;
/// assert!((cat.loss - 2.0404).abs() < 1e-4);
/// assert!((cat.gradient[0] + 0.870017).abs() < 1e-6);
///
/// assert!(explain::softmax(&SoftmaxCrossEntropy::new(), &[], 0).is_err());
/// # Ok::<(), mentor_loss::LossError>(())
/// ```
pub fn softmax(loss: &SoftmaxCrossEntropy, scores: &[f64], target: usize) -> Result<Explanation, LossError> {
    check(scores, target)?;
    let num_classes = scores.len();
    let weights = loss.class_weights();
    if let Some(weights) = weights.filter(|weights| weights.len() != num_classes) {
        return Err(LossError::ClassWeightCount { weights: weights.len(), num_classes });
    }
    let smoothing = loss.label_smoothing();
    let share = |class: usize| {
        let target_prob =
            if class == target { 1.0 - smoothing } else { 0.0 } + smoothing / num_classes as f64;
        weights.map_or(1.0, |weights| weights[class]) * target_prob
    };
    let shares: Vec<f64> = (0..num_classes).map(share).collect();

    let leader =
        (1..num_classes).fold(0, |best, class| if scores[class] > scores[best] { class } else { best });
    let exponentials: Vec<f64> = scores.iter().map(|score| (score - scores[leader]).exp()).collect();
    let sum_without = |left_out: usize, values: &[f64]| -> f64 {
        values.iter().enumerate().filter(|&(class, _)| class != left_out).map(|(_, value)| value).sum()
    };
    let others = sum_without(leader, &exponentials);
    let log_sum = others.ln_1p();
    let probabilities: Vec<f64> = exponentials.iter().map(|e| e / (1.0 + others)).collect();

    let term = |class: usize| {
        // p = 0 in the limit only: −ln p stays finite, so a share of 0 gives 0.
        let surprise = scores[leader] - scores[class] + log_sum;
        Term { class, value: shares[class] * surprise, active: shares[class] != 0.0 }
    };
    let terms: Vec<Term> = (0..num_classes).map(term).collect();
    // p·Σw − w as p·Σ_{others} w − w·Σ_{others} p: nothing is subtracted from 1, so that small
    // gradients keep their digits.
    let total: f64 = shares.iter().sum();
    let gradient = (0..num_classes)
        .map(|class| {
            let other_probability =
                if class == leader { others / (1.0 + others) } else { 1.0 - probabilities[class] };
            probabilities[class] * (total - shares[class]) - shares[class] * other_probability
        })
        .collect();
    let loss = terms.iter().map(|term| term.value).sum();
    Ok(Explanation { terms, loss, gradient, probabilities: Some(probabilities) })
}

/// The target's score, if scores and target are what a loss is defined for.
fn check(scores: &[f64], target: usize) -> Result<f64, LossError> {
    if scores.is_empty() {
        return Err(LossError::NoScores);
    }
    if let Some(class) = scores.iter().position(|score| !score.is_finite()) {
        return Err(LossError::Score { class, value: scores[class] });
    }
    scores.get(target).copied().ok_or(LossError::Target { target, num_classes: scores.len() })
}
