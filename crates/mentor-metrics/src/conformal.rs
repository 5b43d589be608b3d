//! Conformal prediction: sets of classes that hold the right one at a stated rate, and p-values of how
//! unusual a sample is, both calibrated on samples that the model was not trained on.

/// Why no threshold can be calibrated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConformalError {
    /// The level is not a share.
    #[error("coverage is {0}, but must be above 0 and below 1")]
    Coverage(f64),
    /// No finite threshold reaches the level.
    #[error("coverage {coverage} needs at least {needed} calibration images, and there are {found}")]
    TooFew {
        /// The level.
        coverage: f64,
        /// Samples that it needs.
        needed: usize,
        /// Samples that there are.
        found: usize,
    },
    /// As [`ConformalError::TooFew`], of a class.
    #[error(
        "coverage {coverage} by class needs at least {needed} calibration images of each class, and class \
         {class} has {found}"
    )]
    TooFewOfClass {
        /// The level.
        coverage: f64,
        /// The first class with too few.
        class: usize,
        /// Samples of each class that it needs.
        needed: usize,
        /// Samples of this class that there are.
        found: usize,
    },
}

/// The least number n of calibration samples at which `coverage` has a finite threshold: the smallest with
/// ⌈(n + 1) · coverage⌉ ≤ n. 19 for 0.95, 99 for 0.99.
///
/// # Errors
///
/// [`ConformalError::Coverage`].
pub fn least_calibration(coverage: f64) -> Result<usize, ConformalError> {
    check(coverage)?;
    let n = (coverage / (1.0 - coverage) - ROUNDING).ceil().max(1.0) as usize;
    Ok(n)
}

/// What (n + 1) · coverage may be too large by, because 0.95 is no binary number.
const ROUNDING: f64 = 1e-9;

/// The ⌈(n + 1) · coverage⌉-th smallest of n scores.
///
/// **Definition.** If the n scores and that of a new sample are exchangeable, the new one is at most this
/// with a probability of at least `coverage`, and of at most `coverage` + 1/(n + 1) without ties.
///
/// **Source.** V. Vovk, A. Gammerman, G. Shafer. Algorithmic Learning in a Random World. Springer, 2005,
/// proposition 2.3; A. N. Angelopoulos, S. Bates. A Gentle Introduction to Conformal Prediction.
/// arXiv:2107.07511, section 1.
///
/// ```
/// use mentor_metrics::conformal::conformal_quantile;
/// let scores: Vec<f64> = (1..=19).map(f64::from).collect();
/// assert_eq!(conformal_quantile(&scores, 0.95)?, 19.0);
/// assert_eq!(conformal_quantile(&scores, 0.5)?, 10.0);
/// assert!(conformal_quantile(&scores[1..], 0.95).is_err());
/// # Ok::<(), mentor_metrics::conformal::ConformalError>(())
/// ```
///
/// # Errors
///
/// [`ConformalError`].
pub fn conformal_quantile(scores: &[f64], coverage: f64) -> Result<f64, ConformalError> {
    let needed = least_calibration(coverage)?;
    let found = scores.len();
    if found < needed {
        return Err(ConformalError::TooFew { coverage, needed, found });
    }
    let rank = ((found as f64 + 1.0) * coverage - ROUNDING).ceil().max(1.0) as usize;
    let mut scores = scores.to_vec();
    Ok(*scores.select_nth_unstable_by(rank.min(found) - 1, f64::total_cmp).1)
}

/// The share of calibration samples, and the new one itself, that are at least as unusual as a sample:
/// (1 + #{i : s_i ≥ s}) / (n + 1), `sorted` being the n scores, ascending.
///
/// **Definition.** For a sample like those of the calibration, P(p ≤ α) ≤ α.
///
/// **Source.** S. Bates, E. Candès, L. Lei, Y. Romano, M. Sesia. Testing for outliers with conformal
/// p-values. Annals of Statistics 51, 2023, equation 4.
///
/// ```
/// use mentor_metrics::conformal::p_value;
/// assert_eq!([0.5, 2.0, 9.0].map(|score| p_value(&[1.0, 2.0, 3.0], score)), [1.0, 0.75, 0.25]);
/// ```
pub fn p_value(sorted: &[f64], score: f64) -> f64 {
    let below = sorted.partition_point(|&other| other < score);
    (1 + sorted.len() - below) as f64 / (sorted.len() + 1) as f64
}

/// Thresholds of prediction sets.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictionSets {
    /// The largest 1 − p_c with which class c is in the set; one a class.
    pub thresholds: Vec<f64>,
}

impl PredictionSets {
    /// Calibrates on probabilities `[N, C]` of samples that were not trained on.
    ///
    /// **Definition.** The score of a class is 1 − p, and the threshold the [`conformal_quantile`] of the
    /// scores of the right classes: of all samples, so that sets hold the right class in a share `coverage`
    /// of cases; or, `by_class`, of the samples of each class, so that they do for each class.
    ///
    /// **Source.** M. Sadinle, J. Lei, L. Wasserman. Least Ambiguous Set-Valued Classifiers With Bounded
    /// Error Levels. JASA 114, 2019: of all sets with this coverage these have the fewest classes if the
    /// probabilities are right.
    ///
    /// # Errors
    ///
    /// [`ConformalError`].
    ///
    /// # Panics
    ///
    /// If there is not one row of `num_classes` probabilities for each target, or a target is no class.
    pub fn calibrate(
        probabilities: &[f64],
        targets: &[u32],
        num_classes: usize,
        coverage: f64,
        by_class: bool,
    ) -> Result<Self, ConformalError> {
        assert_eq!(probabilities.len(), targets.len() * num_classes, "a row of probabilities a target");
        let rows = probabilities.chunks_exact(num_classes.max(1)).zip(targets);
        let scores: Vec<f64> = rows.map(|(row, &target)| 1.0 - row[target as usize]).collect();
        if !by_class {
            let threshold = conformal_quantile(&scores, coverage)?;
            return Ok(Self { thresholds: vec![threshold; num_classes] });
        }
        let of_class = |class: usize| {
            let own = scores.iter().zip(targets).filter(|&(_, &target)| target as usize == class);
            let own: Vec<f64> = own.map(|(&score, _)| score).collect();
            conformal_quantile(&own, coverage).map_err(|error| match error {
                ConformalError::TooFew { coverage, needed, found } => {
                    ConformalError::TooFewOfClass { coverage, class, needed, found }
                }
                error => error,
            })
        };
        Ok(Self { thresholds: (0..num_classes).map(of_class).collect::<Result<_, _>>()? })
    }

    /// The classes of the set of a sample, the largest probability first. A sample that is like none of the
    /// classes can have an empty set.
    pub fn set(&self, probabilities: &[f64]) -> Vec<usize> {
        let pairs = probabilities.iter().zip(&self.thresholds).enumerate();
        let mut set: Vec<usize> =
            pairs.filter(|(_, (p, threshold))| 1.0 - **p <= **threshold).map(|(class, _)| class).collect();
        set.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]).then(a.cmp(&b)));
        set
    }
}

fn check(coverage: f64) -> Result<(), ConformalError> {
    if coverage > 0.0 && coverage < 1.0 { Ok(()) } else { Err(ConformalError::Coverage(coverage)) }
}

#[cfg(test)]
mod tests {
    use mentor_random::{Purpose, Stream};

    use super::*;
    use crate::wilson_interval;

    #[test]
    fn the_least_number_is_that_of_the_rank() {
        for (coverage, least) in [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99), (0.999, 999)] {
            assert_eq!(least_calibration(coverage), Ok(least), "{coverage}");
        }
        for coverage in [0.0, 1.0, -0.5, f64::NAN] {
            assert!(least_calibration(coverage).is_err(), "{coverage}");
        }
        let error = conformal_quantile(&[0.0; 18], 0.95).unwrap_err();
        assert_eq!(error, ConformalError::TooFew { coverage: 0.95, needed: 19, found: 18 });
    }

    /// Samples of three classes, whose probabilities are those that they were drawn with.
    fn drawn(count: usize, seed: u64) -> (Vec<f64>, Vec<u32>) {
        let mut stream = Stream::new(seed, Purpose::Analysis, &[9]);
        let (mut probabilities, mut targets) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let weights = [0; 3].map(|_| (2.0 * f64::from(stream.normal())).exp());
            let sum: f64 = weights.iter().sum();
            let row = weights.map(|weight| weight / sum);
            let u = f64::from(stream.uniform());
            targets.push(u32::from(u > row[0]) + u32::from(u > row[0] + row[1]));
            probabilities.extend(row);
        }
        (probabilities, targets)
    }

    #[test]
    fn sets_hold_the_right_class_at_the_stated_rate_also_in_every_class() {
        for by_class in [false, true] {
            let (mut hits, mut of_class) = (0, [[0_u64; 2]; 3]);
            let mut sizes = 0;
            for seed in 0..20 {
                let (probabilities, targets) = drawn(400, seed);
                let sets = PredictionSets::calibrate(&probabilities, &targets, 3, 0.9, by_class).unwrap();
                let (probabilities, targets) = drawn(400, seed + 100);
                for (row, &target) in probabilities.chunks_exact(3).zip(&targets) {
                    let set = sets.set(row);
                    let hit = set.contains(&(target as usize));
                    hits += u64::from(hit);
                    sizes += set.len();
                    of_class[target as usize][0] += u64::from(hit);
                    of_class[target as usize][1] += 1;
                }
            }
            let interval = wilson_interval(hits, 8000, 0.999);
            // The level, and what 400 calibration samples may add, with its own spread over 20 splits.
            assert!(interval.low < 0.9 + 0.01 && interval.high > 0.9 - 0.002, "{interval:?}");
            assert!(sizes < 8000 * 2);
            for [hits, count] in of_class.into_iter().filter(|_| by_class) {
                let interval = wilson_interval(hits, count, 0.999);
                assert!(interval.high > 0.9 && interval.low < 0.92, "{interval:?}");
            }
        }
    }

    #[test]
    fn a_class_with_too_few_images_is_named() {
        let probabilities = [0.5; 60];
        let targets: Vec<u32> = (0..30).map(|at| u32::from(at < 3)).collect();
        let error = PredictionSets::calibrate(&probabilities, &targets, 2, 0.9, true).unwrap_err();
        assert!(error.to_string().contains("class 1 has 3"), "{error}");
        assert!(PredictionSets::calibrate(&probabilities, &targets, 2, 0.9, false).is_ok());
    }

    #[test]
    fn a_set_can_be_empty_and_begins_with_the_likeliest() {
        let sets = PredictionSets { thresholds: vec![0.7, 0.7, 0.2] };
        assert_eq!(sets.set(&[0.3, 0.4, 0.3]), [1, 0]);
        assert!(sets.set(&[0.2, 0.2, 0.6]).is_empty());
    }

    #[test]
    fn p_values_of_like_samples_are_small_as_rarely_as_they_say() {
        let mut stream = Stream::new(3, Purpose::Analysis, &[8]);
        let mut draw = |count| (0..count).map(|_| f64::from(stream.normal())).collect::<Vec<f64>>();
        let mut small = 0;
        for _ in 0..200 {
            let mut calibration = draw(99);
            calibration.sort_by(f64::total_cmp);
            small += draw(20).into_iter().filter(|&score| p_value(&calibration, score) <= 0.05).count();
        }
        // 4,000 samples, 5 %: 200.
        assert!((150..=250).contains(&small), "{small}");
    }
}
