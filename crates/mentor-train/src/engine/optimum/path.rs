//! The choice of a penalty by cross-validation.

use std::panic::resume_unwind;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::thread;

use mentor_linear::{LinearError, PathOptions, PathPoint, PathProgress, path_observed};
use mentor_loss::Penalty;
use mentor_run::records::path::{PenaltyPath, PenaltyPoint};
use mentor_run::{PathModel, TrainEvent};

use super::LinearTask;
use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::plan::{OptimumPlan, PathPlan, PathRule};

/// The gap of the models of the folds: far less than what folds differ by.
const RELATIVE_GAP: f64 = 1e-3;

/// Cross-validates the penalties of `plan` on `task`, whose own penalty is what does not vary.
///
/// The folds are a function of `seed`, and the result has the same bits for any number of threads.
/// `execution` hears of each model.
///
/// # Errors
///
/// [`TrainError::Linear`] for data with too few samples, [`TrainError::Interrupted`] once training is to
/// stop.
pub(crate) fn choose(
    task: &LinearTask<'_>,
    plan: &PathPlan,
    solver: &OptimumPlan,
    seed: u64,
    execution: &Execution<'_>,
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
    let stop = execution.stop();
    let (sender, models) = channel();
    // Folds end in any thread, and this one tells of them.
    let found = thread::scope(|scope| {
        let work = scope.spawn(|| {
            let observe = |model: &PathProgress| {
                // Nobody listens any more only if this thread panics.
                let _ = sender.send(*model);
            };
            let found = path_observed(&problem, &options, &|| stop.load(Ordering::Relaxed), &observe);
            drop(sender);
            found
        });
        models.iter().for_each(|model| execution.tell(&TrainEvent::PathModel(told(&model))));
        work.join().unwrap_or_else(|panic| resume_unwind(panic))
    });
    let found = match found {
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

fn told(model: &PathProgress) -> PathModel {
    PathModel {
        num_done: model.num_done as u64,
        num_models: model.num_models as u64,
        fold: model.fold as u64,
        l2: model.l2,
        l1: model.l1,
        val_loss: model.validation_loss,
    }
}

fn recorded(point: &PathPoint, folds: u64) -> PenaltyPoint {
    PenaltyPoint {
        l2: point.l2,
        l1: point.l1,
        val_loss: point.validation_loss,
        fold_losses: point.fold_losses.clone(),
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
