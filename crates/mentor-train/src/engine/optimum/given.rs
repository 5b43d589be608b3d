//! What is proven of weights that another optimiser has found.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use mentor_linear::{Reason, SolveOptions, bounds, solve};
use mentor_model::Model;
use mentor_run::Certificate;

use super::{LinearTask, certificate, start, weights_of};
use crate::engine::error::TrainError;

/// The bound on the optimum is this near to it, which is far less than what minibatches leave.
const RELATIVE_GAP: f64 = 1e-4;
const MAX_ITERATIONS: usize = 300;

/// Bounds the distance of `model` from the optimum of `task`.
///
/// The losses at the weights have a dual point of their own, which for a hinge says little. The solver goes
/// on from the weights, so that its lower bound is nearly the minimum itself; the weights stay as they are.
///
/// # Errors
///
/// [`TrainError::Linear`], and [`TrainError::Interrupted`] once `stop` is set.
pub(crate) fn certify(
    task: &LinearTask<'_>,
    model: &Model,
    stop: &AtomicBool,
) -> Result<Certificate, TrainError> {
    let class_weights = task.class_weights();
    let problem = task.problem(class_weights.as_deref())?;
    let (weights, bias) = weights_of(model);
    let begin = start(&weights, &bias);
    let at = bounds(&problem, &begin)?;
    let options =
        SolveOptions { relative_gap: RELATIVE_GAP, max_iterations: MAX_ITERATIONS, start: Some(begin) };
    let solution = solve(&problem, &options, &mut |_| match stop.load(Ordering::Relaxed) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    })?;
    if solution.reason == Reason::Interrupted {
        return Err(TrainError::Interrupted);
    }
    // No loss is negative, so that 0 is a bound too, and proves nothing.
    Ok(certificate(&at, &solution, "bound found", |gap| gap < 1.0))
}
