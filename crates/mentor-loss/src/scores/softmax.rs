//! Softmax cross-entropy: the negative log-likelihood of scores read as unnormalised log-probabilities.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::explanation::{Explanation, Term, check};
use super::loss_on_scores::LossOnScores;
use super::parameters::{Parameters, Value};
use crate::{LossError, shapes};

/// The softmax cross-entropy: minus the logarithm of the probability that the scores give the target.
///
/// # Definition
///
/// ```text
/// p_c = e^{s_c} / Σ_j e^{s_j}
/// class targets:     L_i = −ln p_y
/// soft targets q:    L_i = −Σ_c q_c ln p_c
/// label smoothing ε: q becomes (1−ε)·q + ε/C
/// class weights w:   L_i = −Σ_c w_c q_c ln p_c        (class targets: q is 1 at y, so L_i = −w_y ln p_y)
/// ```
///
/// In nats. The caller's mean over a batch divides by N, with class weights as well.
/// With all scores equal the loss is ln C; with one class it is 0.
///
/// # Shapes
///
/// `scores` `[N, C]`; `targets` `[N]` of indices in `0..C`, or `target_probs` `[N, C]` whose rows are
/// probabilities; result `[N]`.
///
/// # Gradient
///
/// `p − q` for each sample (weighted: `p·Σ_c w_c q_c − w·q`). It is never exactly 0 for class targets before
/// the exponentials underflow: softmax keeps pushing where the SVM is content. Soft targets are
/// constants: no gradient flows into them.
///
/// # Numerics
///
/// Class targets, with the largest lead M = max(0, max_{j≠y} s_j − s_y) held constant:
///
/// ```text
/// L = M + log1p( Σ_{j≠y} e^{s_j − s_y − M} + expm1(−M) )
/// ```
///
/// Where the target leads, M is 0 and the loss is `log1p` of a small sum: it keeps its digits down to the
/// underflow of `f32` (a lead of 87), where log-sum-exp minus `s_y` is 0 from a lead of 17 on. So does the
/// gradient of the target, −Σ_{j≠y} p_j, where `p_y − 1` would be rounded. Holding M constant changes no
/// gradient: the derivative of the whole with respect to M is exactly 0. Scores of ±1e4 give finite values
/// and gradients. Soft targets use the log-softmax shifted by the largest score, accurate to about 1e-7 of
/// the largest difference of scores.
///
/// # Parameters
///
/// `label_smoothing` ε: from 0 (default, off) to 1. `class_weights` w: one for each class, each at least 0
/// and finite, one at least greater than 0 (default: all 1).
///
/// # Example
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use mentor_loss::SoftmaxCrossEntropy;
///
/// let device = Device::flex();
/// let targets = Tensor::<1, Int>::from_ints([0], &device);
/// let loss = |scores: [[f32; 4]; 1]| {
///     let scores = Tensor::<2>::from_floats(scores, &device);
///     SoftmaxCrossEntropy::new().per_sample(scores, targets.clone()).into_scalar::<f32>()
/// };
/// assert!((loss([[0.0; 4]]) - 4f32.ln()).abs() < 1e-6);
/// assert!((loss([[10.0, 9.0, 9.0, 9.0]]) - 0.7437).abs() < 1e-4);
/// // ln(1 + 3·e^−20): log-sum-exp minus s_y is 0 here.
/// assert!((loss([[29.0, 9.0, 9.0, 9.0]]) - 6.1834613e-9).abs() < 1e-14);
///
/// assert!(SoftmaxCrossEntropy::new().with_label_smoothing(1.5).is_err());
/// ```
///
/// # Differs from
///
/// - PyTorch `CrossEntropyLoss` has the same values for each sample (`reduction="none"`), weights and
///   smoothing included, but its weighted mean over class targets divides by Σ_i w_{y_i} where the mean here
///   divides by N: doubling all weights doubles this loss and leaves PyTorch's as it is.
/// - Burn `CrossEntropyLoss` divides like PyTorch; it and PyTorch compute log-sum-exp minus `s_y`.
/// - scikit-learn `log_loss` takes probabilities, clipped at the machine epsilon.
/// - CS231n prints base-10 logarithms: 0.89 for the cat, which is 2.04 nats.
///
/// # Source
///
/// J. S. Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs", 1990, for the
/// softmax with its likelihood. C. Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016,
/// section 7, for label smoothing. P. Blanchard, D. Higham, N. Higham, "Accurately computing the log-sum-exp
/// and softmax functions", IMA J. Numer. Anal. 41 (2021), for the shift and the `log1p`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SoftmaxCrossEntropy {
    label_smoothing: f64,
    class_weights: Option<Vec<f64>>,
}

impl SoftmaxCrossEntropy {
    /// The plain loss: no smoothing, all classes alike.
    pub const fn new() -> Self {
        Self { label_smoothing: 0.0, class_weights: None }
    }

    /// Moves the share `label_smoothing` of every target evenly to all classes, the target included.
    ///
    /// # Errors
    ///
    /// [`LossError::Parameter`] if it is not from 0 to 1.
    pub fn with_label_smoothing(mut self, label_smoothing: f64) -> Result<Self, LossError> {
        if !(0.0..=1.0).contains(&label_smoothing) {
            let (name, value) = ("label_smoothing", label_smoothing);
            return Err(LossError::Parameter { name, value, allowed: "from 0 to 1" });
        }
        self.label_smoothing = label_smoothing;
        Ok(self)
    }

    /// Multiplies what each class contributes by its weight.
    ///
    /// # Errors
    ///
    /// [`LossError::ClassWeight`] if one is negative or not finite, [`LossError::NoClassWeight`] if none is
    /// greater than 0.
    pub fn with_class_weights(mut self, class_weights: Vec<f64>) -> Result<Self, LossError> {
        let refused = |&value: &f64| !(value >= 0.0 && (value as f32).is_finite());
        if let Some(class) = class_weights.iter().position(refused) {
            return Err(LossError::ClassWeight { class, value: class_weights[class] });
        }
        if !class_weights.iter().any(|&weight| weight > 0.0) {
            return Err(LossError::NoClassWeight { count: class_weights.len() });
        }
        self.class_weights = Some(class_weights);
        Ok(self)
    }

    /// The label smoothing ε, 0 when off.
    pub fn label_smoothing(&self) -> f64 {
        self.label_smoothing
    }

    /// The class weights, if any.
    pub fn class_weights(&self) -> Option<&[f64]> {
        self.class_weights.as_deref()
    }

    /// The loss of each sample for class targets: `scores` `[N, C]` and `targets` `[N]` give `[N]`.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit, or the number of class weights is not C; the message names both.
    #[track_caller]
    pub fn per_sample(&self, scores: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
        let [num_samples, num_classes] = shapes::check_targets("SoftmaxCrossEntropy", &scores, &targets);
        let device = scores.device();
        let losses = mentor_kernels::softmax_cross_entropy(scores.clone(), targets.clone());
        let smoothing = self.label_smoothing;
        if smoothing == 0.0 {
            return match self.weights_on(&device, num_classes) {
                Some(weights) => losses.mul(weights.select(0, targets)),
                None => losses,
            };
        }
        let losses = losses.reshape([num_samples, 1]);
        let target_scores = scores.clone().gather(1, targets.clone().reshape([num_samples, 1]));
        let leads = scores.sub(target_scores); // [N, C], exactly 0 at the target

        // −ln p_c = L − (s_c − s_y), so the smoothed and weighted sum needs one more sum over classes.
        let losses = match self.weights_on(&device, num_classes) {
            None => losses.sub(leads.mean_dim(1).mul_scalar(smoothing)),
            Some(weights) => {
                let target_weights = weights.clone().select(0, targets).reshape([num_samples, 1]);
                let weights = weights.reshape([1, num_classes]);
                let share = smoothing / num_classes as f64;
                let total = target_weights
                    .mul_scalar(1.0 - smoothing)
                    .add(weights.clone().sum_dim(1).mul_scalar(share));
                losses.mul(total).sub(leads.mul(weights).sum_dim(1).mul_scalar(share))
            }
        };
        losses.reshape([num_samples])
    }

    /// The loss of each sample for soft targets: `scores` and `target_probs` `[N, C]` give `[N]`.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit, or the number of class weights is not C; the message names both.
    #[track_caller]
    pub fn per_sample_soft(&self, scores: Tensor<2>, target_probs: Tensor<2>) -> Tensor<1> {
        let [num_samples, num_classes] =
            shapes::check_target_probs("SoftmaxCrossEntropy", &scores, &target_probs);
        let device = scores.device();
        let smoothing = self.label_smoothing;
        let mut shares = target_probs.detach();
        if smoothing > 0.0 {
            shares = shares.mul_scalar(1.0 - smoothing).add_scalar(smoothing / num_classes as f64);
        }
        if let Some(weights) = self.weights_on(&device, num_classes) {
            shares = shares.mul(weights.reshape([1, num_classes]));
        }
        let largest = scores.clone().detach().max_dim(1);
        let shifted = scores.sub(largest); // [N, C], at most 0
        let log_sum = shifted.clone().exp().sum_dim(1).log();
        log_sum.sub(shifted).mul(shares).sum_dim(1).reshape([num_samples])
    }

    /// The class weights as a tensor `[C]`.
    #[track_caller]
    fn weights_on(&self, device: &Device, num_classes: usize) -> Option<Tensor<1>> {
        let weights = self.class_weights.as_ref()?;
        assert!(
            weights.len() == num_classes,
            "SoftmaxCrossEntropy: class weights of shape [{}] do not fit scores of shape [N, {num_classes}]",
            weights.len(),
        );
        let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
        Some(Tensor::from_data(TensorData::new(weights, [num_classes]), device))
    }

    /// The loss of one sample, term by term, with smoothing and class weights.
    ///
    /// Exact to a few units in the last place of `f64` also where the loss is tiny: the largest score is left
    /// out of the sum of exponentials, whose logarithm is a `log1p`.
    ///
    /// # Errors
    ///
    /// [`LossError::NoScores`], [`LossError::Score`] and [`LossError::Target`] for scores that are empty or
    /// not finite and for a target that is not among them; [`LossError::ClassWeightCount`] if the class
    /// weights do not fit the scores.
    ///
    /// # Example
    ///
    /// ```
    /// use mentor_loss::SoftmaxCrossEntropy;
    ///
    /// let cat = SoftmaxCrossEntropy::new().explain(&[3.2, 5.1, -1.7], 0)?;
    /// assert!((cat.loss - 2.0404).abs() < 1e-4);
    /// assert!((cat.gradient[0] + 0.870017).abs() < 1e-6);
    ///
    /// assert!(SoftmaxCrossEntropy::new().explain(&[], 0).is_err());
    /// # Ok::<(), mentor_loss::LossError>(())
    /// ```
    pub fn explain(&self, scores: &[f64], target: usize) -> Result<Explanation, LossError> {
        check(scores, target)?;
        let num_classes = scores.len();
        let weights = self.class_weights();
        if let Some(weights) = weights.filter(|weights| weights.len() != num_classes) {
            return Err(LossError::ClassWeightCount { weights: weights.len(), num_classes });
        }
        let smoothing = self.label_smoothing;
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
}

impl LossOnScores for SoftmaxCrossEntropy {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn parameters(&self) -> Parameters {
        let weights = self.class_weights.clone().unwrap_or_default();
        Parameters::from([
            ("label_smoothing".to_owned(), Value::Number(self.label_smoothing)),
            ("class_weights".to_owned(), Value::Numbers(weights)),
        ])
    }

    #[track_caller]
    fn per_sample(&self, scores: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
        Self::per_sample(self, scores, targets)
    }

    fn explain(&self, scores: &[f64], target: usize) -> Result<Explanation, LossError> {
        Self::explain(self, scores, target)
    }

    fn of_zero_scores(&self, num_classes: usize) -> f64 {
        let largest = self.class_weights.iter().flatten().copied().reduce(f64::max);
        (num_classes as f64).ln() * largest.unwrap_or(1.0)
    }

    fn check_classes(&self, num_classes: usize) -> Result<(), LossError> {
        match &self.class_weights {
            Some(weights) if weights.len() != num_classes => {
                Err(LossError::ClassWeightCount { weights: weights.len(), num_classes })
            }
            _ => Ok(()),
        }
    }
}
