//! What scores say of samples, one by one and summed up.

use std::cmp::Ordering;

use super::confusion::{Cell, Confusion};
use super::evaluation::{CalibrationBin, ClassMetrics, Evaluation, NUM_CALIBRATION_BINS};
use crate::interval::{Interval, wilson_interval};

/// What the model made of one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleResult {
    /// Index of its class.
    pub target: u32,
    /// Index of the class with the highest score; ties go to the lower class.
    pub predicted: u32,
    /// Softmax probability of the predicted class.
    pub confidence: f64,
    /// Its data loss.
    pub loss: f64,
    /// Place of the target's score among all, from 0; ties go to the lower class.
    pub rank: usize,
}

/// What scores are compared by: a NaN loses to all numbers.
fn key(score: f32) -> f32 {
    if score.is_nan() { f32::NEG_INFINITY } else { score }
}

/// The classes of one row of scores with their softmax probabilities, the highest score first; ties go to the
/// lower class, and a NaN loses to all numbers.
pub fn ranked(scores: &[f32]) -> Vec<(usize, f64)> {
    let mut classes: Vec<usize> = (0..scores.len()).collect();
    // A stable sort keeps ties in their order; as zeros of either sign are one.
    classes.sort_by(|&a, &b| key(scores[b]).partial_cmp(&key(scores[a])).unwrap_or(Ordering::Equal));
    let Some(&first) = classes.first() else { return Vec::new() };
    let exponential = |class: usize| (f64::from(scores[class]) - f64::from(scores[first])).exp();
    let sum: f64 = (0..scores.len()).map(exponential).sum();
    classes.into_iter().map(|class| (class, exponential(class) / sum)).collect()
}

/// One row of scores against its target.
pub fn judge(scores: &[f32], target: u32, loss: f64) -> SampleResult {
    let mut predicted = 0;
    for (class, &score) in scores.iter().enumerate() {
        if key(score) > key(scores[predicted]) {
            predicted = class;
        }
    }
    let own = key(scores[target as usize]);
    let rank = scores
        .iter()
        .enumerate()
        .filter(|&(class, &score)| key(score) > own || (key(score) == own && class < target as usize))
        .count();
    let highest = f64::from(scores[predicted]);
    let sum: f64 = scores.iter().map(|&score| (f64::from(score) - highest).exp()).sum();
    SampleResult { target, predicted: predicted as u32, confidence: 1.0 / sum, loss, rank }
}

/// Sums up results of samples of `classes`.
///
/// # Panics
///
/// If there is no result: every mean would be undefined.
pub fn summarise(split: &str, classes: &[String], results: &[SampleResult], penalty: f64) -> Evaluation {
    assert!(!results.is_empty(), "an evaluation is of at least one sample");
    let num_samples = results.len();
    let num_within = |rank: usize| results.iter().filter(|result| result.rank < rank).count();
    let share = |count: usize| count as f64 / num_samples as f64;
    let data_loss = results.iter().map(|result| result.loss).sum::<f64>() / num_samples as f64;
    let pairs = results.iter().map(|result| (result.target, result.predicted));
    let confusion = Confusion::of(classes.len(), pairs);
    let per_class = per_class(classes, &confusion);
    let calibration = calibration_bins(results);
    let Interval { low, high } = wilson_interval(num_within(1) as u64, num_samples as u64, 0.95);
    Evaluation {
        split: split.to_owned(),
        num_samples,
        loss: data_loss + penalty,
        data_loss,
        penalty,
        accuracy: share(num_within(1)),
        accuracy_interval: Some([low, high]),
        macro_recall: macro_average(&per_class, |class| class.recall),
        macro_f1: macro_average(&per_class, |class| class.f1),
        top5_accuracy: share(num_within(5)),
        ece: expected_calibration_error(&calibration),
        per_class,
        confusion,
        calibration,
    }
}

/// The mean of a measure over the classes that have samples.
fn macro_average(per_class: &[ClassMetrics], measure: fn(&ClassMetrics) -> Option<f64>) -> Option<f64> {
    let found: Vec<f64> =
        per_class.iter().filter(|class| class.num_samples > 0).filter_map(measure).collect();
    (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
}

/// ECE: Σ (samples of a bin / samples) · |confidence − accuracy|.
fn expected_calibration_error(bins: &[CalibrationBin]) -> f64 {
    let num_samples = bins.iter().map(|bin| bin.num_samples).sum::<u64>() as f64;
    let part = |bin: &CalibrationBin| {
        // An empty bin has no gap, and no weight.
        let gap = (bin.confidence? - bin.accuracy?).abs();
        Some(bin.num_samples as f64 / num_samples * gap)
    };
    bins.iter().filter_map(part).sum()
}

fn calibration_bins(results: &[SampleResult]) -> Vec<CalibrationBin> {
    let mut bins = vec![(0_u64, 0.0, 0_u64); NUM_CALIBRATION_BINS];
    for result in results {
        // A confidence of 1 belongs to the last bin; NaN, of scores that overflowed, to the first.
        let index = (result.confidence * NUM_CALIBRATION_BINS as f64) as usize;
        let bin = &mut bins[index.min(NUM_CALIBRATION_BINS - 1)];
        bin.0 += 1;
        bin.1 += result.confidence;
        bin.2 += u64::from(result.rank == 0);
    }
    bins.into_iter()
        .map(|(num_samples, confidence, correct)| {
            let mean = |sum: f64| (num_samples > 0).then(|| sum / num_samples as f64);
            CalibrationBin { num_samples, confidence: mean(confidence), accuracy: mean(correct as f64) }
        })
        .collect()
}

fn per_class(classes: &[String], confusion: &Confusion) -> Vec<ClassMetrics> {
    let mut counts = vec![(0_u64, 0_u64, 0_u64); classes.len()];
    for &Cell { target, predicted, count } in confusion.cells() {
        counts[target as usize].0 += count;
        counts[predicted as usize].1 += count;
        counts[target as usize].2 += if target == predicted { count } else { 0 };
    }
    let ratio = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    let metrics = |(class, (num_samples, num_predicted, right)): (&String, (u64, u64, u64))| ClassMetrics {
        class: class.clone(),
        num_samples,
        num_predicted,
        precision: ratio(right, num_predicted),
        recall: ratio(right, num_samples),
        f1: ratio(2 * right, num_samples + num_predicted),
    };
    classes.iter().zip(counts).map(metrics).collect()
}

/// The expected calibration error (ECE) of row-major scores `[N, C]`, in the bins of
/// [`Evaluation`](super::Evaluation).
pub fn expected_error(scores: &[f32], num_classes: usize, targets: &[u32]) -> f64 {
    let rows = scores.chunks_exact(num_classes).zip(targets);
    let results: Vec<_> = rows.map(|(row, &target)| judge(row, target, 0.0)).collect();
    expected_calibration_error(&calibration_bins(&results))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|index| index.to_string()).collect()
    }

    #[test]
    fn ties_go_to_the_lower_class() {
        let tied = judge(&[1.0, 3.0, 3.0], 2, 0.0);
        assert_eq!((tied.predicted, tied.rank), (1, 1));
        assert_eq!(judge(&[1.0, 3.0, 3.0], 1, 0.0).rank, 0);
    }

    #[test]
    fn ranked_classes_begin_with_the_one_that_judging_predicts() {
        for scores in [[0.0, 1000.0, 1000.0], [-0.0, 0.0, -1.0], [f32::NAN, -5.0, 2.0], [-1.0, -2.0, -3.0]] {
            let (ranked, judged) = (ranked(&scores), judge(&scores, 1, 0.0));
            assert_eq!(ranked[0].0 as u32, judged.predicted, "{scores:?}");
            assert_eq!(ranked.iter().position(|&(class, _)| class == 1), Some(judged.rank), "{scores:?}");
            assert!(ranked[0].1 == judged.confidence || judged.confidence.is_nan(), "{scores:?}");
        }
        assert_eq!(ranked(&[0.0, 1000.0, 1000.0])[..2], [(1, 0.5), (2, 0.5)]);
        assert!(ranked(&[]).is_empty());
    }

    #[test]
    fn a_score_that_is_not_a_number_never_wins() {
        let result = judge(&[f32::NAN, -5.0], 0, f64::NAN);
        assert_eq!((result.predicted, result.rank), (1, 1));
    }

    #[test]
    fn four_samples_by_hand() {
        // Confidences: two classes, gaps of ln 4 and ln 9, are 0.8 and 0.9.
        let gap = |odds: f32| [odds.ln(), 0.0];
        let results = [
            judge(&gap(4.0), 0, 1.0),
            judge(&gap(4.0), 1, 2.0),
            judge(&gap(9.0), 0, 3.0),
            judge(&gap(1.0 / 9.0), 1, 6.0),
        ];
        let evaluation = summarise("val", &names(2), &results, 0.5);
        assert_eq!((evaluation.data_loss, evaluation.loss, evaluation.accuracy), (3.0, 3.5, 0.75));
        assert_eq!(evaluation.confusion.dense(), [[2, 0], [1, 1]]);
        // Bin 12 holds 0.8 twice, one right: gap 0.3; bin 13 holds 0.9 twice, both right: gap 0.1.
        assert!((evaluation.ece - (0.5 * 0.3 + 0.5 * 0.1)).abs() < 1e-6, "{}", evaluation.ece);
        assert_eq!(evaluation.per_class[0].precision, Some(2.0 / 3.0));
        assert_eq!(evaluation.per_class[1].recall, Some(0.5));
        assert_eq!((evaluation.top5_accuracy, evaluation.macro_recall), (1.0, Some(0.75)));
        // F1 of 4/5 and 2/3.
        assert!((evaluation.macro_f1.unwrap() - (0.8 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        // statsmodels' proportion_confint(3, 4, method="wilson").
        let [low, high] = evaluation.accuracy_interval.unwrap();
        assert!((low - 0.300642).abs() < 1e-6 && (high - 0.954413).abs() < 1e-6, "{low} {high}");
    }

    #[test]
    fn what_a_class_or_a_bin_without_samples_would_have_is_undefined() {
        // Class 1 has no sample and is predicted; class 2 has one and is not; class 3 has neither.
        let row = |best: usize| {
            let mut row = [0.0; 4];
            row[best] = 9.0;
            row
        };
        let results = [judge(&row(0), 0, 0.0), judge(&row(1), 2, 0.0)];
        let evaluation = summarise("val", &names(4), &results, 0.0);
        let found: Vec<_> =
            evaluation.per_class.iter().map(|class| (class.precision, class.recall, class.f1)).collect();
        let (one, zero) = (Some(1.0), Some(0.0));
        assert_eq!(found, [(one, one, one), (zero, None, zero), (None, zero, zero), (None, None, None)]);
        // Of the two classes that have samples.
        assert_eq!((evaluation.macro_recall, evaluation.macro_f1), (Some(0.5), Some(0.5)));
        let text = serde_json::to_string(&evaluation).unwrap();
        assert!(text.contains(r#""num_predicted":0,"precision":null,"recall":null,"f1":null"#), "{text}");
        assert!(text.contains(r#"{"num_samples":0,"confidence":null,"accuracy":null}"#), "{text}");
        assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), evaluation);
    }

    #[test]
    fn a_file_of_an_earlier_version_is_read() {
        let text = r#"{"split":"val","num_samples":1,"loss":0.5,"data_loss":0.5,"penalty":0.0,"accuracy":1.0,
            "top5_accuracy":1.0,
            "ece":0.1,"per_class":[
            {"class":"a","num_samples":1,"num_predicted":1,"precision":1.0,"recall":1.0,"f1":1.0},
            {"class":"b","num_samples":0,"num_predicted":0,"precision":0.0,"recall":0.0,"f1":0.0}],
            "confusion":[[1,0],[0,0]],
            "calibration":[{"num_samples":0,"confidence":0.0,"accuracy":0.0}]}"#;
        let read: Evaluation = serde_json::from_str(text).unwrap();
        assert_eq!((read.confusion.count(0, 0), read.macro_recall, read.accuracy_interval), (1, None, None));
    }

    #[test]
    fn twenty_thousand_classes_cost_what_the_samples_do() {
        let results: Vec<SampleResult> = (0..40_000_u32)
            .map(|sample| SampleResult {
                target: sample / 2,
                predicted: sample * 7 % 20_000,
                confidence: 0.5,
                loss: 1.0,
                rank: 1,
            })
            .collect();
        let evaluation = summarise("val", &names(20_000), &results, 0.0);
        assert!(serde_json::to_string(&evaluation.confusion).unwrap().len() < 1_000_000);
        assert_eq!(evaluation.per_class.iter().map(|class| class.num_predicted).sum::<u64>(), 40_000);
    }
}
