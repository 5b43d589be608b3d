//! How far a share that was counted may be from the one behind it.

use serde::{Deserialize, Serialize};

/// An interval of a share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// From 0.
    pub low: f64,
    /// To 1.
    pub high: f64,
}

/// The interval of Wilson for `num_hits` of `num_trials` at the two-sided `level`, such as 0.95; all of [0,
/// 1] without trials.
///
/// **Definition.** With z the (1 + level)/2 quantile of the normal distribution, p = hits/n:
/// `(p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n)`.
///
/// **Source.** E. B. Wilson. Probable Inference, the Law of Succession, and Statistical Inference. JASA
/// 22, 1927.
///
/// ```
/// use mentor_metrics::wilson_interval;
/// let interval = wilson_interval(9, 10, 0.95);
/// assert!((interval.low - 0.5958).abs() < 1e-4 && (interval.high - 0.9821).abs() < 1e-4);
/// ```
///
/// # Panics
///
/// If there are more hits than trials or `level` is not in (0, 1).
pub fn wilson_interval(num_hits: u64, num_trials: u64, level: f64) -> Interval {
    assert!(num_hits <= num_trials, "{num_hits} hits of {num_trials}");
    assert!(level > 0.0 && level < 1.0, "level {level} is not in (0, 1)");
    if num_trials == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let z = normal_quantile(0.5 + level / 2.0);
    let n = num_trials as f64;
    let p = num_hits as f64 / n;
    let middle = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    // At the ends the two terms are equal and rounding must not leave the range.
    Interval { low: ((middle - half) / scale).max(0.0), high: ((middle + half) / scale).min(1.0) }
}

/// [`wilson_interval`] at 95 % for an accuracy over `num_samples`; all of [0, 1] without samples.
///
/// ```
/// use mentor_metrics::{accuracy_interval, wilson_interval};
/// assert_eq!(accuracy_interval(0.9, 10), wilson_interval(9, 10, 0.95));
/// ```
pub fn accuracy_interval(accuracy: f64, num_samples: usize) -> Interval {
    let num_samples = num_samples as u64;
    let num_hits = (accuracy * num_samples as f64).round() as u64;
    wilson_interval(num_hits.min(num_samples), num_samples, 0.95)
}

/// The inverse of the standard normal distribution, for p in (0, 1), to nine digits (P. J. Acklam's rational
/// approximation).
fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 6] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 5] =
        [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0];
    const TAIL: f64 = 0.02425;
    let polynomial = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    if p < TAIL {
        let q = (-2.0 * p.ln()).sqrt();
        polynomial(&C, q) / polynomial(&D, q)
    } else if p > 1.0 - TAIL {
        -normal_quantile(1.0 - p)
    } else {
        let q = p - 0.5;
        polynomial(&A, q * q) * q / polynomial(&B, q * q)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (p, z) in [
            (0.5, 0.0),
            (0.975, 1.959963985),
            (0.995, 2.575829304),
            (0.9975, 2.807033768),
            (0.999995, 4.417173413),
        ] {
            assert!((normal_quantile(p) - z).abs() < 1e-7, "{p}");
            assert!((normal_quantile(1.0 - p) + z).abs() < 1e-7, "{p}");
        }
    }

    #[test]
    fn intervals_are_those_of_wilson() {
        // 81 of 263 is an example of Newcombe (Statistics in Medicine 17, 1998, table I, method 3).
        for (hits, trials, low, high) in [
            (0, 10, 0.0, 0.277533),
            (10, 10, 0.722467, 1.0),
            (5, 10, 0.236593, 0.763407),
            (81, 263, 0.255329, 0.366171),
        ] {
            let interval = wilson_interval(hits, trials, 0.95);
            assert!((interval.low - low).abs() < 1e-4 && (interval.high - high).abs() < 1e-4, "{interval:?}");
        }
        assert_eq!(wilson_interval(0, 0, 0.95), Interval { low: 0.0, high: 1.0 });
        assert_eq!(wilson_interval(7, 7, 0.9999).high, 1.0);
    }
}
