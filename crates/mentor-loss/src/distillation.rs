//! Distillation: a student learns from the softened probabilities of a teacher, or of several.

use burn::tensor::{Int, Tensor};

use crate::error::check_non_negative;
use crate::explicit_gradient::with_gradient;
use crate::{LossError, SoftmaxCrossEntropy, shapes};

/// Below this difference of log-probabilities, e^x − 1 − x is summed as a series: in `f32` the subtraction
/// has no digits left there, and the largest temperatures live there.
const SERIES_BELOW: f32 = 0.5;

/// The distillation loss: cross-entropy with the targets, and the divergence of the student's softened
/// probabilities from the teacher's.
///
/// # Definition
///
/// ```text
/// p = softmax(t / T)       one teacher with scores t; of several teachers the mean of their p
/// q = softmax(s / T)       the student with scores s
/// soft_i = T² · KL(p ‖ q) = T² · Σ_c p_c (ln p_c − ln q_c)
/// hard_i = CE(s, y)                                              at temperature 1
/// L_i    = soft_weight · soft_i + hard_weight · hard_i
///
/// hard labels (DeiT):  soft_i = CE(s, argmax_c p_c)              at temperature 1, without T²
/// ```
///
/// In nats. The caller's mean divides by the number of samples only, never by the number of classes. T²
/// multiplies the soft term alone, also with `hard_weight` 0: it makes the size of the soft gradient, which
/// falls as 1/T², independent of the temperature.
///
/// # Shapes
///
/// `scores` and each of `teacher_scores` `[N, C]`, `targets` `[N]` of indices in `0..C`; each term `[N]`.
///
/// # Gradient
///
/// Of the soft term T·(q − p); exactly 0, in every bit, for a student whose scores are its teacher's. None
/// flows into the teacher. Of the others that of [`SoftmaxCrossEntropy`]. A term of weight 0 is not computed
/// and leaves no graph, so that with `soft_weight` 0 and `hard_weight` 1 value and gradient are those of the
/// plain loss bit for bit.
///
/// # Numerics
///
/// With x_c = ln q_c − ln p_c and because Σ p = Σ q = 1,
///
/// ```text
/// KL = Σ_c p_c (e^x_c − 1 − x_c)     every term at least 0; rounding of logarithms cancels at first order
/// q_c − p_c = p_c (x_c + (e^x_c − 1 − x_c))
/// ```
///
/// with e^x − 1 − x as a series for |x| < ½. The textbook sum Σ p (ln p − ln q) cancels to 1e-7, which T² =
/// 400 blows up to 4e-5; this one holds six digits at T = 20 and while the student closes in on its teacher.
/// Log-probabilities are shifted by the largest score, so that scores of ±1e4 are finite. The mean of several
/// teachers is taken in log space, where no probability underflows.
///
/// # Parameters
///
/// `temperature` T: greater than 0, such that `f32` holds T²; 1 to 20, where 20 suits wide perceptrons, 4
/// convolutional nets, 2.5 to 4 tiny students. `soft_weight`, `hard_weight`: at least 0, not both 0; 0.9 and
/// 0.1 are usual.
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use mentor_loss::Distillation;
///
/// let device = Device::flex();
/// // Probabilities 0.8, 0.2 of the teacher and 0.5, 0.5 of the student: 0.8 ln 1.6 + 0.2 ln 0.4 = 0.19274.
/// let teacher = Tensor::<2>::from_floats([[4f32.ln(), 0.0]], &device);
/// let student = Tensor::<2>::from_floats([[0.0, 0.0]], &device);
/// let terms = Distillation::new(1.0, 1.0, 0.0)?.terms(student, &[teacher], None);
/// assert!((terms.soft.unwrap().into_scalar::<f32>() - 0.192745).abs() < 1e-6);
/// assert!(terms.hard.is_none());
///
/// assert!(Distillation::new(0.0, 0.9, 0.1).is_err());
/// # Ok::<(), mentor_loss::LossError>(())
/// ```
///
/// # Differs from
///
/// - PyTorch `kl_div(reduction="mean")` divides by N·C, a gradient smaller by C; `"batchmean"` divides by N,
///   as the mean here.
/// - Many scripts leave out T² (the soft gradient then falls with the temperature), or multiply the hard term
///   by it too.
/// - Scripts with one `alpha` set hard_weight = 1 − soft_weight; the two are independent here.
/// - Hinton's cross-entropy with soft targets is KL plus the teacher's entropy: the same gradient, another
///   value.
/// - The mean of the teachers' *scores* (a geometric mean of probabilities) is another ensemble.
///
/// # Source
///
/// G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531,
/// section 2. H. Touvron et al., "Training data-efficient image transformers & distillation through
/// attention", ICML 2021, equation 3, for hard labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Distillation {
    temperature: f64,
    soft_weight: f64,
    hard_weight: f64,
    hard_labels: bool,
    cross_entropy: SoftmaxCrossEntropy,
}

/// The unweighted terms of [`Distillation`], `[N]` each; a term of weight 0 is absent.
#[derive(Clone, Debug)]
pub struct DistillationTerms {
    /// What the teacher asks for, T² included.
    pub soft: Option<Tensor<1>>,
    /// Cross-entropy with the targets.
    pub hard: Option<Tensor<1>>,
}

impl Distillation {
    /// The loss with soft targets and plain cross-entropy.
    ///
    /// # Errors
    ///
    /// [`LossError::Parameter`] if the temperature is not greater than 0 or its square not finite in `f32`,
    /// or a weight is negative or not finite; [`LossError::NoWeight`] if both weights are 0.
    pub fn new(temperature: f64, soft_weight: f64, hard_weight: f64) -> Result<Self, LossError> {
        let square = (temperature * temperature) as f32;
        if !(temperature > 0.0 && square.is_normal()) {
            let allowed = "greater than 0, with a square that 32 bits hold";
            return Err(LossError::Parameter { name: "temperature", value: temperature, allowed });
        }
        let soft_weight = check_non_negative("soft_weight", soft_weight)?;
        let hard_weight = check_non_negative("hard_weight", hard_weight)?;
        if soft_weight == 0.0 && hard_weight == 0.0 {
            return Err(LossError::NoWeight { names: "soft_weight and hard_weight" });
        }
        let cross_entropy = SoftmaxCrossEntropy::new();
        Ok(Self { temperature, soft_weight, hard_weight, hard_labels: false, cross_entropy })
    }

    /// Replaces the soft term by cross-entropy with the teacher's class of the highest probability.
    #[must_use]
    pub fn with_hard_labels(self) -> Self {
        Self { hard_labels: true, ..self }
    }

    /// Gives the hard term label smoothing or class weights. The soft term has neither.
    #[must_use]
    pub fn with_cross_entropy(self, cross_entropy: SoftmaxCrossEntropy) -> Self {
        Self { cross_entropy, ..self }
    }

    /// T.
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// The factor of the soft term, beside T².
    pub fn soft_weight(&self) -> f64 {
        self.soft_weight
    }

    /// The factor of the hard term; above 0 the loss needs targets.
    pub fn hard_weight(&self) -> f64 {
        self.hard_weight
    }

    /// Whether the teacher gives classes instead of probabilities.
    pub fn hard_labels(&self) -> bool {
        self.hard_labels
    }

    /// The unweighted terms of each sample. `targets` may be absent only if `hard_weight` is 0.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit, no teacher is given, or targets are missing.
    #[track_caller]
    pub fn terms(
        &self,
        scores: Tensor<2>,
        teacher_scores: &[Tensor<2>],
        targets: Option<Tensor<1, Int>>,
    ) -> DistillationTerms {
        let soft = (self.soft_weight > 0.0).then(|| self.soft_term(scores.clone(), teacher_scores));
        let hard = (self.hard_weight > 0.0).then(|| {
            let Some(targets) = targets else { panic!("Distillation: a hard_weight above 0 needs targets") };
            self.cross_entropy.per_sample(scores, targets)
        });
        DistillationTerms { soft, hard }
    }

    /// The weighted sum of the terms, `[N]`: the loss of each sample.
    ///
    /// # Panics
    ///
    /// If a term of positive weight is absent: terms are those that this loss gave.
    #[track_caller]
    pub fn weigh(&self, terms: DistillationTerms) -> Tensor<1> {
        let weigh = |term: Option<Tensor<1>>, weight: f64| match (term, weight) {
            (_, 0.0) => None,
            (Some(term), 1.0) => Some(term),
            (Some(term), weight) => Some(term.mul_scalar(weight)),
            (None, _) => panic!("Distillation: a term of weight {weight} is absent"),
        };
        match (weigh(terms.soft, self.soft_weight), weigh(terms.hard, self.hard_weight)) {
            (Some(soft), Some(hard)) => soft.add(hard),
            (Some(term), None) | (None, Some(term)) => term,
            (None, None) => unreachable!("the constructor refuses two weights of 0"),
        }
    }

    /// The loss of each sample: [`terms`](Self::terms), [weighed](Self::weigh).
    ///
    /// # Panics
    ///
    /// As [`terms`](Self::terms).
    #[track_caller]
    pub fn per_sample(
        &self,
        scores: Tensor<2>,
        teacher_scores: &[Tensor<2>],
        targets: Option<Tensor<1, Int>>,
    ) -> Tensor<1> {
        self.weigh(self.terms(scores, teacher_scores, targets))
    }

    /// The Euclidean norm of each weighted term's derivative with respect to a sample's scores, `[N]`: which
    /// of the two drives the student. The gradient of the batch mean has the norm √(Σ_i n_i²) / N.
    ///
    /// # Panics
    ///
    /// As [`terms`](Self::terms), and if the scores are on a device without automatic differentiation.
    #[track_caller]
    pub fn gradient_norms(
        &self,
        scores: Tensor<2>,
        teacher_scores: &[Tensor<2>],
        targets: Option<Tensor<1, Int>>,
    ) -> DistillationTerms {
        let leaf = scores.detach().require_grad();
        let terms = self.terms(leaf.clone(), teacher_scores, targets);
        let norm = |term: Tensor<1>, weight: f64| {
            let num_samples = term.dims()[0];
            let gradient = leaf.grad(&term.sum().backward())?;
            Some(gradient.square().sum_dim(1).sqrt().mul_scalar(weight).reshape([num_samples]))
        };
        DistillationTerms {
            soft: terms.soft.and_then(|term| norm(term, self.soft_weight)),
            hard: terms.hard.and_then(|term| norm(term, self.hard_weight)),
        }
    }

    #[track_caller]
    fn soft_term(&self, scores: Tensor<2>, teacher_scores: &[Tensor<2>]) -> Tensor<1> {
        assert!(!teacher_scores.is_empty(), "Distillation: there is no teacher");
        for teacher in teacher_scores {
            shapes::check_same("Distillation", ["scores", "teacher_scores"], &scores, teacher);
        }
        let num_samples = scores.dims()[0];
        let teacher = self.teacher_log_probs(teacher_scores);
        if self.hard_labels {
            let labels = teacher.argmax(1).reshape([num_samples]);
            return SoftmaxCrossEntropy::new().per_sample(scores, labels);
        }
        let student = self.log_probs(scores.clone().detach());
        // [N, C], exactly 0 where the student equals its teacher
        let x = student.clone().sub(teacher.clone());
        let (p, q) = (teacher.exp(), student.exp());
        let near = x.clone().abs().lower_scalar(SERIES_BELOW);

        let remainder = series(x.clone().clamp(-SERIES_BELOW, SERIES_BELOW)); // e^x − 1 − x
        let difference = q.sub(p.clone()); // p·(e^x − 1), and no e^x that overflows
        let divergence = difference.clone().sub(p.clone().mul(x.clone()));
        let divergence = divergence.mask_where(near.clone(), p.clone().mul(remainder.clone()));
        let difference = difference.mask_where(near, p.mul(x.add(remainder)));

        let square = self.temperature * self.temperature;
        let values = divergence.sum_dim(1).mul_scalar(square).reshape([num_samples]);
        with_gradient(values, scores, difference.mul_scalar(self.temperature))
    }

    /// ln p, `[N, C]`, without a graph.
    fn teacher_log_probs(&self, teacher_scores: &[Tensor<2>]) -> Tensor<2> {
        let mut each = teacher_scores.iter().map(|scores| self.log_probs(scores.clone().detach()));
        let first = each.next().expect("the caller has checked that there is a teacher");
        if teacher_scores.len() == 1 {
            return first;
        }
        let all: Vec<Tensor<2>> = std::iter::once(first).chain(each).collect();
        let largest = all.iter().skip(1).fold(all[0].clone(), |largest, next| largest.max_pair(next.clone()));
        let sum = all
            .into_iter()
            .map(|log_probs| log_probs.sub(largest.clone()).exp())
            .reduce(Tensor::add)
            .expect("there is a teacher");
        largest.add(sum.div_scalar(teacher_scores.len() as f64).log())
    }

    /// ln softmax(scores / T), `[N, C]`: one pass, shifted by the largest score.
    fn log_probs(&self, scores: Tensor<2>) -> Tensor<2> {
        let largest = scores.clone().max_dim(1);
        let shifted = scores.sub(largest).div_scalar(self.temperature); // at most 0
        let log_sum = shifted.clone().exp().sum_dim(1).log();
        shifted.sub(log_sum)
    }
}

/// e^x − 1 − x for |x| ≤ ½: its Taylor series up to x⁸, which leaves out at most 5e-8 of the value.
fn series(x: Tensor<2>) -> Tensor<2> {
    // x²/2 · (1 + x/3 · (1 + x/4 · (1 + …)))
    let mut sum = x.clone().div_scalar(8.0).add_scalar(1.0);
    for divisor in [7.0, 6.0, 5.0, 4.0, 3.0] {
        sum = sum.mul(x.clone().div_scalar(divisor)).add_scalar(1.0);
    }
    x.square().div_scalar(2.0).mul(sum)
}
