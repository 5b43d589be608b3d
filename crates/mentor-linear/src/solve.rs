//! `solve`: one problem, to a proven gap.

use std::ops::ControlFlow;

use crate::coordinates::Coordinates;
use crate::error::LinearError;
use crate::gap::Certifier;
use crate::objective::value_and_dual;
use crate::problem::{Checked, Loss, Problem};
use crate::products::Rows;
use crate::record::{Progress, Reason, Record, Solution, SolveOptions, Start, State};
use crate::solvers;

/// Minimises the objective of `problem` until the gap is proven.
///
/// `observe` sees each outer iteration and stops the solver by `ControlFlow::Break`. The result has the
/// same bits for any number of threads.
///
/// | penalty | loss | method |
/// |---|---|---|
/// | `l2` | softmax | Newton's method, each step by preconditioned conjugate gradients |
/// | `l2` | hinges | proximal point method in the dual, semismooth Newton steps |
/// | `l1`, both | softmax | accelerated proximal steps in the Hessian's metric, with screening |
///
/// Few samples of many features, with `l2` alone, are first solved in coordinates of the samples' span.
/// Meanwhile `observe` sees iteration 0 again and again, with what is proven of weights of 0.
///
/// # Errors
///
/// If the problem is not well defined, or has no optimum.
///
/// ```
/// use std::ops::ControlFlow;
/// use mentor_linear::{Loss, Problem, SolveOptions, solve};
///
/// // Two samples at −1 and 1: by symmetry w = (−u, u) with 2·l2·u = 1/(1 + e^{2u}).
/// let problem = Problem {
///     features: &[-1.0, 1.0],
///     num_features: 1,
///     targets: &[0, 1],
///     num_classes: 2,
///     sample_weights: None,
///     class_weights: None,
///     loss: Loss::Softmax,
///     l2: 0.05,
///     l1: 0.0,
///     bias: true,
/// };
/// let options = SolveOptions { relative_gap: 1e-9, ..SolveOptions::default() };
/// let solution = solve(&problem, &options, &mut |_| ControlFlow::Continue(()))?;
/// let u = solution.weights[1];
/// assert!(solution.certified && (0.1 * u - 1.0 / (1.0 + (2.0 * u).exp())).abs() < 1e-4);
///
/// let refused = Problem { features: &[f32::NAN, 1.0], ..problem };
/// assert!(solve(&refused, &options, &mut |_| ControlFlow::Continue(())).is_err());
/// # Ok::<(), mentor_linear::LinearError>(())
/// ```
pub fn solve(
    problem: &Problem<'_>,
    options: &SolveOptions,
    observe: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Solution, LinearError> {
    let checked = problem.check()?;
    let mut state = State { weights: options.check(&checked)?, dual: Vec::new() };
    match checked.check_penalty() {
        Err(LinearError::NoPenalty) => return Err(without_penalty(problem)),
        other => other?,
    }
    if checked.l1 == 0.0
        && options.start.is_none()
        && let Some(coordinates) = Coordinates::of(&checked.rows)
    {
        match begin_in_coordinates(&checked, &coordinates, options, observe) {
            Some(found) => state = found,
            // The first certificate on the data is the last.
            None => {
                return Ok(solve_checked(&checked, options, &mut state, &mut |_| ControlFlow::Break(())));
            }
        }
    }
    Ok(solve_checked(&checked, options, &mut state, observe))
}

/// Solves the problem in coordinates. Returns where the data themselves begin; nothing if interrupted.
fn begin_in_coordinates(
    checked: &Checked<'_>,
    coordinates: &Coordinates,
    options: &SolveOptions,
    observe: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Option<State> {
    let len = coordinates.second_moment.num_samples;
    let problem = Checked {
        rows: Rows::new(&coordinates.features, len, checked.rows.num_classes),
        sample_scales: checked.sample_scales.clone(),
        second_moment: Some(&coordinates.second_moment),
        ..*checked
    };
    let mut inner = State { weights: vec![0.0; problem.rows.num_weights()], dual: Vec::new() };
    // The data must find the gap that is asked for, although their coordinates were rounded.
    let options = SolveOptions { relative_gap: 0.9 * options.relative_gap, ..options.clone() };
    // What is proven of the data until then: no loss is negative, and weights of 0 have this objective.
    let scores = vec![0.0; checked.rows.num_classes];
    let mut unused = scores.clone();
    let of_zero = |(&target, scale): (&u32, &f64)| {
        scale * value_and_dual(checked.loss, &scores, target as usize, &mut unused)
    };
    let primal = checked.targets.iter().zip(&checked.sample_scales).map(of_zero).sum();
    let known = Progress { iteration: 0, primal, dual: 0.0, gap: primal };
    let solution = solve_checked(&problem, &options, &mut inner, &mut |_| observe(&known));
    (solution.reason != Reason::Interrupted)
        .then(|| State { weights: coordinates.weights(&checked.rows, &inner.weights), dual: inner.dual })
}

pub(crate) fn solve_checked(
    checked: &Checked<'_>,
    options: &SolveOptions,
    state: &mut State,
    observe: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Solution {
    let certifier = Certifier::new(checked);
    let mut record = Record::new(&certifier, options, observe);
    let reason = match checked.loss {
        Loss::Softmax if checked.l1 == 0.0 => solvers::newton_cg(&certifier, state, &mut record),
        Loss::Softmax => solvers::proximal_newton(&certifier, state, &mut record),
        _ => solvers::proximal_point(&certifier, state, &mut record),
    };
    record.into_solution(reason)
}

/// Penalties at which `without_penalty` looks for weights that separate the classes.
const SEPARATING: [f64; 3] = [1e-3, 1e-5, 1e-7];

/// λ = 0: whether the classes can be separated, by the optima of ever smaller penalties. Any loss would do,
/// and softmax is the fastest. What only weights beyond the last separate is held to be inseparable.
fn without_penalty(problem: &Problem<'_>) -> LinearError {
    let mut options = SolveOptions { relative_gap: 0.1, max_iterations: 50, start: None };
    for l2 in SEPARATING {
        let nearly = Problem { l2, loss: Loss::Softmax, ..problem.clone() };
        let Ok(solution) = solve(&nearly, &options, &mut |_| ControlFlow::Continue(())) else {
            break;
        };
        if separates(problem, &solution) {
            return LinearError::Separable;
        }
        options.start = Some(Start { weights: solution.weights, bias: solution.bias });
    }
    LinearError::NoPenalty
}

/// Whether each sample's target has the largest score.
fn separates(problem: &Problem<'_>, solution: &Solution) -> bool {
    let rows = problem.features.chunks_exact(problem.num_features);
    rows.zip(problem.targets).all(|(row, &target)| {
        let score = |class: usize| {
            let weights = &solution.weights[class * problem.num_features..][..problem.num_features];
            solution.bias[class] + weights.iter().zip(row).map(|(w, &x)| w * f64::from(x)).sum::<f64>()
        };
        let own = score(target as usize);
        (0..problem.num_classes).all(|class| class == target as usize || score(class) < own)
    })
}
