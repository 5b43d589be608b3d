//! The estimate of a self-training: the updates of each stage, and its time from a few updates.

use std::path::Path;
use std::time::Instant;

use mentor_data::{Loader, LoaderOptions};
use mentor_model::{Noise, Pass};
use mentor_run::PlannedStage;

use super::data::Images;
use super::length::{Trials, found_length};
use super::objective::{NoisyStudent, Unlabelled};
use super::places::{BASELINE, DISTILLED, PSEUDO_LABEL, TEACHER};
use super::stages::Work;
use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::engine::trainee::Trainee;
use crate::engine::training_data::TrainingData;
use crate::engine::update::gradients::ParameterTensors;
use crate::engine::update::optimizer::Optimizer;
use crate::inference::device::images_to_device;
use crate::plan::self_train::{SelfTrainMethod, SelfTrainPlan};
use crate::plan::{Plan, Recipe};
use crate::pseudo_labels::WeightRamp;
use crate::recipes::supervised::Supervised;

/// Updates that are timed, after a first one that warms up.
const NUM_TIMED: usize = 2;

/// What self-training would do, stage by stage; nothing is written.
///
/// # Errors
///
/// As [`train`](crate::train) before its first stage, and if `plan` is not one of self-training.
pub fn estimate_self_training(
    plan: &Plan,
    execution: &Execution<'_>,
) -> Result<Vec<PlannedStage>, TrainError> {
    let Recipe::SelfTrain(self_train) = &plan.recipe else {
        let what = plan.source.clone();
        let reason = "the plan is not one of self-training".into();
        return Err(TrainError::SelfTrain {
            what,
            reason,
            help: "give the configuration a `self_train` part",
        });
    };
    let images = Images::load(plan, self_train)?;
    let work = Work { plan, self_train, images: &images, out: Path::new(""), execution, length: None };
    work.check_networks()?;
    // No run is there, so that every stage is yet to come.
    work.estimate(None)
}

impl Work<'_> {
    /// The stages that are yet to come, of those that `run` has none of.
    pub(super) fn estimate(&self, run: Option<&Path>) -> Result<Vec<PlannedStage>, TrainError> {
        let planned = self.planned_updates();
        let noisy_student = self.self_train.method == SelfTrainMethod::NoisyStudent;
        let is_done = |place: &str| run.is_some_and(|run| run.join(place).join("summary.json").is_file());
        let mut stages = Vec::new();
        let mut add = |name: &str, plan: &Plan, updates: u64, at_most: bool, secs: f64| {
            let (name, model) = (name.to_owned(), plan.architecture.to_string());
            stages.push(PlannedStage { name, model, updates, at_most, secs: secs * updates as f64 });
        };
        let on_labels = self.time_on_labels(&self.plain())?;
        let found = run.map(found_length).transpose()?.flatten();
        let (updates, at_most) = match (found, Trials::of(self)) {
            (Some(found), _) => (found, false),
            (None, None) => (planned, false),
            (None, Some(trials)) => {
                let (num_trials, longest) = (trials.count() as u64, trials.longest());
                if num_trials > 0 {
                    let name = "length of teacher and baseline";
                    add(name, &self.plain(), num_trials * longest, true, on_labels);
                }
                (longest, true)
            }
        };
        if noisy_student && !is_done(TEACHER) {
            add(TEACHER, &self.plain(), updates, at_most, on_labels);
        }
        if self.self_train.baseline && !is_done(BASELINE) {
            let plan = self.baseline();
            let secs = self.time_on_labels(&plan)?;
            add(BASELINE, &plan, updates, at_most, secs);
        }
        let student = self.noisy(1);
        let of_student = self.time_student(&student)?;
        if noisy_student {
            for number in 1..=self.self_train.rounds {
                if !is_done(&format!("round-{number}/student")) {
                    add(&format!("round {number}"), &student, planned, false, of_student);
                }
            }
        } else if !is_done(PSEUDO_LABEL) {
            add(PSEUDO_LABEL, &student, planned, false, of_student);
        }
        if self.self_train.distill_to.is_some() && !is_done(DISTILLED) {
            let plan = self.distilled(Path::new(TEACHER))?;
            let batches = self.images.pool.len().div_ceil(plan.training.optimizer.batch_size);
            let secs = self.time_on_labels(&plan.on_labels())?;
            add(DISTILLED, &plan, (plan.training.epochs * batches) as u64, false, secs);
        }
        Ok(stages)
    }

    /// Seconds of an update on labels alone.
    fn time_on_labels(&self, plan: &Plan) -> Result<f64, TrainError> {
        let data = &self.images.taught;
        let order = self.batches().labelled(data.train.len(), 1 + NUM_TIMED);
        let objective =
            Supervised::new(plan, data, self.loss()?.0, self.execution.device().clone()).in_order(order);
        self.time(&Trainee { plan, data, objective: &objective, head: data.classifier() })
    }

    /// Seconds of an update of a student.
    fn time_student(&self, plan: &Plan) -> Result<f64, TrainError> {
        let num_labelled = self.images.taught.train.len();
        // As many of the pool as the timed updates take.
        let SelfTrainPlan { ratio, .. } = *self.self_train;
        let wanted = (plan.training.optimizer.batch_size as f64 * ratio.max(1.0)) as usize * (1 + NUM_TIMED);
        let rows: Vec<u32> = (0..self.images.pool.len().min(wanted) as u32).collect();
        let data: TrainingData = self.images.with_rows(&rows, &vec![0; rows.len()], b"timed");
        let (loss, labelled_loss) = self.loss()?;
        let order = self.batches().both(num_labelled, data.train.len());
        let objective = NoisyStudent {
            supervised: Supervised::new(plan, &self.images.taught, loss, self.execution.device().clone())
                .in_order(order),
            num_labelled: num_labelled as u32,
            // Its own classes take as long to learn from as given ones.
            unlabelled: Unlabelled::Own { ramp: WeightRamp::LEE, steps_per_epoch: 1.0 },
            ratio,
            labelled_loss,
        };
        self.time(&Trainee { plan, data: &data, objective: &objective, head: data.classifier() })
    }

    /// Trains a network that is thrown away.
    fn time(&self, trainee: &Trainee<'_>) -> Result<f64, TrainError> {
        let Trainee { plan, data, objective, .. } = *trainee;
        let training = &plan.training;
        let device = self.execution.device().clone().autodiff();
        let mut model = trainee.model(&device)?;
        let mut optimizer = Optimizer::new(training.optimizer.clone(), training.penalty);
        let options = LoaderOptions {
            order: objective.order(),
            augment: training.augment,
            seed: training.seed,
            ..LoaderOptions::default()
        };
        let loader = Loader::new(data.train.clone(), data.preprocessing.clone(), options);
        let (mut start, mut timed) = (Instant::now(), 0);
        for (index, batch) in loader.epoch(0, 0).take(1 + NUM_TIMED).enumerate() {
            let mut batch = batch?;
            let images = images_to_device(&mut batch, &device);
            let noise = Noise { seed: training.seed, draw: batch.draw, samples: &batch.samples };
            let loss = objective.batch_loss(&model, images, &batch, &Pass::Training(&noise))?;
            let gradients = ParameterTensors::of_gradients(loss.losses.mean().backward(), &model);
            model = optimizer.step(model, gradients, training.optimizer.learning_rate);
            if index == 0 {
                start = Instant::now();
            }
            timed = index;
        }
        // What is still under way on a device is waited for.
        let _ = mentor_model::parameters(&model);
        Ok(start.elapsed().as_secs_f64() / timed.max(1) as f64)
    }
}
