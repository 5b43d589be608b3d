//! How a calibration is fitted: a temperature, and biases that match a prior.

use serde::Serialize;

use super::error::CalibrationError;
use super::model::Calibration;
use super::prior::{class_shares, match_prior};
use super::temperature::{TEMPERATURES, fit_temperature};
use crate::agreement::{Probabilities, accuracy};
use crate::classification::expected_error;

/// Rounds of temperature and biases, which each change what the other is fitted to.
const MAX_ROUNDS: usize = 30;

/// A fitted calibration and what it changes on the samples that it was fitted to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CalibrationFit {
    /// What was fitted.
    pub calibration: Calibration,
    /// Whether the temperature is an end of [`TEMPERATURES`](crate::calibration::TEMPERATURES), because the best one lies beyond: a model without
    /// error on these samples could be ever surer.
    pub at_limit: bool,
    /// Number of samples.
    pub num_samples: usize,
    /// Expected calibration error of the raw scores, of 15 bins.
    pub ece_before: f64,
    /// The same with the calibration.
    pub ece_after: f64,
    /// Accuracy of the raw scores.
    pub accuracy_before: f64,
    /// The same with the calibration; biases change it, a temperature does not.
    pub accuracy_after: f64,
    /// Of each class: prior, mean probability and recall before and after. Empty without a prior.
    pub classes: Vec<ClassPrior>,
}

/// What matching a prior does to a class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassPrior {
    /// The share that it should have.
    pub prior: f64,
    /// Its mean probability without biases, at the fitted temperature.
    pub mean_before: f64,
    /// The same with biases.
    pub mean_after: f64,
    /// Share of its samples that raw scores get right; 0 where it has none.
    pub recall_before: f64,
    /// The same with biases.
    pub recall_after: f64,
}

/// What the class biases are to match.
#[derive(Clone, Debug, PartialEq)]
pub enum Prior {
    /// No biases: one temperature.
    None,
    /// The shares of the labels.
    OfLabels,
    /// Given shares, in class order.
    Given(Vec<f64>),
}

/// Fits a temperature, and with a prior also class biases, to raw row-major `scores` `[N, C]`.
///
/// Temperature by [`fit_temperature`], biases by [`match_prior`], in turns until the temperature stays or is at its limit: biases are matched at
/// the temperature, and the temperature is fitted with the biases in place, because a class that the model lacks makes it look
/// far too sure.
///
/// # Errors
///
/// Those of the two.
///
/// # Panics
///
/// If the scores are not one row of `num_classes` for each target.
pub fn calibrate(
    scores: &[f32],
    num_classes: usize,
    targets: &[u32],
    prior: &Prior,
) -> Result<CalibrationFit, CalibrationError> {
    let wanted = match prior {
        Prior::None => None,
        Prior::OfLabels => {
            let outside = |&(_, target): &(usize, &u32)| *target as usize >= num_classes;
            if let Some((sample, &target)) = targets.iter().enumerate().find(outside) {
                return Err(CalibrationError::Target { sample, target, num_classes });
            }
            Some(class_shares(targets, num_classes))
        }
        Prior::Given(shares) => Some(shares.clone()),
    };
    let mut calibration = Calibration { temperature: 1.0, biases: Vec::new() };
    let (mut mean_before, mut at_limit) = (Vec::new(), false);
    if let Some(wanted) = &wanted {
        calibration.biases = match_prior(scores, num_classes, wanted)?.biases;
    }
    for _ in 0..MAX_ROUNDS {
        let fit = fit_temperature(&calibration.applied(scores, num_classes), num_classes, targets)?;
        calibration.temperature =
            (calibration.temperature * fit.temperature).clamp(TEMPERATURES[0], TEMPERATURES[1]);
        at_limit = TEMPERATURES.contains(&calibration.temperature);
        let Some(wanted) = &wanted else { break };
        calibration.biases.clear();
        let found = match_prior(&calibration.applied(scores, num_classes), num_classes, wanted)?;
        (calibration.biases, mean_before) = (found.biases, found.before);
        if at_limit || (fit.temperature - 1.0).abs() < 1e-6 {
            break;
        }
    }
    let after = calibration.applied(scores, num_classes);
    let [before_ece, after_ece] = [scores, &after].map(|scores| expected_error(scores, num_classes, targets));
    let [before, after] = [scores, &after].map(|scores| Probabilities::of(scores, num_classes));
    let says = [before.predictions(), after.predictions()];
    let recall = |says: &[(u32, f64)], class: usize| {
        let of_class = || says.iter().zip(targets).filter(|(_, target)| **target as usize == class);
        let right = of_class().filter(|(said, target)| said.0 == **target).count();
        right as f64 / of_class().count().max(1) as f64
    };
    let mean_after = after.means();
    let classes = wanted.iter().flatten().enumerate().map(|(class, &prior)| ClassPrior {
        prior,
        mean_before: mean_before[class],
        mean_after: mean_after[class],
        recall_before: recall(&says[0], class),
        recall_after: recall(&says[1], class),
    });
    Ok(CalibrationFit {
        num_samples: targets.len(),
        ece_before: before_ece,
        ece_after: after_ece,
        accuracy_before: accuracy(&says[0], targets),
        accuracy_after: accuracy(&says[1], targets),
        classes: classes.collect(),
        calibration,
        at_limit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model that gives the last of three classes a score lower by 4 than it should.
    fn lacking() -> (Vec<f32>, Vec<u32>) {
        let (mut scores, mut targets) = (Vec::new(), Vec::new());
        for sample in 0..300_u32 {
            let target = sample % 3;
            let mut row = [0.0_f32; 3];
            row[target as usize] = 2.0 + (sample % 7) as f32 * 0.3;
            // One in ten is mistaken for the next class.
            row[((target + 1) % 3) as usize] = if sample % 10 == 0 { 5.0 } else { 0.5 };
            row[2] -= 4.0;
            scores.extend(row);
            targets.push(target);
        }
        (scores, targets)
    }

    #[test]
    fn a_matched_prior_brings_a_missing_class_back() {
        let (scores, targets) = lacking();
        let fit = calibrate(&scores, 3, &targets, &Prior::OfLabels).unwrap();
        let [.., last] = fit.classes.as_slice() else { panic!() };
        assert!(last.recall_before < 0.5 && last.recall_after > 0.8, "{last:?}");
        assert!(fit.classes.iter().all(|class| (class.mean_after - class.prior).abs() < 1e-4), "{fit:?}");
        assert!(fit.accuracy_after > fit.accuracy_before && fit.ece_after < fit.ece_before, "{fit:?}");
        assert!(fit.calibration.is_valid(3) && !fit.calibration.is_valid(2));
    }

    #[test]
    fn without_a_prior_there_is_one_temperature_and_the_same_classes() {
        let (scores, targets) = lacking();
        let fit = calibrate(&scores, 3, &targets, &Prior::None).unwrap();
        assert!(fit.calibration.biases.is_empty() && fit.classes.is_empty());
        assert_eq!(fit.accuracy_before, fit.accuracy_after);
        let expected = fit_temperature(&scores, 3, &targets).unwrap();
        assert_eq!(fit.calibration.temperature, expected.temperature);
        assert!(calibrate(&scores, 3, &vec![3; 300], &Prior::OfLabels).is_err());
    }

    #[test]
    fn a_model_without_error_ends_at_the_limit_and_says_so() {
        let scores = [[4.0_f32, 0.0], [0.0, 4.0]].concat().repeat(20);
        let targets = [0, 1].repeat(20);
        for prior in [Prior::None, Prior::OfLabels, Prior::Given(vec![0.5, 0.5])] {
            let fit = calibrate(&scores, 2, &targets, &prior).unwrap();
            assert!(fit.at_limit && fit.calibration.temperature == TEMPERATURES[0], "{prior:?}: {fit:?}");
        }
        let (scores, targets) = lacking();
        assert!(!calibrate(&scores, 3, &targets, &Prior::OfLabels).unwrap().at_limit);
    }
}
