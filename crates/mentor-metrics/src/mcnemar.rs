//! McNemar's test: do two models that saw the same samples differ in more than chance?

/// The samples on which two models disagree about being right, and how likely a split so uneven is by chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct McNemar {
    /// Samples that only the first model has right.
    pub only_first: u64,
    /// Samples that only the second model has right.
    pub only_second: u64,
    /// The exact two-sided p-value: the chance, were both equally good, of a split at least as uneven.
    pub p_value: f64,
}

/// McNemar's exact test on two lists of predictions for the same samples.
///
/// # Definition
///
/// ```text
/// b, c = samples that only the first, only the second has right,   n = b + c
/// p    = min(1, 2 · P(X ≤ min(b, c))),   X ~ Binomial(n, ½)
/// ```
///
/// Samples that both have right, or both wrong, say nothing. With b = c p is 1, also where n is 0. Sums of
/// binomial terms by their ratios, from the largest down; good to about 12 digits.
///
/// # Panics
///
/// If the lists differ in length.
///
/// # Example
///
/// ```
/// let targets = [0; 6];
/// let test = mentor_metrics::mcnemar(&targets, &[0, 0, 0, 0, 0, 1], &[1, 1, 1, 1, 1, 1]);
/// assert_eq!((test.only_first, test.only_second), (5, 0));
/// assert!((test.p_value - 2.0 / 32.0).abs() < 1e-15); // 2 · (½)⁵
/// ```
///
/// # Differs from
///
/// The chi-squared approximation (b − c)²/n, with or without a correction, which needs n of at least 25. The
/// same number as statsmodels `mcnemar(table, exact=True)` and SciPy `binomtest(b, b + c).pvalue`.
///
/// # Source
///
/// Q. McNemar, Psychometrika 12 (1947). T. Dietterich, "Approximate Statistical Tests for Comparing
/// Supervised Classification Learning Algorithms", Neural Computation 10 (1998), for its use on classifiers.
pub fn mcnemar(targets: &[u32], first: &[u32], second: &[u32]) -> McNemar {
    assert_eq!([targets.len(); 2], [first.len(), second.len()], "predictions and targets");
    let (mut only_first, mut only_second) = (0, 0);
    for ((target, first), second) in targets.iter().zip(first).zip(second) {
        only_first += u64::from(first == target && second != target);
        only_second += u64::from(first != target && second == target);
    }
    McNemar { only_first, only_second, p_value: p_value(only_first, only_second) }
}

fn p_value(only_first: u64, only_second: u64) -> f64 {
    let (num, fewer) = (only_first + only_second, only_first.min(only_second));
    if only_first == only_second {
        return 1.0;
    }
    // ln of C(n, k)/2ⁿ at k = fewer, as a sum over factors; the terms below follow by their ratios k/(n − k +
    // 1).
    let mut log_largest = -(num as f64) * std::f64::consts::LN_2;
    for factor in 1..=fewer {
        log_largest += (((num - fewer + factor) as f64) / factor as f64).ln();
    }
    let (mut term, mut sum) = (1.0, 1.0);
    for k in (1..=fewer).rev() {
        term *= k as f64 / (num - k + 1) as f64;
        sum += term;
        if term < sum * f64::EPSILON / 4.0 {
            break;
        }
    }
    (2.0 * sum * log_largest.exp()).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_are_scipys() {
        // scipy 1.17.1: binomtest(b, b + c).pvalue, which statsmodels' exact test gives as well.
        let published = [
            (5, 0, 0.0625),
            (10, 2, 0.03857421875),
            (121, 59, 4.4344492637551645e-06),
            (25, 15, 0.1538599441628321),
            (3, 1, 0.625),
            (1000, 900, 0.023108845108901193),
            (74, 146, 1.3781946134238727e-06),
            (40, 60, 0.05688793364098089),
            (1, 30, 2.9802322387695312e-08),
        ];
        for (only_first, only_second, expected) in published {
            for found in [p_value(only_first, only_second), p_value(only_second, only_first)] {
                assert!((found / expected - 1.0).abs() < 1e-11, "{only_first}, {only_second}: {found}");
            }
        }
    }

    #[test]
    fn agreement_and_balance_are_no_evidence() {
        for equal in [0, 1, 7, 1000] {
            assert_eq!(p_value(equal, equal), 1.0);
        }
        assert_eq!(p_value(1, 0), 1.0);
        let test = mcnemar(&[0, 1, 2], &[0, 1, 0], &[0, 1, 1]);
        assert_eq!(test, McNemar { only_first: 0, only_second: 0, p_value: 1.0 });
    }

    #[test]
    fn only_samples_with_one_right_answer_count() {
        let (targets, first, second) = ([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0], [0, 1, 0, 0, 1, 2]);
        let test = mcnemar(&targets, &first, &second);
        assert_eq!((test.only_first, test.only_second), (2, 2));
    }

    #[test]
    fn more_unevenness_is_more_evidence_and_extremes_are_finite() {
        let values: Vec<f64> = (0..=50).map(|fewer| p_value(fewer, 100 - fewer)).collect();
        assert!(values.windows(2).all(|pair| pair[0] < pair[1]), "{values:?}");
        assert_eq!(p_value(100_000, 0), 0.0);
        assert!(p_value(500_000, 499_000) > 0.3 && p_value(500_000, 499_000) < 0.33);
    }
}
