//! The multiclass support vector machine: hinge losses on scores.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::explanation::{Explanation, Term, check};
use super::loss_on_scores::LossOnScores;
use super::parameters::{Parameters, Value};
use crate::error::check_non_negative;
use crate::{LossError, shapes};

/// How the margins of the wrong classes become one loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hinge {
    /// The sum over the wrong classes: every class inside the margin pushes.
    #[default]
    WestonWatkins,
    /// The largest of the wrong classes: only the worst offender pushes.
    CrammerSinger,
}

/// The multiclass SVM loss: zero if the target's score leads every other by the margin.
///
/// # Definition
///
/// ```text
/// Weston–Watkins:   L_i = Σ_{j≠y} max(0, s_j − s_y + Δ)
/// Crammer–Singer:   L_i = max(0, max_{j≠y} s_j − s_y + Δ)
/// ```
///
/// The sum is **not** divided by the number of classes C. With all scores equal the first is (C−1)·Δ and the
/// second Δ; with one class both are 0.
///
/// # Shapes
///
/// `scores` `[N, C]`, `targets` `[N]` of indices in `0..C`; result `[N]`.
///
/// # Gradient
///
/// Weston–Watkins: +1 for every active class, minus their number for the target. Crammer–Singer: +1 for the
/// largest wrong class (one of them if several tie) and −1 for the target, if that class is active. A class
/// is active iff its term is strictly greater than 0: exactly at the margin (the kink) the gradient is 0.
///
/// # Numerics
///
/// The difference `s_j − s_y` is taken before the margin is added, so that scores which differ by about Δ
/// lose no digits, however large they are. The target's own term is exactly 0, not Δ − Δ after a sum.
///
/// # Parameters
///
/// `margin` Δ: at least 0 and finite, in units of the scores; usually 1. Its size matters only against that
/// of the weights, which the penalty controls.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use mentor_loss::{Hinge, MulticlassSvm};
///
/// let device = Device::flex();
/// let scores = Tensor::<2>::from_floats([[3.0, 2.0, 2.5]], &device);
/// let targets = Tensor::<1, Int>::from_ints([2], &device);
///
/// // (3 − 2.5 + 1) + (2 − 2.5 + 1) = 1.5 + 0.5
/// let sum = MulticlassSvm::new(Hinge::WestonWatkins, 1.0)?.per_sample(scores.clone(), targets.clone());
/// assert_eq!(sum.into_scalar::<f32>(), 2.0);
/// let largest = MulticlassSvm::new(Hinge::CrammerSinger, 1.0)?.per_sample(scores, targets);
/// assert_eq!(largest.into_scalar::<f32>(), 1.5);
///
/// assert!(MulticlassSvm::new(Hinge::WestonWatkins, f64::NAN).is_err());
/// # Ok::<(), mentor_loss::LossError>(())
/// ```
///
/// # Differs from
///
/// - PyTorch `MultiMarginLoss` and Burn `MultiMarginLoss` divide Weston–Watkins by C: 0.667 in the example.
/// - scikit-learn `SGDClassifier(loss="hinge")` and `LinearSVC(loss="hinge")` train one-vs-rest:
///   Σ_j max(0, 1 − t_j s_j) with t_y = 1 and t_j = −1 is 7.0 in the example.
///   `LinearSVC(multi_class="crammer_singer")` is the second form.
/// - Some books give Crammer–Singer the sum's name "multiclass hinge"; check the number, not the name.
///
/// # Source
///
/// J. Weston, C. Watkins, "Support Vector Machines for Multi-Class Pattern Recognition", ESANN 1999: the
/// slack of the primal problem, whose margin of 2 is Δ here. K. Crammer, Y. Singer, "On the Algorithmic
/// Implementation of Multiclass Kernel-based Vector Machines", JMLR 2 (2001), section 3: the piecewise linear
/// bound on the error. The margin of 1 and the name follow the Stanford course CS231n, "Linear
/// Classification".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MulticlassSvm {
    hinge: Hinge,
    margin: f64,
}

impl MulticlassSvm {
    /// The loss with this hinge and margin.
    ///
    /// # Errors
    ///
    /// [`LossError::Parameter`] if `margin` is negative or not finite (in `f32`, in which the scores are).
    pub fn new(hinge: Hinge, margin: f64) -> Result<Self, LossError> {
        Ok(Self { hinge, margin: check_non_negative("margin", margin)? })
    }

    /// Which of the two forms this is.
    pub fn hinge(&self) -> Hinge {
        self.hinge
    }

    /// The margin Δ.
    pub fn margin(&self) -> f64 {
        self.margin
    }

    /// The loss of each sample: `scores` `[N, C]` and `targets` `[N]` give `[N]`.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit; the message names both.
    #[track_caller]
    pub fn per_sample(&self, scores: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
        shapes::check_targets("MulticlassSvm", &scores, &targets);
        match self.hinge {
            Hinge::WestonWatkins => mentor_kernels::weston_watkins(scores, targets, self.margin),
            Hinge::CrammerSinger => mentor_kernels::crammer_singer(scores, targets, self.margin),
        }
    }

    /// The loss of one sample, term by term.
    ///
    /// # Errors
    ///
    /// [`LossError::NoScores`], [`LossError::Score`] and [`LossError::Target`] for scores that are empty or
    /// not finite and for a target that is not among them.
    ///
    /// # Example
    ///
    /// ```
    /// use mentor_loss::{Hinge, MulticlassSvm};
    ///
    /// let svm = MulticlassSvm::new(Hinge::WestonWatkins, 1.0)?;
    /// let cat = svm.explain(&[3.2, 5.1, -1.7], 0)?;
    /// assert!((cat.terms[0].value - 2.9).abs() < 1e-12 && cat.terms[0].active); // car: 5.1 − 3.2 + 1
    /// assert!(cat.terms[1].value == 0.0 && !cat.terms[1].active); // frog
    /// assert_eq!(cat.gradient, [-1.0, 1.0, 0.0]);
    ///
    /// assert!(svm.explain(&[3.2, 5.1], 2).is_err());
    /// # Ok::<(), mentor_loss::LossError>(())
    /// ```
    pub fn explain(&self, scores: &[f64], target: usize) -> Result<Explanation, LossError> {
        let target_score = check(scores, target)?;
        let mut terms: Vec<Term> = scores
            .iter()
            .enumerate()
            .filter(|&(class, _)| class != target)
            .map(|(class, &score)| {
                let value = (score - target_score + self.margin).max(0.0);
                Term { class, value, active: value > 0.0 }
            })
            .collect();
        if self.hinge == Hinge::CrammerSinger {
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
}

impl LossOnScores for MulticlassSvm {
    fn name(&self) -> &'static str {
        match self.hinge {
            Hinge::WestonWatkins => "svm",
            Hinge::CrammerSinger => "crammer-singer",
        }
    }

    fn parameters(&self) -> Parameters {
        Parameters::from([("margin".to_owned(), Value::Number(self.margin))])
    }

    #[track_caller]
    fn per_sample(&self, scores: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
        Self::per_sample(self, scores, targets)
    }

    fn explain(&self, scores: &[f64], target: usize) -> Result<Explanation, LossError> {
        Self::explain(self, scores, target)
    }

    fn of_zero_scores(&self, num_classes: usize) -> f64 {
        match self.hinge {
            Hinge::WestonWatkins => (num_classes as f64 - 1.0) * self.margin,
            Hinge::CrammerSinger => self.margin,
        }
    }
}
