//! Many penalties, and the choice of one by cross-validation.

use std::ops::ControlFlow;

use mentor_random::{Purpose, Stream};
use rayon::prelude::*;

use crate::coordinates::Coordinates;
use crate::error::LinearError;
use crate::objective::value_and_dual;
use crate::problem::{Loss, Problem};
use crate::products::Rows;
use crate::record::{SolveOptions, State};
use crate::solve::{begin_in_coordinates, solve_checked};

/// Which penalties, and how they are judged.
#[derive(Clone, Debug, PartialEq)]
pub struct PathOptions {
    /// (l2, l1) of each point, in any order; none of them (0, 0).
    pub penalties: Vec<(f64, f64)>,
    /// Parts that the samples are divided into, at least 2. Each is judged by a model of the others.
    pub folds: usize,
    /// Which samples are in which fold.
    pub seed: u64,
    /// To which gap each model is trained.
    pub relative_gap: f64,
    /// Outer iterations of each model at most.
    pub max_iterations: usize,
}

/// One penalty: means over the folds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathPoint {
    /// Weight of Σ w².
    pub l2: f64,
    /// Weight of Σ |w|.
    pub l1: f64,
    /// Mean loss of the samples left out, with their weights.
    pub validation_loss: f64,
    /// Standard error of that mean: the deviation between folds over √folds.
    pub standard_error: f64,
    /// Share of the samples left out whose class has the largest score.
    pub validation_accuracy: f64,
    /// Weights that are not 0.
    pub num_nonzero_weights: f64,
    /// Largest relative gap of the models.
    pub relative_gap: f64,
}

/// A path, strongest penalty first.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// By falling l2 + l1.
    pub points: Vec<PathPoint>,
    /// The point with the least validation loss.
    pub best: usize,
    /// The strongest penalty whose loss is within one standard error of the least (Breiman et al. 1984,
    /// section 3.4.3).
    pub one_standard_error: usize,
}

/// Cross-validates penalties: each fold goes from the strongest to the weakest, each model beginning with
/// the one before. `problem.l2` and `l1` are not used. Classes are divided evenly; the sample of a class
/// that has one is always trained on.
///
/// Folds run in parallel and each holds a copy of its samples. The result has the same bits for any number
/// of threads.
///
/// # Errors
///
/// If the problem or a penalty is refused by [`crate::solve`], there are too few samples, or `stop` said so.
///
/// ```
/// use mentor_linear::{Loss, PathOptions, Problem, path};
///
/// let features: Vec<f32> = (0..40).map(|i| (i % 2) as f32 + 0.1 * (i % 7) as f32).collect();
/// let targets: Vec<u32> = (0..40).map(|i| i % 2).collect();
/// let problem = Problem {
///     features: &features,
///     num_features: 1,
///     targets: &targets,
///     num_classes: 2,
///     sample_weights: None,
///     class_weights: None,
///     loss: Loss::Softmax,
///     l2: 0.0,
///     l1: 0.0,
///     bias: true,
/// };
/// let penalties = [10.0, 0.1, 0.001].map(|l2| (l2, 0.0)).to_vec();
/// let options = PathOptions { penalties, folds: 5, seed: 0, relative_gap: 1e-3, max_iterations: 100 };
/// let found = path(&problem, &options, &|| false)?;
/// assert_eq!(found.points[found.best].l2, 0.001);
///
/// let refused = PathOptions { folds: 1, ..options };
/// assert!(path(&problem, &refused, &|| false).is_err());
/// # Ok::<(), mentor_linear::LinearError>(())
/// ```
pub fn path(
    problem: &Problem<'_>,
    options: &PathOptions,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Path, LinearError> {
    problem.check()?;
    let mut penalties = options.penalties.clone();
    penalties.sort_by(|a, b| (b.0 + b.1).total_cmp(&(a.0 + a.1)));
    if penalties.is_empty() {
        return Err(LinearError::Parameter {
            name: "penalties",
            value: 0.0,
            allowed: "at least 1 in number",
        });
    }
    let folds = assign(problem, options)?;
    let all = Rows::new(problem.features, problem.num_features, problem.num_classes);
    let coordinates = if has_l1(&penalties) { None } else { Coordinates::of(&all) };
    let results: Vec<Vec<Judged>> = (0..options.folds)
        .into_par_iter()
        .map(|fold| judge(problem, options, &penalties, &folds, fold, coordinates.as_ref(), stop))
        .collect::<Result<_, _>>()?;
    let points: Vec<PathPoint> = penalties
        .iter()
        .enumerate()
        .map(|(place, &penalty)| point(penalty, results.iter().map(|fold| fold[place])))
        .collect();
    let loss = |place: usize| points[place].validation_loss;
    let best = (0..points.len()).reduce(|a, b| if loss(b) < loss(a) { b } else { a }).unwrap_or(0);
    let enough = loss(best) + points[best].standard_error;
    let one_standard_error = (0..best).find(|&place| loss(place) <= enough).unwrap_or(best);
    Ok(Path { points, best, one_standard_error })
}

fn has_l1(penalties: &[(f64, f64)]) -> bool {
    penalties.iter().any(|penalty| penalty.1 > 0.0)
}

/// What one model is worth on the samples left out.
#[derive(Clone, Copy)]
struct Judged {
    loss: f64,
    accuracy: f64,
    num_nonzero_weights: f64,
    relative_gap: f64,
}

fn point((l2, l1): (f64, f64), folds: impl ExactSizeIterator<Item = Judged> + Clone) -> PathPoint {
    let count = folds.len() as f64;
    let mean = |of: fn(&Judged) -> f64| folds.clone().map(|fold| of(&fold)).sum::<f64>() / count;
    let validation_loss = mean(|fold| fold.loss);
    let squares: f64 = folds.clone().map(|fold| (fold.loss - validation_loss).powi(2)).sum();
    PathPoint {
        l2,
        l1,
        validation_loss,
        standard_error: (squares / (count - 1.0) / count).sqrt(),
        validation_accuracy: mean(|fold| fold.accuracy),
        num_nonzero_weights: mean(|fold| fold.num_nonzero_weights),
        relative_gap: folds.map(|fold| fold.relative_gap).fold(0.0, f64::max),
    }
}

/// The fold of each sample; none for the sample of a class that has one.
fn assign(problem: &Problem<'_>, options: &PathOptions) -> Result<Vec<Option<usize>>, LinearError> {
    let mut folds = vec![None; problem.targets.len()];
    let mut next = 0;
    for class in 0..problem.num_classes {
        let of_class: Vec<usize> =
            (0..folds.len()).filter(|&sample| problem.targets[sample] as usize == class).collect();
        if of_class.len() < 2 {
            continue;
        }
        let mut stream = Stream::new(options.seed, Purpose::Split, &[class as u64]);
        for place in stream.permutation(of_class.len() as u32) {
            folds[of_class[place as usize]] = Some(next % options.folds.max(1));
            next += 1;
        }
    }
    if options.folds < 2 || next < options.folds {
        return Err(LinearError::Folds { folds: options.folds, found: next });
    }
    Ok(folds)
}

fn judge(
    whole: &Problem<'_>,
    options: &PathOptions,
    penalties: &[(f64, f64)],
    folds: &[Option<usize>],
    fold: usize,
    coordinates: Option<&Coordinates>,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<Judged>, LinearError> {
    let (train, left_out): (Vec<usize>, Vec<usize>) =
        (0..folds.len()).partition(|&sample| folds[sample] != Some(fold));
    let row = |sample: &usize| &whole.features[sample * whole.num_features..][..whole.num_features];
    let features: Vec<f32> = train.iter().flat_map(row).copied().collect();
    let targets: Vec<u32> = train.iter().map(|&sample| whole.targets[sample]).collect();
    let sample_weights: Option<Vec<f32>> =
        whole.sample_weights.map(|weights| train.iter().map(|&sample| weights[sample]).collect());
    let unseen: Vec<f32> = left_out.iter().flat_map(row).copied().collect();
    let unseen = Rows::new(&unseen, whole.num_features, whole.num_classes);
    let solve_options = SolveOptions {
        relative_gap: options.relative_gap,
        max_iterations: options.max_iterations,
        start: None,
    };
    let all = Rows::new(whole.features, whole.num_features, whole.num_classes);
    let len = all.num_samples;
    let of_sample = |coordinates: &Coordinates| -> Vec<f32> {
        train.iter().flat_map(|sample| &coordinates.features[sample * len..][..len]).copied().collect()
    };
    let inner_features = coordinates.map(of_sample).unwrap_or_default();
    let mut inner = State { weights: Vec::new(), dual: Vec::new() };
    let mut state = State { weights: vec![0.0; unseen.num_weights()], dual: Vec::new() };
    let mut judged = Vec::with_capacity(penalties.len());
    let mut trail = Trail::default();
    let with_l1 = has_l1(penalties);
    for &(l2, l1) in penalties {
        let problem = Problem {
            features: &features,
            targets: &targets,
            sample_weights: sample_weights.as_deref(),
            l2,
            l1,
            ..whole.clone()
        };
        let checked = problem.check()?;
        checked.check_penalty()?;
        solve_options.check(&checked)?;
        if checked.loss == Loss::Softmax && !with_l1 {
            let weights = if coordinates.is_some() { &mut inner.weights } else { &mut state.weights };
            trail.extend(l2, weights);
        }
        if let Some(coordinates) = coordinates {
            let samples = Some((inner_features.as_slice(), &all));
            (state, inner) = begin_in_coordinates(&checked, coordinates, samples, &solve_options, inner);
        }
        let mut observe = |_: &_| if stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let solution = solve_checked(&checked, &solve_options, &mut state, &mut observe);
        if stop() {
            return Err(LinearError::Interrupted);
        }
        let (loss, accuracy) = losses(whole, &unseen, &state.weights, &left_out);
        let num_nonzero_weights = solution.num_nonzero_weights as f64;
        judged.push(Judged { loss, accuracy, num_nonzero_weights, relative_gap: solution.relative_gap });
    }
    Ok(judged)
}

/// The last two solutions. Weights go smoothly along a path, so that a line through both in ln l2 comes near
/// the next.
#[derive(Default)]
struct Trail {
    logarithm: f64,
    step: f64,
    weights: Vec<f64>,
}

impl Trail {
    /// Remembers the solution of the penalty before, and moves it towards that of `l2`.
    fn extend(&mut self, l2: f64, weights: &mut [f64]) {
        let step = l2.ln() - self.logarithm;
        let before = std::mem::replace(&mut self.weights, weights.to_vec());
        // No further than the last step went.
        let share = if self.step < 0.0 { (step / self.step).min(1.0) } else { 0.0 };
        if before.len() == weights.len() {
            weights.iter_mut().zip(before).for_each(|(w, before)| *w += share * (*w - before));
        }
        (self.logarithm, self.step) = (l2.ln(), step);
    }
}

/// Mean loss and accuracy of the samples left out, with features in `rows`.
fn losses(problem: &Problem<'_>, rows: &Rows<'_>, weights: &[f64], left_out: &[usize]) -> (f64, f64) {
    let mut scores = Vec::new();
    rows.scores(weights, &mut scores);
    let mut unused = vec![0.0; rows.num_classes];
    let (mut loss, mut num_correct) = (0.0, 0);
    for (&sample, scores) in left_out.iter().zip(scores.chunks_exact(rows.stride())) {
        let (scores, target) = (&scores[..rows.num_classes], problem.targets[sample] as usize);
        let of_sample = problem.sample_weights.map_or(1.0, |weights| f64::from(weights[sample]));
        let of_class = problem.class_weights.map_or(1.0, |weights| f64::from(weights[target]));
        loss += of_sample * of_class * value_and_dual(problem.loss, scores, target, &mut unused);
        // Of equal scores the first.
        let first = (0..scores.len()).reduce(|a, b| if scores[b] > scores[a] { b } else { a });
        num_correct += usize::from(first == Some(target));
    }
    let count = left_out.len() as f64;
    (loss / count, num_correct as f64 / count)
}
