//! From scores to a label, a confidence and target probabilities.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

/// Which targets a student learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabelKind {
    /// The most probable class alone.
    Hard,
    /// The probabilities of the `top_k` most probable classes; what is left of 1 is shared by the others.
    Soft {
        /// `None`, or a number of at least that of the classes, keeps every probability.
        top_k: Option<NonZeroUsize>,
    },
}

/// What scores say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The class with the largest score, the first of equal ones.
    pub label: u32,
    /// −ln p of that class. It tells apart what the probability rounds to 1.
    pub loss: f64,
}

impl Prediction {
    /// Reads scores at a temperature: p = softmax(scores / temperature). `None` if a score is not finite or
    /// there is none.
    pub fn new(scores: &[f32], temperature: f64) -> Option<Self> {
        if !scores.iter().all(|score| score.is_finite()) {
            return None;
        }
        let mut label = 0;
        for (class, score) in scores.iter().enumerate() {
            if *score > scores[label] {
                label = class;
            }
        }
        let best = f64::from(*scores.get(label)?);
        let others = scores.iter().enumerate().filter(|&(class, _)| class != label);
        let sum: f64 = others.map(|(_, &score)| ((f64::from(score) - best) / temperature).exp()).sum();
        Some(Self { label: label as u32, loss: sum.ln_1p() })
    }

    /// The probability of the label, in (0, 1].
    pub fn confidence(&self) -> f64 {
        (-self.loss).exp()
    }
}

/// Target probabilities with their smallest ones as one number.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftTarget {
    /// `(class, probability)`, the most probable first, equal ones by class.
    pub top: Vec<(u32, f32)>,
    /// Probability of each class that is not listed.
    pub rest: f32,
}

impl SoftTarget {
    /// The `top_k` largest of softmax(scores / temperature); what is left of 1 is shared evenly by the other
    /// classes.
    ///
    /// # Panics
    ///
    /// If `top_k` is 0.
    pub fn new(scores: &[f32], temperature: f64, top_k: usize) -> Self {
        assert!(top_k > 0, "top_k must be at least 1");
        let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f64> =
            scores.iter().map(|&score| (f64::from(score - largest) / temperature).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]).then(a.cmp(&b)));
        let (kept, others) = order.split_at(top_k.min(order.len()));
        let rest: f64 = others.iter().map(|&class| weights[class]).sum();
        Self {
            top: kept.iter().map(|&class| (class as u32, (weights[class] / sum) as f32)).collect(),
            rest: if others.is_empty() { 0.0 } else { (rest / sum / others.len() as f64) as f32 },
        }
    }

    /// The label alone.
    pub fn hard(label: u32) -> Self {
        Self { top: vec![(label, 1.0)], rest: 0.0 }
    }

    /// One probability a class.
    ///
    /// # Panics
    ///
    /// If a listed class is not below `num_classes`.
    pub fn dense(&self, num_classes: usize) -> Vec<f32> {
        let mut probabilities = vec![self.rest; num_classes];
        for &(class, probability) in &self.top {
            probabilities[class as usize] = probability;
        }
        probabilities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_is_the_softmax_of_the_largest_score() {
        let found = Prediction::new(&[1.0, 3.0, 2.0], 1.0).unwrap();
        let expected = 1.0 / (1.0 + (-1.0_f64).exp() + (-2.0_f64).exp());
        assert_eq!(found.label, 1);
        assert!((found.confidence() - expected).abs() < 1e-15);
        let warm = Prediction::new(&[1.0, 3.0, 2.0], 1e6).unwrap();
        assert!((warm.confidence() - 1.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn ties_are_the_first_class_and_saturated_confidences_stay_ordered() {
        assert_eq!(Prediction::new(&[2.0, 2.0], 1.0).unwrap().label, 0);
        let loss = |gap: f32| Prediction::new(&[gap, 0.0], 1.0).unwrap().loss;
        assert!(loss(60.0) > loss(80.0) && loss(80.0) > 0.0, "both have the probability 1 in f64");
    }

    #[test]
    fn scores_that_are_not_finite_say_nothing() {
        for bad in [&[f32::NAN, 1.0][..], &[f32::INFINITY, 1.0], &[1.0, f32::NEG_INFINITY], &[]] {
            assert_eq!(Prediction::new(bad, 1.0), None);
        }
    }

    #[test]
    fn what_is_left_of_the_largest_is_shared() {
        let scores = [0.0, 3.0_f32.ln(), 2.0_f32.ln(), 2.0_f32.ln()]; // 1, 3, 2, 2 of 8
        let target = SoftTarget::new(&scores, 1.0, 2);
        assert_eq!(target.top.iter().map(|&(class, _)| class).collect::<Vec<_>>(), [1, 2]);
        for (found, expected) in target.dense(4).iter().zip([0.1875, 0.375, 0.25, 0.1875]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        let whole = SoftTarget::new(&scores, 1.0, 9).dense(4);
        for (found, expected) in whole.iter().zip([0.125, 0.375, 0.25, 0.25]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        assert_eq!(SoftTarget::hard(2).dense(4), [0.0, 0.0, 1.0, 0.0]);
    }
}
