//! How a calibration is fitted: a temperature, and biases that match a prior.

use mentor_random::{Purpose, Stream};
use rayon::prelude::*;
use serde::Serialize;

use super::error::{CalibrationError, check_targets};
use super::model::Calibration;
use super::prior::{class_shares, match_prior};
use super::temperature::{TEMPERATURES, fit_temperature, nll};
use crate::agreement::{Probabilities, accuracy};
use crate::classification::expected_error;

/// Samples up to which each is left out by itself in cross-validation, and the parts that more are divided
/// into.
const MAX_LEFT_OUT_ONE_BY_ONE: usize = 100;
const NUM_PARTS: usize = 10;
/// Rounds of temperature and biases, which each change what the other is fitted to.
const MAX_ROUNDS: usize = 30;

/// A fitted calibration and what it changes on the samples that it was fitted to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CalibrationFit {
    /// What is to be used: the fitted one, or if that is not kept temperature 1, with the biases of a given
    /// prior.
    pub calibration: Calibration,
    /// What the fit came to, kept or not.
    pub fitted: Calibration,
    /// Why the fitted one is not kept; `None` if it is.
    pub not_kept: Option<NotKept>,
    /// Whether the fitted temperature is an end of [`TEMPERATURES`](crate::calibration::TEMPERATURES),
    /// because the best one lies beyond.
    pub at_limit: bool,
    /// Number of samples.
    pub num_samples: usize,
    /// Mean negative log-likelihood of the raw scores, in nats.
    pub nll_before: f64,
    /// The same with the fitted calibration.
    pub nll_after: f64,
    /// The same of samples that the fit did not see, by cross-validation; absent if nothing could be fitted.
    pub nll_cross_validated: Option<f64>,
    /// Expected calibration error of the raw scores, of 15 bins.
    pub ece_before: f64,
    /// The same with the fitted calibration.
    pub ece_after: f64,
    /// Accuracy of the raw scores.
    pub accuracy_before: f64,
    /// The same with the fitted calibration; biases change it, a temperature does not.
    pub accuracy_after: f64,
    /// Of each class: prior, mean probability and recall before and after. Empty without a prior.
    pub classes: Vec<ClassPrior>,
}

/// Why a fitted calibration is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotKept {
    /// No sample has a wrong class above its own: the likelihood only rises as the temperature falls, and has
    /// no best one.
    NoErrors,
    /// No sample has its own class at the top: every higher temperature would fit better.
    NoneRight,
    /// Fitted to some of the samples, it makes the others no likelier: there are too few of them, or nothing
    /// is to be gained.
    NotConfirmed,
    /// The likelihood or the calibration error of these samples would become worse.
    Worse,
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
    /// Share of its samples that raw scores get right; undefined if it has none.
    pub recall_before: Option<f64>,
    /// The same with biases.
    pub recall_after: Option<f64>,
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

/// Fits a temperature, and with a prior also class biases, to raw row-major `scores` `[N, C]`, and keeps what
/// is fitted only if the samples bear it out.
///
/// Temperature by [`fit_temperature`], biases by [`match_prior`], in turns until the temperature stays or is
/// at its limit: biases are matched at the temperature, and the temperature is fitted with the biases in
/// place, because a class that the model lacks makes it look far too sure.
///
/// The fit is kept if, with the raw scores as what it is compared with,
///
/// 1. some sample has a wrong class above its own, and some sample has not; else there is no best
///    temperature,
/// 2. its cross-validated NLL is lower: each of K parts, drawn by a fixed stream, is judged by a fit to the
///    others, with K = N (leave one out) for N ≤ 100 and 10 beyond,
/// 3. neither NLL nor ECE of the samples themselves is higher.
///
/// With a given prior, which these labels need not have, the biases are kept in any case, and the fit is
/// compared with the biases at temperature 1.
///
/// # Errors
///
/// Those of the two; [`CalibrationError::Unseen`] for the shares of labels that lack a class.
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
    check_targets(scores, num_classes, targets)?;
    let wanted = match prior {
        Prior::None => None,
        Prior::OfLabels => {
            let shares = class_shares(targets, num_classes);
            let unseen: Vec<usize> = (0..num_classes).filter(|&class| shares[class] == 0.0).collect();
            if !unseen.is_empty() {
                return Err(CalibrationError::Unseen { classes: unseen });
            }
            Some(shares)
        }
        Prior::Given(shares) => Some(shares.clone()),
    };
    let wanted = wanted.as_deref();
    // What the fit is compared with, and what stays if it is not kept.
    let plain = match (prior, wanted) {
        (Prior::Given(_), Some(wanted)) => {
            Calibration { temperature: 1.0, biases: match_prior(scores, num_classes, wanted)?.biases }
        }
        _ => Calibration::NONE,
    };
    let measure = |calibration: &Calibration| {
        let applied = calibration.applied(scores, num_classes);
        (nll(&applied, num_classes, targets), expected_error(&applied, num_classes, targets))
    };
    let Fit { calibration: fitted, mean_before, at_limit, separable } =
        fit(scores, num_classes, targets, wanted)?;
    let (before, with_plain, after) = (measure(&Calibration::NONE), measure(&plain), measure(&fitted));
    let [raw, applied] = [scores.to_vec(), fitted.applied(scores, num_classes)]
        .map(|scores| Probabilities::of(&scores, num_classes));
    let says = [raw.predictions(), applied.predictions()];
    let [accuracy_before, accuracy_after] = says.each_ref().map(|says| accuracy(says, targets));
    let cross_validated =
        (fitted != plain).then(|| cross_validated_nll(scores, num_classes, targets, wanted, separable));
    let not_kept = match cross_validated {
        // Biases of the labels' own shares could be anything, too.
        _ if *prior == Prior::OfLabels && is_separable(scores, num_classes, targets) => {
            Some(NotKept::NoErrors)
        }
        _ if fitted == plain => separable.then_some(NotKept::NoErrors),
        _ if accuracy_before == 0.0 && accuracy_after == 0.0 => Some(NotKept::NoneRight),
        Some(found) if found.is_nan() || found >= with_plain.0 => Some(NotKept::NotConfirmed),
        _ => (after.0 > with_plain.0 || after.1 > with_plain.1).then_some(NotKept::Worse),
    };
    let kept = if not_kept.is_some() { plain } else { fitted.clone() };
    let [recall_before, recall_after] = says.each_ref().map(|says| recalls(says, targets, num_classes));
    let mean_after = applied.means();
    let classes = wanted.into_iter().flatten().enumerate().map(|(class, &prior)| ClassPrior {
        prior,
        mean_before: mean_before[class],
        mean_after: mean_after[class],
        recall_before: recall_before[class],
        recall_after: recall_after[class],
    });
    Ok(CalibrationFit {
        num_samples: targets.len(),
        nll_before: before.0,
        nll_after: after.0,
        nll_cross_validated: cross_validated.filter(|found| found.is_finite()),
        ece_before: before.1,
        ece_after: after.1,
        accuracy_before,
        accuracy_after,
        classes: classes.collect(),
        calibration: kept,
        fitted,
        not_kept,
        at_limit,
    })
}

/// What was fitted, whether or not it is of use.
struct Fit {
    calibration: Calibration,
    /// Mean probability of each class at the temperature, without biases; empty without a prior.
    mean_before: Vec<f64>,
    at_limit: bool,
    /// Whether no sample has a wrong class above its own; the temperature is then 1.
    separable: bool,
}

fn fit(
    scores: &[f32],
    num_classes: usize,
    targets: &[u32],
    wanted: Option<&[f64]>,
) -> Result<Fit, CalibrationError> {
    let matched = |calibration: &mut Calibration| -> Result<Vec<f64>, CalibrationError> {
        let Some(wanted) = wanted else { return Ok(Vec::new()) };
        calibration.biases.clear();
        let found = match_prior(&calibration.applied(scores, num_classes), num_classes, wanted)?;
        calibration.biases = found.biases;
        Ok(found.before)
    };
    let mut calibration = Calibration::NONE;
    let mut mean_before = matched(&mut calibration)?;
    for _ in 0..MAX_ROUNDS {
        let applied = calibration.applied(scores, num_classes);
        if is_separable(&applied, num_classes, targets) {
            calibration.temperature = 1.0;
            mean_before = matched(&mut calibration)?;
            return Ok(Fit { calibration, mean_before, at_limit: false, separable: true });
        }
        let found = fit_temperature(&applied, num_classes, targets)?;
        calibration.temperature =
            (calibration.temperature * found.temperature).clamp(TEMPERATURES[0], TEMPERATURES[1]);
        mean_before = matched(&mut calibration)?;
        let at_limit = TEMPERATURES.contains(&calibration.temperature);
        if wanted.is_none() || at_limit || (found.temperature - 1.0).abs() < 1e-6 {
            break;
        }
    }
    let at_limit = TEMPERATURES.contains(&calibration.temperature);
    Ok(Fit { calibration, mean_before, at_limit, separable: false })
}

/// Whether no sample has a wrong class above its own.
fn is_separable(scores: &[f32], num_classes: usize, targets: &[u32]) -> bool {
    let mut rows = scores.chunks_exact(num_classes).zip(targets);
    rows.all(|(row, &target)| row.iter().all(|&score| score <= row[target as usize]))
}

/// The mean negative log-likelihood of samples by fits that did not see them; infinite if one of the fits
/// fails. Where the samples have errors and a part has all of them, the fit to the others takes the lowest
/// temperature, so that an error that it did not see counts against it.
fn cross_validated_nll(
    scores: &[f32],
    num_classes: usize,
    targets: &[u32],
    wanted: Option<&[f64]>,
    all_separable: bool,
) -> f64 {
    let num_parts = if targets.len() <= MAX_LEFT_OUT_ONE_BY_ONE { targets.len() } else { NUM_PARTS };
    // Drawn, because samples at equal steps in the data may be of one kind.
    let order = Stream::new(0, Purpose::Analysis, &[4]).permutation(targets.len() as u32);
    let select = |of_part: &dyn Fn(usize) -> bool| -> (Vec<f32>, Vec<u32>) {
        let kept = || {
            (0..num_parts)
                .cycle()
                .zip(&order)
                .filter(|(part, _)| of_part(*part))
                .map(|(_, &sample)| sample as usize)
        };
        let rows = kept().flat_map(|sample| &scores[sample * num_classes..][..num_classes]);
        (rows.copied().collect(), kept().map(|sample| targets[sample]).collect())
    };
    let of_part = |part: usize| -> f64 {
        let (fitted_to, fitted_targets) = select(&|other| other != part);
        let (judged, judged_targets) = select(&|other| other == part);
        let Ok(Fit { mut calibration, separable, .. }) =
            fit(&fitted_to, num_classes, &fitted_targets, wanted)
        else {
            return f64::INFINITY;
        };
        if separable && !all_separable {
            calibration.temperature = TEMPERATURES[0];
        }
        let applied = calibration.applied(&judged, num_classes);
        nll(&applied, num_classes, &judged_targets) * judged_targets.len() as f64
    };
    let parts: Vec<f64> = (0..num_parts).into_par_iter().map(of_part).collect();
    parts.iter().sum::<f64>() / targets.len() as f64
}

/// The share of each class's samples that are predicted as it; `None` of a class without samples.
fn recalls(says: &[(u32, f64)], targets: &[u32], num_classes: usize) -> Vec<Option<f64>> {
    let mut counts = vec![(0_u32, 0_u32); num_classes];
    for (said, &target) in says.iter().zip(targets) {
        let (all, right) = &mut counts[target as usize];
        *all += 1;
        *right += u32::from(said.0 == target);
    }
    counts.into_iter().map(|(all, right)| (all > 0).then(|| f64::from(right) / f64::from(all))).collect()
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
        assert!(last.recall_before.unwrap() < 0.5 && last.recall_after.unwrap() > 0.8, "{last:?}");
        assert!(fit.classes.iter().all(|class| (class.mean_after - class.prior).abs() < 1e-4), "{fit:?}");
        assert!(fit.accuracy_after > fit.accuracy_before && fit.ece_after < fit.ece_before, "{fit:?}");
        assert!(fit.calibration.is_valid(3) && !fit.calibration.is_valid(2));
    }

    /// Three classes; scores are three times those of a model that is as sure as it is right.
    fn too_sure(num_samples: u32) -> (Vec<f32>, Vec<u32>) {
        let mut stream = Stream::new(5, Purpose::Weights, &[]);
        let targets: Vec<u32> = (0..num_samples).map(|sample| sample % 3).collect();
        let row = |&target: &u32| [0, 1, 2].map(|class| if class == target { 2.0 } else { 0.0 });
        let scores = targets.iter().flat_map(row).map(|mean| 3.0 * (mean + 1.4 * stream.normal())).collect();
        (scores, targets)
    }

    #[test]
    fn without_a_prior_there_is_one_temperature_and_the_same_classes() {
        let (scores, targets) = too_sure(300);
        let fit = calibrate(&scores, 3, &targets, &Prior::None).unwrap();
        assert!(fit.calibration.biases.is_empty() && fit.classes.is_empty());
        assert_eq!(fit.accuracy_before, fit.accuracy_after);
        let expected = fit_temperature(&scores, 3, &targets).unwrap();
        assert_eq!((fit.not_kept, fit.calibration.temperature), (None, expected.temperature));
        assert!((fit.nll_after - expected.nll_after).abs() < 1e-6 && fit.nll_after < fit.nll_before);
        assert!(fit.nll_cross_validated.unwrap() > fit.nll_after, "unseen samples are less likely");
        assert!(calibrate(&scores, 3, &vec![3; 300], &Prior::OfLabels).is_err());
    }

    #[test]
    fn errors_at_equal_steps_are_in_all_parts() {
        // Each tenth sample is wrong: parts at equal steps would have all errors or none.
        let gap = |sample| if sample % 10 == 0 { -5.0 } else { 5.0 };
        let scores: Vec<f32> = (0..200).flat_map(|sample| [gap(sample), 0.0]).collect();
        let fit = calibrate(&scores, 2, &[0; 200], &Prior::None).unwrap();
        assert_eq!(fit.not_kept, None, "{fit:?}");
    }

    #[test]
    fn samples_without_error_keep_their_own_temperature() {
        let scores = [[4.0_f32, 0.0], [0.0, 4.0]].concat().repeat(20);
        let targets = [0, 1].repeat(20);
        for prior in [Prior::None, Prior::OfLabels, Prior::Given(vec![0.5, 0.5])] {
            let fit = calibrate(&scores, 2, &targets, &prior).unwrap();
            assert_eq!(fit.calibration.temperature, 1.0, "{prior:?}: {fit:?}");
            assert!(fit.ece_after <= fit.ece_before && fit.nll_after <= fit.nll_before + 1e-12);
        }
        let fit = calibrate(&scores, 2, &targets, &Prior::None).unwrap();
        assert_eq!((fit.not_kept, fit.calibration), (Some(NotKept::NoErrors), Calibration::NONE));
        // Ties with the right class are no errors either.
        let fit = calibrate(&[1.0, 1.0, 0.0, 3.0], 2, &[1, 1], &Prior::None).unwrap();
        assert_eq!(fit.not_kept, Some(NotKept::NoErrors));
    }

    #[test]
    fn few_samples_are_not_believed() {
        // Seven samples, one of them wrong: whatever is fitted hangs on that one.
        let scores: Vec<f32> =
            (0..7).flat_map(|sample| [if sample == 3 { -1.0 } else { 2.0 }, 0.0]).collect();
        let fit = calibrate(&scores, 2, &[0; 7], &Prior::None).unwrap();
        assert_ne!(fit.fitted.temperature, 1.0);
        assert_eq!((fit.not_kept, fit.calibration), (Some(NotKept::NotConfirmed), Calibration::NONE));
        for count in [1, 2] {
            let fit =
                calibrate(&[0.0, 1.0, 1.0, 0.0][..2 * count], 2, &[0, 1][..count], &Prior::None).unwrap();
            let expected = (Some(NotKept::NoneRight), Calibration::NONE);
            assert_eq!((fit.not_kept, fit.calibration), expected, "all are wrong");
        }
    }

    #[test]
    fn nothing_that_is_kept_makes_the_samples_worse() {
        let mut stream = Stream::new(5, Purpose::Weights, &[]);
        let (mut kept, mut left) = (0, 0);
        for num_samples in [3, 8, 20, 60, 150, 400] {
            for temperature in [0.3_f32, 1.0, 3.0] {
                let (mut scores, mut targets) = (Vec::new(), Vec::new());
                for sample in 0..num_samples {
                    let target = sample % 3;
                    let row = [0, 1, 2]
                        .map(|class| 1.5 * stream.normal() + if class == target { 2.0 } else { 0.0 });
                    scores.extend(row.map(|score| score * temperature));
                    targets.push(target as u32);
                }
                let fit = calibrate(&scores, 3, &targets, &Prior::None).unwrap();
                if fit.not_kept.is_some() {
                    left += 1;
                    assert_eq!(fit.calibration, Calibration::NONE);
                } else {
                    kept += 1;
                    assert!(fit.nll_after <= fit.nll_before && fit.ece_after <= fit.ece_before, "{fit:?}");
                }
            }
        }
        assert!(kept > 3 && left > 3, "{kept} {left}");
    }

    #[test]
    fn a_class_without_samples_has_no_share_and_no_recall() {
        let (scores, mut targets) = lacking();
        targets.iter_mut().for_each(|target| *target %= 2);
        let error = calibrate(&scores, 3, &targets, &Prior::OfLabels).unwrap_err();
        assert_eq!(error, CalibrationError::Unseen { classes: vec![2] });
        let fit = calibrate(&scores, 3, &targets, &Prior::Given(vec![0.4, 0.4, 0.2])).unwrap();
        assert_eq!(fit.classes[2].recall_before, None);
        assert_eq!(fit.calibration.biases.len(), 3);
    }
}
