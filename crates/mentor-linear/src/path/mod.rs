//! Many penalties, and the choice of one by cross-validation.

mod fold;

use std::sync::atomic::{AtomicUsize, Ordering};

use mentor_random::{Purpose, Stream};
use rayon::prelude::*;

use self::fold::{Fold, Judged};
use crate::coordinates::Coordinates;
use crate::error::LinearError;
use crate::problem::Problem;
use crate::products::Rows;
use crate::record::SolveOptions;

/// Which penalties, and how they are judged.
#[derive(Clone, Debug, PartialEq)]
pub struct PathOptions {
    /// (l2, l1) of each point, in any order; none of them (0, 0).
    pub penalties: Vec<(f64, f64)>,
    /// Parts that the samples are divided into, at least 2. Each is judged by a model of the others. As many
    /// as samples in classes of two or more is leave-one-out.
    pub folds: usize,
    /// Which samples are in which fold.
    pub seed: u64,
    /// To which gap each model is trained.
    pub relative_gap: f64,
    /// Outer iterations of each model at most.
    pub max_iterations: usize,
}

/// One penalty: means over the folds.
#[derive(Clone, Debug, PartialEq)]
pub struct PathPoint {
    /// Weight of Σ w².
    pub l2: f64,
    /// Weight of Σ |w|.
    pub l1: f64,
    /// Mean loss of the samples left out, with their weights.
    pub validation_loss: f64,
    /// The same of each fold, `[folds]`.
    pub fold_losses: Vec<f64>,
    /// Standard error of that mean: the deviation between folds over √folds.
    pub standard_error: f64,
    /// Share of the samples left out whose class has the largest score.
    pub validation_accuracy: f64,
    /// Weights that are not 0.
    pub num_nonzero_weights: f64,
    /// Largest relative gap of the models.
    pub relative_gap: f64,
}

/// A model of a path is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathProgress {
    /// Models that are, this one among them.
    pub num_done: usize,
    /// Models of the path: penalties times folds.
    pub num_models: usize,
    /// The fold that it is judged on, counted from 0.
    pub fold: usize,
    /// Weight of Σ w².
    pub l2: f64,
    /// Weight of Σ |w|.
    pub l1: f64,
    /// Its mean loss on the fold.
    pub validation_loss: f64,
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
/// Folds run in parallel and each holds a copy of its samples. Few samples of many features, with `l2` alone,
/// are solved and judged in coordinates of the samples' span, which hold f32 and 1e-9 of the largest ‖x‖² on
/// the diagonal of XXᵀ: the gaps are of those models. The result has the same bits for any number of
/// threads.
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
    path_observed(problem, options, stop, &|_| {})
}

/// [`path`], which tells `observe` of each model, from several threads and in the order of their ends.
///
/// # Errors
///
/// As [`path`].
pub fn path_observed(
    problem: &Problem<'_>,
    options: &PathOptions,
    stop: &(dyn Fn() -> bool + Sync),
    observe: &(dyn Fn(&PathProgress) + Sync),
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
    let has_l1 = penalties.iter().any(|penalty| penalty.1 > 0.0);
    let coordinates = if has_l1 { None } else { Coordinates::of(&all) };
    let num_models = options.folds * penalties.len();
    let num_done = AtomicUsize::new(0);
    let tell = |fold: usize, (l2, l1): (f64, f64), judged: &Judged| {
        let num_done = 1 + num_done.fetch_add(1, Ordering::Relaxed);
        observe(&PathProgress { num_done, num_models, fold, l2, l1, validation_loss: judged.loss });
    };
    let of_each = SolveOptions {
        relative_gap: options.relative_gap,
        max_iterations: options.max_iterations,
        start: None,
    };
    let results: Vec<Vec<Judged>> = (0..options.folds)
        .into_par_iter()
        .map(|fold| {
            let data = Fold::new(problem, &folds, fold, coordinates.as_ref());
            data.judge(&penalties, &of_each, stop, &|penalty, judged| tell(fold, penalty, judged))
        })
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

fn point((l2, l1): (f64, f64), folds: impl ExactSizeIterator<Item = Judged> + Clone) -> PathPoint {
    let count = folds.len() as f64;
    let mean = |of: fn(&Judged) -> f64| folds.clone().map(|fold| of(&fold)).sum::<f64>() / count;
    let validation_loss = mean(|fold| fold.loss);
    let squares: f64 = folds.clone().map(|fold| (fold.loss - validation_loss).powi(2)).sum();
    PathPoint {
        l2,
        l1,
        validation_loss,
        fold_losses: folds.clone().map(|fold| fold.loss).collect(),
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
