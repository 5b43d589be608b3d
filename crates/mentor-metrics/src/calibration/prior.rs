//! Bias correction: class biases that bring a model's mean probabilities to a prior.

use super::error::{CalibrationError, check_scores};

/// Largest difference between the mean probability and the prior of a class, when the biases are found.
pub const PRIOR_TOLERANCE: f64 = 1e-9;

/// Class biases that match a prior.
#[derive(Clone, Debug, PartialEq)]
pub struct PriorMatch {
    /// What is added to the scores of each class. Only differences matter; the median class has 0 (of an even
    /// number the lower of the two in the middle), so that a few missing classes stand out.
    pub biases: Vec<f64>,
    /// Mean probability of each class without biases.
    pub before: Vec<f64>,
    /// The same with biases: the prior, to [`PRIOR_TOLERANCE`].
    pub after: Vec<f64>,
    /// Iterations done.
    pub iterations: usize,
}

/// The share of each class among `targets`: the prior that labels give.
///
/// # Panics
///
/// If a target is not below `num_classes`.
pub fn class_shares(targets: &[u32], num_classes: usize) -> Vec<f64> {
    let mut shares = vec![0.0; num_classes];
    for &target in targets {
        shares[target as usize] += 1.0;
    }
    shares.iter().map(|count| count / targets.len().max(1) as f64).collect()
}

/// Finds class biases b for row-major `scores` `[N, C]`, as they enter the softmax, such that the mean
/// probability of each class is its `prior`.
///
/// A student whose transfer set lacked a class gives it too little probability everywhere; its bias is raised
/// until it predicts the class as often as it occurs (Hinton et al. found +3.5 for a missing digit).
///
/// # Definition
///
/// ```text
/// (1/N) Σ_i softmax(s_i + b) = π        the zero of the gradient of
/// F(b) = (1/N) Σ_i ln Σ_c e^{s_ic + b_c} − Σ_c π_c b_c
/// ```
///
/// F is convex, and for π > 0 has one minimum up to a constant added to all biases. Newton's method, its
/// linear systems solved by preconditioned conjugate gradients without forming the Hessian; where a step does
/// not help, one of iterative proportional fitting, b_c += ln(π_c / mean p_c), which always does. In `f64`,
/// at most 500 iterations; memory for the N·C probabilities.
///
/// # Errors
///
/// [`CalibrationError`] for no samples, scores that are not finite, a prior that is no distribution or has a
/// 0, and for scores so extreme that the prior is not reached.
///
/// # Panics
///
/// If the scores are no whole rows of `num_classes`.
///
/// # Example
///
/// ```
/// // One sample, two classes: p = softmax(1 + b_0, 0 + b_1) is (0.2, 0.8) for b_0 − b_1 = ln(0.2/0.8) − 1.
/// let found = mentor_metrics::calibration::match_prior(&[1.0, 0.0], 2, &[0.2, 0.8])?;
/// assert!((found.biases[0] - found.biases[1] - (0.25f64.ln() - 1.0)).abs() < 1e-8);
/// assert!(mentor_metrics::calibration::match_prior(&[1.0, 0.0], 2, &[0.0, 1.0]).is_err());
/// # Ok::<(), mentor_metrics::calibration::CalibrationError>(())
/// ```
///
/// # Source
///
/// G. Hinton, O. Vinyals, J. Dean, arXiv 1503.02531, section 3. M. Saerens, P. Latinne, C. Decaestecker,
/// "Adjusting the Outputs of a Classifier to New a Priori Probabilities", Neural Computation 14 (2002),
/// multiplies by the ratio of priors instead, which matches them only for a model that was calibrated to the
/// old one.
pub fn match_prior(
    scores: &[f32],
    num_classes: usize,
    prior: &[f64],
) -> Result<PriorMatch, CalibrationError> {
    check_scores(scores, num_classes)?;
    let prior = checked_prior(prior, num_classes)?;
    let problem = Problem::new(scores, &prior);
    let mut point = problem.at(vec![0.0; num_classes]);
    let before = point.means.clone();
    for iterations in 0..MAX_ITERATIONS {
        if point.residual <= PRIOR_TOLERANCE {
            let (biases, after) = (centred(point.biases), point.means);
            return Ok(PriorMatch { biases, before, after, iterations });
        }
        point = problem.improve(&point);
    }
    Err(CalibrationError::NotConverged { iterations: MAX_ITERATIONS, residual: point.residual })
}

const MAX_ITERATIONS: usize = 500;

/// The prior divided by its sum, which rounding in a file may have moved off 1.
fn checked_prior(prior: &[f64], num_classes: usize) -> Result<Vec<f64>, CalibrationError> {
    if prior.len() != num_classes {
        return Err(CalibrationError::PriorLength { given: prior.len(), num_classes });
    }
    if let Some(class) = prior.iter().position(|&value| !(value > 0.0 && value.is_finite())) {
        return Err(CalibrationError::Prior { class, value: prior[class] });
    }
    let sum: f64 = prior.iter().sum();
    if (sum - 1.0).abs() > 1e-6 {
        return Err(CalibrationError::PriorSum { sum });
    }
    Ok(prior.iter().map(|value| value / sum).collect())
}

/// Minus the median, the lower of two.
fn centred(mut biases: Vec<f64>) -> Vec<f64> {
    let mut sorted = biases.clone();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[(sorted.len() - 1) / 2];
    biases.iter_mut().for_each(|bias| *bias -= median);
    biases
}

struct Problem<'a> {
    scores: &'a [f32],
    prior: &'a [f64],
    /// No step of a bias is longer: where the Hessian is nearly 0, Newton's would leave the numbers.
    longest_step: f64,
}

/// F and its parts for some biases.
struct Point {
    biases: Vec<f64>,
    /// F.
    value: f64,
    /// `[N, C]`.
    probabilities: Vec<f64>,
    /// Mean probability of each class.
    means: Vec<f64>,
    /// Largest difference of a mean from the prior.
    residual: f64,
}

impl<'a> Problem<'a> {
    fn new(scores: &'a [f32], prior: &'a [f64]) -> Self {
        let ends = scores.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], &score| {
            [low.min(f64::from(score)), high.max(f64::from(score))]
        });
        Self { scores, prior, longest_step: ends[1] - ends[0] + 50.0 }
    }

    fn at(&self, biases: Vec<f64>) -> Point {
        let num_classes = biases.len();
        let num_samples = (self.scores.len() / num_classes) as f64;
        let mut probabilities = Vec::with_capacity(self.scores.len());
        let (mut value, mut means) = (0.0, vec![0.0; num_classes]);
        for row in self.scores.chunks_exact(num_classes) {
            let start = probabilities.len();
            probabilities.extend(row.iter().zip(&biases).map(|(&score, bias)| f64::from(score) + bias));
            let row = &mut probabilities[start..];
            let largest = row.iter().fold(f64::NEG_INFINITY, |largest, &score| largest.max(score));
            let mut sum = 0.0;
            for score in row.iter_mut() {
                *score = (*score - largest).exp();
                sum += *score;
            }
            value += largest + sum.ln();
            for (probability, mean) in row.iter_mut().zip(&mut means) {
                *probability /= sum;
                *mean += *probability;
            }
        }
        means.iter_mut().for_each(|mean| *mean /= num_samples);
        let value = value / num_samples - dot(self.prior, &biases);
        let residual =
            means.iter().zip(self.prior).map(|(mean, prior)| (mean - prior).abs()).fold(0.0, f64::max);
        Point { biases, value, probabilities, means, residual }
    }

    /// A point of lower F or of half the residual: Newton's, or that of proportional fitting.
    fn improve(&self, from: &Point) -> Point {
        let downhill: Vec<f64> =
            self.prior.iter().zip(&from.means).map(|(prior, mean)| prior - mean).collect();
        let step = newton_step(from, &downhill);
        let slope = dot(&step, &downhill);
        let longest = step.iter().fold(0.0, |longest: f64, value| longest.max(value.abs()));
        if slope > 0.0 && longest <= self.longest_step {
            let newton = self.at(sum(&from.biases, &step));
            // Near the end differences of F are rounding noise, and the residual decides.
            if newton.residual <= 0.5 * from.residual || newton.value <= from.value - 0.1 * slope {
                return newton;
            }
        }
        let fitted = from.means.iter().zip(self.prior);
        let step: Vec<f64> = fitted.map(|(mean, prior)| (prior / mean.max(f64::MIN_POSITIVE)).ln()).collect();
        self.at(sum(&from.biases, &step))
    }
}

/// x of H x = `downhill`, H the Hessian of F, by conjugate gradients preconditioned with the mean
/// probabilities.
fn newton_step(from: &Point, downhill: &[f64]) -> Vec<f64> {
    const MAX_PRODUCTS: usize = 100;
    const RELATIVE_TOLERANCE: f64 = 1e-4;
    let precondition = |rest: &[f64]| -> Vec<f64> {
        rest.iter().zip(&from.means).map(|(rest, mean)| rest / mean.max(f64::MIN_POSITIVE)).collect()
    };
    let mut step = vec![0.0; downhill.len()];
    let mut rest = downhill.to_vec();
    let mut scaled = precondition(&rest);
    let mut direction = scaled.clone();
    let mut size = dot(&rest, &scaled);
    let enough = RELATIVE_TOLERANCE * RELATIVE_TOLERANCE * size;
    for _ in 0..MAX_PRODUCTS.min(downhill.len()) {
        let product = hessian_times(from, &direction);
        let curvature = dot(&direction, &product);
        // Not positive: the direction is that of a constant, or all probabilities are 0 or 1.
        if !(curvature > 0.0 && size.is_finite()) {
            break;
        }
        let length = size / curvature;
        step = add_scaled(&step, length, &direction);
        rest = add_scaled(&rest, -length, &product);
        scaled = precondition(&rest);
        let next = dot(&rest, &scaled);
        if next <= enough {
            break;
        }
        direction = add_scaled(&scaled, next / size, &direction);
        size = next;
    }
    step
}

/// (1/N) Σ_i (diag(p_i) − p_i p_iᵀ) v.
fn hessian_times(from: &Point, v: &[f64]) -> Vec<f64> {
    let num_samples = (from.probabilities.len() / v.len()) as f64;
    let mut product = vec![0.0; v.len()];
    for row in from.probabilities.chunks_exact(v.len()) {
        let mean = dot(row, v);
        for ((product, p), v) in product.iter_mut().zip(row).zip(v) {
            *product += p * (v - mean);
        }
    }
    product.iter_mut().for_each(|value| *value /= num_samples);
    product
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    add_scaled(a, 1.0, b)
}

fn add_scaled(a: &[f64], factor: f64, b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + factor * b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mentor_random::{Purpose, Stream};

    fn scores(num_samples: usize, num_classes: usize, spread: f32) -> Vec<f32> {
        let mut stream = Stream::new(3, Purpose::Weights, &[]);
        (0..num_samples * num_classes).map(|_| spread * stream.normal()).collect()
    }

    fn assert_matches(found: &PriorMatch, prior: &[f64]) {
        for (after, prior) in found.after.iter().zip(prior) {
            assert!((after - prior).abs() <= 1e-9, "{found:?}");
        }
    }

    #[test]
    fn biases_that_made_the_prior_are_found_again() {
        for (num_samples, num_classes, spread) in [(1, 3, 1.0), (50, 4, 2.0), (400, 10, 8.0), (300, 60, 3.0)]
        {
            let scores = scores(num_samples, num_classes, spread);
            let made: Vec<f64> = (0..num_classes).map(|class| (class as f64 * 0.7).sin() * 3.0).collect();
            let problem = Problem::new(&scores, &made);
            let prior = problem.at(made.clone()).means;
            let found = match_prior(&scores, num_classes, &prior).unwrap();
            assert_matches(&found, &prior);
            assert!(found.iterations < 60, "{}", found.iterations);
            for (found, made) in found.biases.iter().zip(centred(made)) {
                assert!((found - made).abs() < 1e-4, "{found} {made}");
            }
        }
    }

    #[test]
    fn a_missing_class_is_raised_and_the_others_stay() {
        // A model that gives class 3 a score 4 lower than a fair one would.
        let mut scores = scores(2000, 10, 3.0);
        let fair = Problem::new(&scores, &[0.0; 10]).at(vec![0.0; 10]).means;
        scores.iter_mut().skip(3).step_by(10).for_each(|score| *score -= 4.0);
        let found = match_prior(&scores, 10, &fair).unwrap();
        assert!(found.before[3] < 0.4 * fair[3]);
        for (class, bias) in found.biases.iter().enumerate() {
            assert!((bias - if class == 3 { 4.0 } else { 0.0 }).abs() < 1e-5, "{:?}", found.biases);
        }
    }

    #[test]
    fn sure_models_and_huge_scores_are_matched_too() {
        // Almost every probability 0 or 1: the Hessian is nearly 0 almost everywhere.
        let sure = scores(200, 5, 200.0);
        let prior = [0.1, 0.15, 0.2, 0.25, 0.3];
        assert_matches(&match_prior(&sure, 5, &prior).unwrap(), &prior);
        let found = match_prior(&[1e4, -1e4], 2, &[0.25, 0.75]).unwrap();
        assert!((found.biases[1] - found.biases[0] - (2e4 + 3f64.ln())).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn a_prior_that_holds_already_changes_nothing() {
        let found = match_prior(&[0.0, 0.0, 7.0, 7.0], 2, &[0.5, 0.5]).unwrap();
        assert_eq!((found.biases, found.iterations), (vec![0.0, 0.0], 0));
        assert_eq!(match_prior(&[3.0], 1, &[1.0]).unwrap().biases, [0.0]);
    }

    #[test]
    fn the_prior_of_labels_is_their_share() {
        assert_eq!(class_shares(&[0, 2, 2, 2], 3), [0.25, 0.0, 0.75]);
        assert_eq!(class_shares(&[], 2), [0.0, 0.0]);
    }

    #[test]
    fn priors_that_no_bias_gives_are_refused() {
        let refused = |prior: &[f64]| match_prior(&[1.0, 0.0], 2, prior).unwrap_err();
        assert_eq!(refused(&[1.0]), CalibrationError::PriorLength { given: 1, num_classes: 2 });
        assert_eq!(refused(&[1.0, 0.0]), CalibrationError::Prior { class: 1, value: 0.0 });
        assert!(matches!(refused(&[f64::NAN, 1.0]), CalibrationError::Prior { class: 0, .. }));
        assert!(matches!(refused(&[0.5, 0.6]), CalibrationError::PriorSum { .. }));
        assert_eq!(match_prior(&[], 2, &[0.5, 0.5]), Err(CalibrationError::Empty));
        let refused = match_prior(&[0.0, f32::NAN], 2, &[0.5, 0.5]).unwrap_err();
        assert!(matches!(refused, CalibrationError::Score { sample: 0, class: 1, .. }));
    }
}
