//! The choice of a penalty by cross-validation.

use std::sync::atomic::{AtomicBool, Ordering};

use mentor_linear::{LinearError, PathOptions, PathPoint, path};
use mentor_loss::Penalty;
use mentor_run::records::path::{PenaltyPath, PenaltyPoint};

use super::LinearTask;
use crate::engine::error::TrainError;
use crate::plan::{OptimumPlan, PathPlan, PathRule};

/// The gap of the models of the folds: far less than what folds differ by.
const RELATIVE_GAP: f64 = 1e-3;

/// Cross-validates the penalties of `plan` on `task`, whose own penalty is what does not vary.
///
/// The folds are a function of `seed`, and the result has the same bits for any number of threads.
///
/// # Errors
///
/// [`TrainError::Linear`] for data with too few samples, [`TrainError::Interrupted`] once `stop` is set.
pub(crate) fn choose(
    task: &LinearTask<'_>,
    plan: &PathPlan,
    solver: &OptimumPlan,
    seed: u64,
    stop: &AtomicBool,
) -> Result<PenaltyPath, TrainError> {
    let class_weights = task.class_weights();
    let problem = task.problem(class_weights.as_deref())?;
    let options = PathOptions {
        penalties: plan.penalties(&task.penalty),
        folds: usize::try_from(plan.folds).unwrap_or(usize::MAX),
        seed,
        relative_gap: RELATIVE_GAP,
        max_iterations: solver.max_iterations(),
    };
    let found = match path(&problem, &options, &|| stop.load(Ordering::Relaxed)) {
        Err(LinearError::Interrupted) => return Err(TrainError::Interrupted),
        found => found?,
    };
    let chosen = match plan.rule {
        PathRule::Min => found.best,
        PathRule::OneStandardError => found.one_standard_error,
    };
    Ok(PenaltyPath {
        folds: plan.folds,
        rule: plan.rule.to_string(),
        points: found.points.iter().map(|point| recorded(point, plan.folds)).collect(),
        best: found.best,
        one_standard_error: found.one_standard_error,
        chosen,
    })
}

fn recorded(point: &PathPoint, folds: u64) -> PenaltyPoint {
    PenaltyPoint {
        l2: point.l2,
        l1: point.l1,
        val_loss: point.validation_loss,
        standard_deviation: point.standard_error * (folds as f64).sqrt(),
        standard_error: point.standard_error,
        val_accuracy: point.validation_accuracy,
        num_nonzero_weights: point.num_nonzero_weights,
        relative_gap: point.relative_gap,
    }
}

/// The penalty of the chosen point.
pub(crate) fn penalty_of(path: &PenaltyPath) -> Penalty {
    // A plan has checked both.
    path.chosen().and_then(|point| Penalty::new(point.l1, point.l2).ok()).unwrap_or_default()
}
