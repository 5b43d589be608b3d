//! Temperature scaling: one number that makes a model's probabilities as sure as the model is right.

use super::error::{CalibrationError, check_targets};
use super::model::Calibration;
use crate::classification::expected_error;

/// The temperatures between which the best one is looked for.
pub const TEMPERATURES: [f64; 2] = [0.01, 100.0];

/// A fitted temperature, and what it changes. Accuracy is not changed: no order of scores is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TemperatureFit {
    /// T: probabilities are softmax(scores / T). Above 1 the model was too sure.
    pub temperature: f64,
    /// Whether T is an end of [`TEMPERATURES`] because the best one lies beyond: a model without error on
    /// these samples could be ever surer, and one that is no better than chance ever less sure.
    pub at_limit: bool,
    /// Mean negative log-likelihood of the targets at temperature 1, in nats.
    pub nll_before: f64,
    /// The same at `temperature`.
    pub nll_after: f64,
    /// Expected calibration error at temperature 1, of 15 bins as in
    /// [`Evaluation`](crate::classification::Evaluation).
    pub ece_before: f64,
    /// The same at `temperature`.
    pub ece_after: f64,
}

/// Fits T to row-major `scores` `[N, C]` and their targets, by the mean negative log-likelihood.
///
/// # Definition
///
/// ```text
/// NLL(T) = (1/N) Σ_i −ln softmax(s_i / T)_{y_i}        convex in β = 1/T
/// ```
///
/// The zero of its derivative in β, (1/N) Σ_i `(E_p[s_i] − s_{i,y_i})`, which only rises: Newton's method
/// inside a bracket, with geometric bisection where a step leaves it, to 12 digits. In `f64`. Where T makes
/// no difference, because the scores of every sample are equal, it is 1.
///
/// Choose the samples as for any other fit: the validation split, never the test split.
///
/// # Errors
///
/// [`CalibrationError`] for no samples, a score that is not finite or a target that is no class.
///
/// # Panics
///
/// If the scores are not one row of `num_classes` for each target.
///
/// # Example
///
/// ```
/// // Always 88 % sure (a gap of 2), right in 3 of 4: the best gap is ln 3.
/// let scores = [2.0, 0.0].repeat(4);
/// let fit = mentor_metrics::calibration::fit_temperature(&scores, 2, &[0, 0, 0, 1])?;
/// assert!((fit.temperature - 2.0 / 3f64.ln()).abs() < 1e-9);
/// assert!(fit.ece_after < 1e-6 && fit.ece_before > 0.1);
/// assert!(mentor_metrics::calibration::fit_temperature(&scores, 2, &[0, 0, 0, 2]).is_err());
/// # Ok::<(), mentor_metrics::calibration::CalibrationError>(())
/// ```
///
/// # Source
///
/// C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, section
/// 4.2.
pub fn fit_temperature(
    scores: &[f32],
    num_classes: usize,
    targets: &[u32],
) -> Result<TemperatureFit, CalibrationError> {
    check_targets(scores, num_classes, targets)?;
    let at = |inverse: f64| likelihood(scores, num_classes, targets, inverse);
    let (inverse, at_limit) = minimise(&at);
    let temperature = 1.0 / inverse;
    Ok(TemperatureFit {
        temperature,
        at_limit,
        nll_before: at(1.0).nll,
        nll_after: at(inverse).nll,
        ece_before: expected_error(scores, num_classes, targets),
        ece_after: {
            let scaled = Calibration { temperature, biases: Vec::new() }.applied(scores, num_classes);
            expected_error(&scaled, num_classes, targets)
        },
    })
}

/// Mean negative log-likelihood of scores as they enter the softmax, in nats.
pub(crate) fn nll(scores: &[f32], num_classes: usize, targets: &[u32]) -> f64 {
    likelihood(scores, num_classes, targets, 1.0).nll
}

/// The negative log-likelihood at one β, with its derivatives.
struct Likelihood {
    nll: f64,
    slope: f64,
    curvature: f64,
}

fn likelihood(scores: &[f32], num_classes: usize, targets: &[u32], inverse: f64) -> Likelihood {
    let (mut nll, mut slope, mut curvature) = (0.0, 0.0, 0.0);
    for (row, &target) in scores.chunks_exact(num_classes).zip(targets) {
        let own = f64::from(row[target as usize]);
        let lead = row.iter().fold(0.0, |lead: f64, &score| lead.max(f64::from(score) - own));
        let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
        for &score in row {
            let gap = f64::from(score) - own;
            let weight = (inverse * (gap - lead)).exp();
            sum += weight;
            first += weight * gap;
            second += weight * gap * gap;
        }
        let mean = first / sum;
        nll += inverse * lead + sum.ln();
        slope += mean;
        curvature += (second / sum - mean * mean).max(0.0);
    }
    let count = targets.len() as f64;
    Likelihood { nll: nll / count, slope: slope / count, curvature: curvature / count }
}

/// The β of the smallest value, and whether it is an end of the range.
fn minimise(at: &impl Fn(f64) -> Likelihood) -> (f64, bool) {
    const MAX_STEPS: usize = 200;
    const NEWTON_STEPS: usize = 40;
    const TOLERANCE: f64 = 1e-12;
    let [mut low, mut high] = [1.0 / TEMPERATURES[1], 1.0 / TEMPERATURES[0]];
    let mut inverse = 1.0;
    let mut here = at(inverse);
    if here.slope == 0.0 && here.curvature == 0.0 {
        return (inverse, false);
    }
    if at(high).slope <= 0.0 {
        return (high, true);
    }
    if at(low).slope >= 0.0 {
        return (low, true);
    }
    for step in 0..MAX_STEPS {
        if here.slope == 0.0 || high / low - 1.0 <= TOLERANCE {
            break;
        }
        if here.slope > 0.0 {
            high = inverse
        } else {
            low = inverse
        }
        let newton = inverse - here.slope / here.curvature;
        let inside = step < NEWTON_STEPS && newton > low && newton < high;
        let next = if inside { newton } else { (low * high).sqrt() };
        let moved = (next / inverse - 1.0).abs();
        inverse = next;
        if moved <= TOLERANCE {
            break;
        }
        here = at(inverse);
    }
    (inverse, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mentor_random::{Purpose, Stream};

    /// Scores of a model that is right about its probabilities at `temperature`: targets are drawn from them.
    fn drawn(num_samples: usize, num_classes: usize, temperature: f64) -> (Vec<f32>, Vec<u32>) {
        let mut stream = Stream::new(11, Purpose::Weights, &[]);
        let scores: Vec<f32> = (0..num_samples * num_classes).map(|_| 3.0 * stream.normal()).collect();
        let draw = |row: &[f32]| {
            let weights: Vec<f64> = row.iter().map(|&score| (f64::from(score) / temperature).exp()).collect();
            let mut left = f64::from(stream.uniform()) * weights.iter().sum::<f64>();
            let chosen = weights.iter().position(|weight| {
                left -= weight;
                left < 0.0
            });
            chosen.unwrap_or(num_classes - 1) as u32
        };
        let targets = scores.chunks_exact(num_classes).map(draw).collect();
        (scores, targets)
    }

    #[test]
    fn the_temperature_that_targets_were_drawn_at_is_found() {
        for temperature in [0.5, 1.0, 2.5] {
            let (scores, targets) = drawn(20_000, 5, temperature);
            let fit = fit_temperature(&scores, 5, &targets).unwrap();
            assert!((fit.temperature / temperature - 1.0).abs() < 0.04, "{temperature}: {fit:?}");
            assert!(fit.nll_after <= fit.nll_before && !fit.at_limit);
            assert!(fit.ece_after < 0.015, "{temperature}: {fit:?}");
        }
        let (scores, targets) = drawn(20_000, 5, 2.5);
        let fit = fit_temperature(&scores, 5, &targets).unwrap();
        assert!(fit.ece_before > 0.1 && fit.nll_before - fit.nll_after > 0.1, "{fit:?}");
    }

    #[test]
    fn no_other_temperature_has_a_lower_likelihood() {
        let (scores, targets) = drawn(500, 4, 3.0);
        let fit = fit_temperature(&scores, 4, &targets).unwrap();
        let nll = |temperature: f64| likelihood(&scores, 4, &targets, 1.0 / temperature).nll;
        assert_eq!(nll(1.0), fit.nll_before);
        for step in -200..=200 {
            let temperature = fit.temperature * f64::from(step).mul_add(0.01, 0.0).exp();
            assert!(nll(temperature) >= fit.nll_after - 1e-13, "T = {temperature}");
        }
        let slope = likelihood(&scores, 4, &targets, 1.0 / fit.temperature).slope;
        assert!(slope.abs() < 1e-11, "{slope}");
    }

    #[test]
    fn derivatives_are_those_of_the_likelihood() {
        let (scores, targets) = drawn(50, 3, 1.5);
        let at = |inverse| likelihood(&scores, 3, &targets, inverse);
        for inverse in [0.1, 1.0, 4.0] {
            let (above, below) = (at(inverse + 1e-5), at(inverse - 1e-5));
            assert!(((above.nll - below.nll) / 2e-5 - at(inverse).slope).abs() < 1e-8);
            assert!(((above.slope - below.slope) / 2e-5 - at(inverse).curvature).abs() < 1e-6);
        }
    }

    #[test]
    fn a_model_without_error_stops_at_the_limit_and_says_so() {
        let fit = fit_temperature(&[5.0, 1.0, 0.0, 2.0], 2, &[0, 1]).unwrap();
        assert_eq!((fit.temperature, fit.at_limit), (TEMPERATURES[0], true));
        let fit = fit_temperature(&[5.0, 1.0, 0.0, 2.0], 2, &[1, 0]).unwrap();
        assert_eq!((fit.temperature, fit.at_limit), (TEMPERATURES[1], true));
    }

    #[test]
    fn huge_and_equal_scores_are_no_special_case() {
        let fit = fit_temperature(&[1e4, -1e4, 1e4, -1e4], 2, &[0, 1]).unwrap();
        assert!(fit.at_limit && fit.nll_before == 1e4 && fit.nll_after.is_finite(), "{fit:?}");
        for scores in [[3.0, 3.0], [-1e4, -1e4]] {
            let fit = fit_temperature(&scores, 2, &[1]).unwrap();
            assert_eq!((fit.temperature, fit.at_limit), (1.0, false));
        }
        assert_eq!(fit_temperature(&[3.0, 4.0], 1, &[0, 0]).unwrap().temperature, 1.0);
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        assert_eq!(fit_temperature(&[], 2, &[]), Err(CalibrationError::Empty));
        let refused = fit_temperature(&[0.0, 1.0, f32::INFINITY, 0.0], 2, &[0, 1]).unwrap_err();
        assert_eq!(refused, CalibrationError::Score { sample: 1, class: 0, value: f32::INFINITY });
        let refused = fit_temperature(&[0.0, 1.0], 2, &[2]).unwrap_err();
        assert_eq!(refused, CalibrationError::Target { sample: 0, target: 2, num_classes: 2 });
    }
}
