//! Judges scores that any program made: accuracy with its interval, calibration, another prior, and whether
//! two models differ by more than chance. No tensor and no file.
//!
//! `cargo run --release --example own_scores`

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;

use mentor::metrics::calibration::{Prior, calibrate, match_prior};
use mentor::metrics::classification::{Evaluation, SampleResult, judge, summarise};
use mentor::metrics::mcnemar;

const NUM_SAMPLES: usize = 600;

/// Scores `[NUM_SAMPLES, 3]` of a model that has the share `right` of the targets right and is surer of
/// itself than it ought to be.
fn scores(targets: &[u32], right: usize) -> Vec<f32> {
    let of = |(sample, &target): (usize, &u32)| {
        let wrong = (target as usize + 1 + sample % 2) % 3;
        let best = if sample * 7919 % 100 < right { target as usize } else { wrong };
        let sure = 2.0 + (sample * 31 % 50) as f32 / 10.0;
        (0..3).map(move |class| if class == best { sure } else { 0.1 * (class as f32) })
    };
    targets.iter().enumerate().flat_map(of).collect()
}

/// Every sample against its target; its loss is −ln p.
fn evaluate(scores: &[f32], targets: &[u32]) -> (Evaluation, Vec<SampleResult>) {
    let of = |(row, &target): (&[f32], &u32)| {
        let sum: f64 = row.iter().map(|&score| f64::from(score).exp()).sum();
        judge(row, target, sum.ln() - f64::from(row[target as usize]))
    };
    let results: Vec<_> = scores.chunks_exact(3).zip(targets).map(of).collect();
    let classes = ["cat", "dog", "frog"].map(str::to_owned);
    (summarise("test", &classes, &results, 0.0), results)
}

/// What the example is about.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let targets: Vec<u32> = (0..NUM_SAMPLES as u32).map(|sample| sample * 17 % 3).collect();
    let (first, second) = (scores(&targets, 80), scores(&targets, 70));
    let (evaluation, results) = evaluate(&first, &targets);
    let (other, other_results) = evaluate(&second, &targets);
    println!(
        "accuracy {:.3} {:.3?}, ECE {:.3}",
        evaluation.accuracy, evaluation.accuracy_interval, evaluation.ece
    );

    // One number makes the confidences honest, if the samples bear it out.
    let fit = calibrate(&first, 3, &targets, &Prior::None)?;
    let calibrated = fit.calibration.applied(&first, 3);
    let (honest, _) = evaluate(&calibrated, &targets);
    println!("temperature {:.2}: ECE {:.3}", fit.calibration.temperature, honest.ece);
    assert!(honest.ece < evaluation.ece && honest.accuracy == evaluation.accuracy);

    // Where the model is used, frogs are rare: the mean of its probabilities becomes these shares.
    let matched = match_prior(&calibrated, 3, &[0.45, 0.45, 0.1])?;
    println!("class biases for the other prior: {:.2?}", matched.biases);

    let classes =
        |results: &[SampleResult]| results.iter().map(|result| result.predicted).collect::<Vec<_>>();
    let test = mcnemar(&targets, &classes(&results), &classes(&other_results));
    println!("{:.3} against {:.3}: p = {:.4}", evaluation.accuracy, other.accuracy, test.p_value);
    assert!(test.only_first > test.only_second && test.p_value < 0.01);
    Ok(())
}
