//! What fitting a calibration can refuse.

/// Why scores cannot be calibrated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// There is nothing to fit to.
    #[error("there are no samples to calibrate on")]
    Empty,
    /// A score is infinite or not a number.
    #[error("the score of sample {sample} for class {class} is {value}: the model has overflowed")]
    Score {
        /// Index of the sample.
        sample: usize,
        /// Index of the class.
        class: usize,
        /// The score.
        value: f32,
    },
    /// A target is not the index of a class.
    #[error("the target of sample {sample} is {target}, but there are {num_classes} classes")]
    Target {
        /// Index of the sample.
        sample: usize,
        /// Its target.
        target: u32,
        /// Number of classes.
        num_classes: usize,
    },
    /// Labels lack a class, whose share would be 0.
    #[error(
        "the classes {classes:?} have no sample, so that their share is 0, and no bias makes a probability 0"
    )]
    Unseen {
        /// Indices of the classes.
        classes: Vec<usize>,
    },
    /// A prior has another number of classes than the model.
    #[error("the prior has {given} classes, the model {num_classes}")]
    PriorLength {
        /// Classes of the prior.
        given: usize,
        /// Classes of the model.
        num_classes: usize,
    },
    /// A class has a prior that no finite bias gives it.
    #[error(
        "the prior of class {class} is {value}, but must be greater than 0: no bias makes a probability 0"
    )]
    Prior {
        /// Index of the class.
        class: usize,
        /// Its prior.
        value: f64,
    },
    /// A prior is not a distribution.
    #[error("the prior adds up to {sum}, but must to 1")]
    PriorSum {
        /// Its sum.
        sum: f64,
    },
    /// The prior was not reached.
    #[error(
        "after {iterations} iterations the mean probabilities are still {residual:e} away from the prior: \
         the model's scores are too extreme to be shifted"
    )]
    NotConverged {
        /// Iterations done.
        iterations: usize,
        /// The largest difference from the prior.
        residual: f64,
    },
}

impl CalibrationError {
    /// What to do next: ways of which one is enough.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        let ways: &[&str] = match self {
            Self::Empty => &["give a split with images"],
            Self::Score { .. } => &["train it again"],
            _ => &[],
        };
        ways.iter().map(|&way| way.to_owned()).collect()
    }
}

/// Rows of `num_classes` finite scores, at least one.
///
/// # Panics
///
/// If the scores are no whole rows.
pub(super) fn check_scores(scores: &[f32], num_classes: usize) -> Result<usize, CalibrationError> {
    assert!(
        num_classes > 0 && scores.len().is_multiple_of(num_classes),
        "{} scores are no rows of {num_classes}",
        scores.len()
    );
    if scores.is_empty() {
        return Err(CalibrationError::Empty);
    }
    match scores.iter().position(|score| !score.is_finite()) {
        None => Ok(scores.len() / num_classes),
        Some(at) => {
            let (sample, class) = (at / num_classes, at % num_classes);
            Err(CalibrationError::Score { sample, class, value: scores[at] })
        }
    }
}

/// As [`check_scores`], with a class for each row.
///
/// # Panics
///
/// If the scores are not one row of `num_classes` for each target.
pub(super) fn check_targets(
    scores: &[f32],
    num_classes: usize,
    targets: &[u32],
) -> Result<(), CalibrationError> {
    let num_samples = check_scores(scores, num_classes)?;
    assert_eq!(num_samples, targets.len(), "rows of scores and targets");
    match targets.iter().position(|&target| target as usize >= num_classes) {
        None => Ok(()),
        Some(sample) => Err(CalibrationError::Target { sample, target: targets[sample], num_classes }),
    }
}
