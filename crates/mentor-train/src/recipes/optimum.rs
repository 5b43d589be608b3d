//! Labels → linear classifier, up to a proven distance from the optimum.

use std::path::Path;
use std::time::Instant;

use mentor_model::Model;
use mentor_run::{Certificate, MetricsLine, PATH_FILE, RunDir, Started, Summary, TrainEvent};

use crate::analysis::trajectory::Trajectory;
use crate::engine::analysed::Ended;
use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::engine::job::{Files, Job};
use crate::engine::objective::validation_set::ValidationSet;
use crate::engine::optimum::path::{choose, penalty_of};
use crate::engine::optimum::{LinearTask, Optimum, features, optimum, with_weights};
use crate::engine::outcome::{Halt, Outcome};
use crate::engine::trainee::Trainee;
use crate::engine::training_data::TrainingData;
use crate::engine::training_loop::{complete, summary_of};
use crate::inference::weights::WeightStatistics;
use crate::plan::{LossPlan, OptimumPlan, Plan, TrainingPlan};
use crate::recipes::supervised::Supervised;
use crate::recipes::told::tell_of_data;

/// Trains what `plan` says into `out`.
///
/// The solver keeps no state: a run that was cut off begins anew, and ends in the same weights.
pub(super) fn train(
    plan: &Plan,
    gap: &OptimumPlan,
    out: &Path,
    execution: &Execution<'_>,
) -> Result<Outcome, TrainError> {
    Halt::ended(solve(plan, gap, out, execution).map_err(Halt::from))
}

fn solve(
    plan: &Plan,
    gap: &OptimumPlan,
    out: &Path,
    execution: &Execution<'_>,
) -> Result<Outcome, TrainError> {
    let clock = Instant::now();
    let data = TrainingData::load(plan)?;
    let LossPlan::Scores(loss) = &plan.loss else { unreachable!("a plan with a gap has a loss on scores") };
    let loss = loss.build(data.classes().len())?;
    let objective = Supervised::new(plan, &data, loss.clone(), execution.device().clone());
    let trainee = Trainee { plan, data: &data, objective: &objective, head: data.classifier() };
    let model = trainee.model(execution.device())?;
    let features = features::of_images(&data.train, &data.preprocessing, execution.stop())?;
    let task = features.task(data.classes().len(), &loss, plan.training.penalty);
    if gap.path.is_none() {
        // What has no optimum begins no run.
        task.check_penalty()?;
    }
    let config = plan.to_config();
    let run_dir = RunDir::create(out, &config)?;
    tell_of_data(plan, &data, &run_dir, execution)?;
    if let Some(summary) = trainee.found_elsewhere(&run_dir)? {
        return Ok(Outcome::AlreadyComplete(summary));
    }
    run_dir.adopt(&config)?;
    execution.tell(&TrainEvent::Started(Started {
        model: model.spec().architecture.clone(),
        num_params: model.num_params(),
        num_classes: data.classes().len(),
        num_train: data.train.len(),
        num_val: data.val.as_ref().map_or(0, |val| val.len()),
        epochs: 0,
        min_updates: None,
        steps_per_epoch: 0,
        batches_per_epoch: 0,
        margin: None,
        resumed_step: 0,
    }));
    if run_dir.metrics().is_ok_and(|lines| !lines.is_empty()) {
        execution
            .say("the run was cut off, and the solver begins anew: it ends in the same weights".to_owned());
    }
    let mut metrics = run_dir.metrics_writer(0)?;
    let path = match &gap.path {
        None => None,
        Some(path) => {
            execution.say(format!("tries {} penalties on {} folds", path.steps, path.folds));
            let found = choose(&task, path, gap, plan.training.seed, execution)?;
            run_dir.write_json(PATH_FILE, &found)?;
            Some(found)
        }
    };
    let penalty = path.as_ref().map_or(plan.training.penalty, penalty_of);
    let plan = &Plan { training: TrainingPlan { penalty, ..plan.training.clone() }, ..plan.clone() };
    let objective = Supervised::new(plan, &data, loss.clone(), execution.device().clone());
    let task = LinearTask { penalty, ..task };
    let Optimum { weights, bias, certificate } =
        optimum(&task, gap, execution, &mut |line| Ok(metrics.write(&MetricsLine::Iteration(*line))?))?;
    let model = with_weights(model, &weights, &bias)?;
    if !certificate.certified {
        execution.warn(shortfall(gap, &certificate));
    }
    let job = Job {
        training: &plan.training,
        data: &data,
        objective: &objective,
        analysis: Some(&objective),
        files: Some(Files { dir: &run_dir, config }),
        backbone: None,
        loss: &plan.loss,
        device: execution.device().clone(),
        execution,
    };
    let mut summary = summary_of(&model, &data, execution);
    judge(&mut summary, &job, &model, &certificate)?;
    if path.is_some() {
        summary.measures.insert("chosen_l2".to_owned(), penalty.l2());
        summary.measures.insert("chosen_l1".to_owned(), penalty.l1());
    }
    summary.steps = certificate.num_iterations;
    summary.certificate = Some(certificate);
    summary.wall_secs = clock.elapsed().as_secs_f64();
    let ended = Ended {
        chosen: &model,
        last: &model,
        trajectory: &Trajectory::new(0, model.num_params()),
        epochs: &[],
        stop: execution.stop(),
    };
    let trained = complete(&job, &ended, summary)?;
    execution.tell(&TrainEvent::Finished(Box::new(trained.summary.clone())));
    Ok(Outcome::Complete(trained.summary))
}

/// Losses and accuracies on the training and the validation split.
fn judge(
    summary: &mut Summary,
    job: &Job<'_>,
    model: &Model,
    certificate: &Certificate,
) -> Result<(), TrainError> {
    let val = job.validation_set();
    let train = ValidationSet {
        dataset: &job.data.train,
        preprocessing: &job.data.preprocessing,
        batch_size: job.training.optimizer.batch_size,
        device: job.execution.device(),
    };
    let of_train = job.objective.validate(model, &train)?;
    // The solver's own sums are those of 64 bits.
    summary.train_loss = certificate.primal;
    summary.train_accuracy = of_train.accuracy;
    summary.last_train_loss = Some(summary.train_loss);
    summary.last_train_accuracy = summary.train_accuracy;
    let Some(val) = val else { return Ok(()) };
    let of_val = job.objective.validate(model, &val)?;
    let penalty = WeightStatistics::of(model).penalty(&job.training.penalty);
    if let Some(accuracy) = of_val.accuracy {
        summary.set_val_accuracy(accuracy);
    }
    summary.val_loss = of_val.data_loss.map(|data_loss| data_loss + penalty);
    Ok(())
}

/// Why a run has not come to its gap, and what would bring it there.
fn shortfall(gap: &OptimumPlan, certificate: &Certificate) -> String {
    let Certificate { relative_gap, num_iterations, reason, .. } = certificate;
    let (why, ways) = match reason.as_str() {
        "max iterations" => (
            format!("{num_iterations} iterations, the most that --max-iterations allows, were not enough"),
            "allow more, or penalise more with --l2",
        ),
        _ => (
            format!("after {num_iterations} iterations rounding in 64 bits hides any further progress"),
            "ask for a larger --gap, or penalise more with --l2",
        ),
    };
    format!("a gap of {:e} is not proven, only one of {relative_gap:.1e}: {why}; {ways}", gap.gap)
}
