//! The head of a pretrained network: a linear classifier on its features, solved to a proven distance from
//! the optimum, with a penalty that cross-validation chooses.

use std::ops::ControlFlow;

use mentor_linear::{LinearError, Loss, PathOptions, Problem, SolveOptions, path, solve};

use crate::engine::error::TrainError;
use crate::engine::optimum::LinearTask;
use crate::plan::HeadPenalty;
use crate::recipes::frozen::scaled_features::ScaledFeatures;

/// Parts that the labels are divided into, at most.
const NUM_FOLDS: usize = 5;
/// λ of the grid, of features whose mean squared distance from their mean is 1: from 1 to 1e-6.
const EXPONENTS: [i32; 2] = [0, -6];
/// Up to so many labels chance decides much of one division of them, several are cheap, and the grid is fine.
const FEW: usize = 300;
/// The same λ where no class has two images, so that nothing can be left out.
const UNJUDGED: f64 = 1e-3;
/// To which relative gap the models of the folds are trained, and to which the head is.
const GAPS: [f64; 2] = [1e-2, 1e-6];

/// A linear classifier.
pub(crate) struct LinearHead {
    /// `[D, C]`
    pub(crate) weight: Vec<f32>,
    /// `[C]`
    pub(crate) bias: Vec<f32>,
    /// λ of Σw².
    pub(crate) l2: f64,
    /// How far the objective can be from the least one, as a share of it.
    pub(crate) relative_gap: f64,
    /// How λ was chosen, if it was.
    pub(crate) choice: Option<Choice>,
}

/// What cross-validation says of the λ that it chose: means over all repetitions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Choice {
    pub(crate) num_folds: usize,
    pub(crate) num_repeats: usize,
    /// Share of the images left out that were classified right.
    pub(crate) accuracy: f64,
}

/// Finds the head of `task`, penalised as `penalty` says and not as the task does; `seed` decides the folds.
pub(super) fn fit(
    task: &LinearTask<'_>,
    penalty: HeadPenalty,
    seed: u64,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<LinearHead, TrainError> {
    let scaled = ScaledFeatures::of(task.features, task.num_features);
    let class_weights = task.class_weights();
    let problem = Problem {
        features: &scaled.values,
        num_features: scaled.num_values,
        ..task.problem(class_weights.as_deref())?
    };
    let (l2, choice) = match penalty {
        HeadPenalty::Given(l2) => (l2 / scaled.scale.powi(2), None),
        HeadPenalty::CrossValidated => choose(&problem, seed, stop)?,
    };
    let options = SolveOptions { relative_gap: GAPS[1], ..SolveOptions::default() };
    let mut observe = |_: &_| if stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let solution = solve(&Problem { l2, ..problem }, &options, &mut observe)?;
    if stop() {
        return Err(LinearError::Interrupted.into());
    }
    let (weight, bias) = scaled.undo(&solution.weights, &solution.bias);
    Ok(LinearHead {
        weight,
        bias,
        l2: l2 * scaled.scale.powi(2),
        relative_gap: solution.relative_gap,
        choice,
    })
}

/// The λ of the least loss of images that are left out, averaged over repetitions with other folds.
fn choose(
    problem: &Problem<'_>,
    seed: u64,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<(f64, Option<Choice>), LinearError> {
    let mut counts = vec![0_usize; problem.num_classes];
    problem.targets.iter().for_each(|&target| counts[target as usize] += 1);
    let num_divisible: usize = counts.iter().filter(|&&count| count > 1).sum();
    let num_folds = NUM_FOLDS.min(num_divisible);
    if num_folds < 2 {
        return Ok((UNJUDGED, None));
    }
    let (num_repeats, steps) = match problem.loss {
        _ if problem.targets.len() > FEW => (1, 1),
        Loss::Softmax => (5, 2),
        // Its solver takes several times as long.
        Loss::WestonWatkins { .. } | Loss::CrammerSinger { .. } => (2, 1),
    };
    let exponents = steps * EXPONENTS[1]..=steps * EXPONENTS[0];
    let penalties: Vec<(f64, f64)> =
        exponents.rev().map(|step| (10_f64.powf(f64::from(step) / f64::from(steps)), 0.0)).collect();
    let mut sums = vec![(0.0, 0.0); penalties.len()];
    for repeat in 0..num_repeats {
        let options = PathOptions {
            penalties: penalties.clone(),
            folds: num_folds,
            seed: seed.wrapping_add(repeat),
            relative_gap: GAPS[0],
            max_iterations: 100,
        };
        let found = path(problem, &options, stop)?;
        for (sum, point) in sums.iter_mut().zip(&found.points) {
            *sum = (sum.0 + point.validation_loss, sum.1 + point.validation_accuracy);
        }
    }
    // Of equal losses the larger penalty.
    let best = (0..sums.len()).reduce(|a, b| if sums[b].0 < sums[a].0 { b } else { a }).unwrap_or(0);
    let num_repeats = num_repeats as usize;
    let accuracy = sums[best].1 / num_repeats as f64;
    Ok((penalties[best].0, Some(Choice { num_folds, num_repeats, accuracy })))
}

#[cfg(test)]
mod tests {
    use mentor_loss::{Penalty, ScoreLoss};
    use mentor_random::{Purpose, Stream};

    use super::*;

    /// Three classes of eight samples around far means, of five features with a common offset.
    fn data() -> (Vec<f32>, Vec<u32>) {
        let mut stream = Stream::new(1, Purpose::Analysis, &[7]);
        let targets: Vec<u32> = (0..24).map(|sample| sample % 3).collect();
        let row = |target: &u32| -> Vec<f32> {
            (0..5).map(|place| 100.0 + stream.normal() + if place == *target { 6.0 } else { 0.0 }).collect()
        };
        let features = targets.iter().flat_map(row).collect();
        (features, targets)
    }

    fn task<'a>((features, targets): &'a (Vec<f32>, Vec<u32>), loss: &'a ScoreLoss) -> LinearTask<'a> {
        let penalty = Penalty::default();
        LinearTask { features, num_features: 5, targets, sample_weights: None, num_classes: 3, loss, penalty }
    }

    fn right(head: &LinearHead, data: &LinearTask<'_>) -> usize {
        let scores = |row: &[f32], class: usize| {
            head.bias[class]
                + row.iter().enumerate().map(|(d, x)| x * head.weight[3 * d + class]).sum::<f32>()
        };
        let rows = data.features.chunks_exact(5).zip(data.targets);
        let is_right =
            |row: &[f32], target: u32| (0..3).all(|class| scores(row, class) <= scores(row, target as usize));
        rows.filter(|&(row, &target)| is_right(row, target)).count()
    }

    #[test]
    fn a_head_is_solved_and_its_penalty_chosen_for_every_loss() {
        let data = data();
        for loss in ["softmax", "svm", "crammer-singer"] {
            let loss = ScoreLoss::from_name(loss, 1.0).unwrap();
            let data = task(&data, &loss);
            let fit = |penalty, seed| fit(&data, penalty, seed, &|| false).unwrap();
            let head = fit(HeadPenalty::CrossValidated, 0);
            assert!(head.relative_gap <= GAPS[1] && right(&head, &data) == 24, "{loss:?}");
            let choice = head.choice.unwrap();
            assert!(choice.accuracy > 0.9 && choice.num_folds == 5, "{choice:?}");
            let given = fit(HeadPenalty::Given(head.l2), 3);
            assert_eq!((given.choice, given.l2 as f32), (None, head.l2 as f32));
            let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
            assert!(given.weight.iter().zip(&head.weight).all(close), "{loss:?}");
        }
    }

    #[test]
    fn the_objective_is_that_of_the_features_as_they_are() {
        let data = data();
        let softmax = ScoreLoss::SOFTMAX;
        let data = task(&data, &softmax);
        let head = fit(&data, HeadPenalty::Given(0.02), 0, &|| false).unwrap();
        let problem = Problem { l2: 0.02, ..data.problem(None).unwrap() };
        let options = SolveOptions { relative_gap: 1e-6, ..SolveOptions::default() };
        let direct = solve(&problem, &options, &mut |_| ControlFlow::Continue(())).unwrap();
        for (at, weight) in head.weight.iter().enumerate() {
            assert!((f64::from(*weight) - direct.weights[at % 3 * 5 + at / 3]).abs() < 1e-3, "weight {at}");
        }
    }

    #[test]
    fn one_image_of_each_class_makes_a_head_that_nothing_judges() {
        let lone = (vec![1.0, 0.0, 0.0, 1.0, 5.0, 5.0], vec![0, 1, 2]);
        let softmax = ScoreLoss::SOFTMAX;
        let lone = LinearTask { num_features: 2, ..task(&lone, &softmax) };
        let head = fit(&lone, HeadPenalty::CrossValidated, 0, &|| false).unwrap();
        assert!(head.choice.is_none() && head.weight.iter().all(|weight| weight.is_finite()));
        let missing = LinearTask { num_classes: 4, ..lone };
        let refused = fit(&missing, HeadPenalty::CrossValidated, 0, &|| false);
        assert!(matches!(refused, Err(TrainError::Linear(LinearError::EmptyClass { class: 3 }))));
    }
}
