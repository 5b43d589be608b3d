//! A linear classifier on features: solved to a proven gap, its penalty chosen by cross-validation.

use std::ops::ControlFlow;

use mentor_linear::{LinearError, Loss, PathOptions, Problem, SolveOptions, path, solve};
use mentor_random::{Purpose, Stream};
use mentor_simd::{PairTerm, Panels};

use crate::rows::Rows;

/// λ that are tried, of rows whose squared length is about 1.
const PENALTIES: [f64; 9] = [1e-1, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6];
/// λ where most classes have one row, so that what can be left out tells of the others alone.
const UNJUDGED: f64 = 1e-3;
/// Rows that λ is chosen on, at most, and parts that they are divided into.
const MOST_JUDGED: usize = 2000;
const NUM_FOLDS: usize = 5;
/// Relative gaps of the models that judge λ, and of those that are used.
const JUDGED_GAP: f64 = 1e-2;
const GAP: f64 = 1e-3;

/// Scores of classes: W x + b.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// `[C', D]`, of the classes that had rows.
    weights: Vec<f32>,
    bias: Vec<f64>,
    /// Which classes these are.
    present: Vec<u32>,
    num_classes: usize,
    /// λ of Σw².
    pub l2: f64,
}

impl Head {
    /// softmax(W x + b), `[N, C]`; 0 for a class that the head has seen no row of.
    ///
    /// # Panics
    ///
    /// If the rows have another width than those of the fit.
    pub fn probabilities(&self, rows: &Rows<'_>) -> Vec<f32> {
        let panels = Panels::new(&self.weights, rows.width());
        let softmax = |_: usize, scores: &mut [f64]| {
            scores.iter_mut().zip(&self.bias).for_each(|(score, bias)| *score += bias);
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            scores.iter_mut().for_each(|score| *score = (*score - largest).exp());
            let sum: f64 = scores.iter().sum();
            let mut row = vec![0.0_f32; self.num_classes];
            for (&class, score) in self.present.iter().zip(scores.iter()) {
                row[class as usize] = (score / sum) as f32;
            }
            row
        };
        rows.map_pairs(PairTerm::Product, &panels, self.bias.len(), softmax).concat()
    }
}

/// Fits a head to rows as [`Rows::scaled`] gives them; `seed` decides the parts of the cross-validation.
///
/// Softmax cross-entropy with a penalty on Σw², to a relative gap of 10⁻³. λ is the one of nine, from 0.1 to
/// 10⁻⁶, with the least loss in five-fold cross-validation, on at most 2,000 of the rows. If there are more
/// rows it is divided by how many times as many: the penalty is then that of the same prior. Where at most
/// half of the classes have two rows, λ is 10⁻³.
///
/// # Errors
///
/// [`LinearError`] if fewer than two classes have rows, values are not finite, or `stop` said so.
///
/// # Panics
///
/// If there is another number of targets than of rows, or one that is not below `num_classes`.
pub fn fit_head(
    rows: &Rows<'_>,
    targets: &[u32],
    num_classes: usize,
    seed: u64,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Head, LinearError> {
    let l2 = choose_l2(rows, targets, num_classes, seed, stop)?;
    fit_with(rows, targets, num_classes, l2, stop)
}

/// As [`fit_head`], with a given λ.
pub(crate) fn fit_with(
    rows: &Rows<'_>,
    targets: &[u32],
    num_classes: usize,
    l2: f64,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Head, LinearError> {
    assert_eq!(targets.len(), rows.len(), "a target a row");
    let (present, compact) = compact(targets, num_classes);
    let problem = Problem { l2, ..problem(rows.values(), rows.width(), &compact, present.len()) };
    let options = SolveOptions { relative_gap: GAP, ..SolveOptions::default() };
    let mut observe = |_: &_| if stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let solution = solve(&problem, &options, &mut observe)?;
    if stop() {
        return Err(LinearError::Interrupted);
    }
    let weights = solution.weights.iter().map(|&weight| weight as f32).collect();
    Ok(Head { weights, bias: solution.bias, present, num_classes, l2 })
}

/// The λ of least loss in cross-validation.
pub(crate) fn choose_l2(
    rows: &Rows<'_>,
    targets: &[u32],
    num_classes: usize,
    seed: u64,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<f64, LinearError> {
    let mut order = Stream::new(seed, Purpose::Folds, &[u64::MAX]).permutation(rows.len() as u32);
    order.truncate(MOST_JUDGED);
    order.sort_unstable();
    let chosen: Vec<u32> = order.iter().map(|&row| targets[row as usize]).collect();
    let (present, compact) = compact(&chosen, num_classes);
    let mut counts = vec![0_usize; present.len()];
    compact.iter().for_each(|&class| counts[class as usize] += 1);
    let judged = || counts.iter().filter(|&&count| count > 1);
    let folds = NUM_FOLDS.min(judged().sum());
    if 2 * judged().count() <= present.len() || present.len() < 2 {
        return Ok(UNJUDGED);
    }
    let features = rows.gather(&order);
    let problem = problem(&features, rows.width(), &compact, present.len());
    let penalties = PENALTIES.map(|l2| (l2, 0.0)).to_vec();
    let options = PathOptions { penalties, folds, seed, relative_gap: JUDGED_GAP, max_iterations: 100 };
    let found = path(&problem, &options, stop)?;
    // The same prior on the weights, beside a mean over more rows.
    Ok(found.points[found.best].l2 * order.len() as f64 / rows.len() as f64)
}

fn problem<'a>(features: &'a [f32], width: usize, targets: &'a [u32], num_classes: usize) -> Problem<'a> {
    Problem {
        features,
        num_features: width,
        targets,
        num_classes,
        sample_weights: None,
        class_weights: None,
        loss: Loss::Softmax,
        l2: UNJUDGED,
        l1: 0.0,
        bias: true,
    }
}

/// The classes that occur, and the targets as places among them.
fn compact(targets: &[u32], num_classes: usize) -> (Vec<u32>, Vec<u32>) {
    let mut place = vec![None; num_classes];
    targets.iter().for_each(|&target| place[target as usize] = Some(0));
    let mut present = Vec::new();
    for (class, place) in (0..).zip(&mut place) {
        if let Some(place) = place {
            *place = present.len() as u32;
            present.push(class);
        }
    }
    let compact = targets.iter().filter_map(|&target| place[target as usize]).collect();
    (present, compact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_without_rows_has_probability_0_and_the_others_are_told_apart() {
        let values: Vec<f32> = (0..60).map(|at| (at % 2) as f32 + 0.01 * (at % 7) as f32).collect();
        let targets: Vec<u32> = (0..60).map(|at| [0, 2][at % 2]).collect();
        let scaled = Rows::new(&values, 1).scaled();
        let rows = Rows::new(&scaled, 1);
        let head = fit_head(&rows, &targets, 3, 0, &|| false).unwrap();
        let probabilities = head.probabilities(&rows);
        for (row, &target) in probabilities.chunks_exact(3).zip(&targets) {
            assert!(row[1] == 0.0 && row[target as usize] > 0.8, "{row:?}");
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        assert!(fit_head(&rows, &targets, 3, 0, &|| true).is_err());
    }

    #[test]
    fn one_row_of_each_class_is_enough_and_one_class_is_not() {
        let rows = Rows::new(&[1.0, 0.0, 0.0, 1.0], 2);
        let head = fit_head(&rows, &[0, 1], 2, 0, &|| false).unwrap();
        assert_eq!(head.l2, UNJUDGED);
        assert!(head.probabilities(&rows)[0] > 0.5);
        assert!(fit_head(&rows, &[1, 1], 2, 0, &|| false).is_err());
    }

    #[test]
    fn one_class_of_three_does_not_choose_for_the_others() {
        let values = [1.0, 0.0, 0.9, 0.1, 0.0, 1.0, -1.0, -1.0, 0.1, 0.9];
        let of = |targets: &[u32]| {
            let rows = Rows::new(&values[..2 * targets.len()], 2);
            fit_head(&rows, targets, 3, 0, &|| false).unwrap().l2
        };
        assert_eq!(of(&[0, 0, 1, 2]), UNJUDGED);
        assert_ne!(of(&[0, 0, 1, 2, 1]), UNJUDGED);
    }
}
