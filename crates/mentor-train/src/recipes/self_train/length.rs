//! How long teacher and baseline train, which learn from labels alone: found on the labels, by short trials.
//!
//! A student makes a pass over many images, and as many updates from a hundred labels would take long and
//! teach nothing more. A trial trains the teacher's network without some of the labels, and its best length
//! is where their loss is lowest. What was held out is the validation split if it is large enough, and else
//! one fold of the labels after the other.

use std::num::NonZeroUsize;
use std::path::Path;

use burn::tensor::Tensor;
use mentor_data::{HostBatch, Order};
use mentor_model::{Model, Pass};
use mentor_random::{Purpose, Stream};
use mentor_run::RunDir;
use mentor_run::files::exists;
use mentor_run::records::Record;
use serde::{Deserialize, Serialize};

use super::data::members;
use super::places::{LENGTH, LENGTH_FILE};
use super::stages::Work;
use crate::engine::analysed::Analyse;
use crate::engine::error::TrainError;
use crate::engine::objective::Objective;
use crate::engine::objective::batch_loss::BatchLoss;
use crate::engine::objective::validation::Validation;
use crate::engine::objective::validation_set::ValidationSet;
use crate::engine::outcome::Halt;
use crate::engine::trainee::Trainee;
use crate::engine::training_data::TrainingData;
use crate::plan::{MIN_UPDATES, Plan, TrainingPlan};
use crate::recipes::supervised::Supervised;

/// Up to so many updates are trained as planned: finding a better length would cost more.
const MAX_UNTRIED: u64 = 600;
/// Updates of a trial at most, or [`MAX_PASSES`] over the labels if these are more.
const MAX_UPDATES: u64 = 1000;
const MAX_PASSES: u64 = 40;
/// Validations of a trial, and of a stage whose length was found.
const NUM_EPOCHS: usize = 20;
/// Validations without a lower loss after which a trial ends.
const PATIENCE: Option<NonZeroUsize> = NonZeroUsize::new(5);
/// Validation images whose loss is steady enough to choose a length by.
const LARGE_VALIDATION: usize = 200;
const NUM_FOLDS: usize = 3;
/// Fewer labels are divided into folds twice, because each fold holds few of them.
const FEW_LABELS: usize = 100;

/// `length.json`: how the length of teacher and baseline was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Length {
    /// Updates of a student.
    pub(super) planned_updates: u64,
    /// Updates of a trial at most.
    pub(super) longest_trial: u64,
    pub(super) trials: Vec<Trial>,
    /// Updates of teacher and baseline: the mean best of the trials, at least 300 and at most
    /// `longest_trial`.
    pub(super) updates: u64,
}

impl Record for Length {
    fn check(&self) -> Result<(), String> {
        let Self { updates, longest_trial, .. } = *self;
        let parts = NUM_EPOCHS as u64;
        match updates >= parts && updates.is_multiple_of(parts) && updates <= longest_trial.max(MIN_UPDATES) {
            true => Ok(()),
            false => Err(format!("{updates} updates are no length of trials of up to {longest_trial}")),
        }
    }
}

/// A short run on some of the labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Trial {
    pub(super) num_trained: usize,
    pub(super) num_held_out: usize,
    /// Updates that it made.
    pub(super) updates: u64,
    /// Updates after which the loss of what was held out was lowest.
    pub(super) best_updates: u64,
    /// That loss, penalty included.
    pub(super) best_loss: Option<f64>,
}

/// What there is to do before the length is known.
pub(super) struct Trials {
    /// Samples of the taught images: trained on and held out. Without any the validation split is held out.
    folds: Vec<Option<[Vec<u32>; 2]>>,
    batches_per_epoch: usize,
}

impl Trials {
    /// `None` if teacher and baseline are trained as planned.
    pub(super) fn of(work: &Work<'_>) -> Option<Self> {
        let planned = work.planned_updates();
        if planned <= MAX_UNTRIED {
            return None;
        }
        let images = work.images;
        let num_labels = images.taught.train.len();
        let pass = num_labels.div_ceil(work.plan.training.optimizer.batch_size) as u64;
        let longest = MAX_UPDATES.max(MAX_PASSES * pass).min(planned);
        let folds = if images.val.len() >= LARGE_VALIDATION {
            vec![None]
        } else {
            let repeats = if num_labels < FEW_LABELS { 2 } else { 1 };
            let members = members(&images.taught.train);
            (0..repeats)
                .flat_map(|repeat| folds(&members, work.plan.training.seed, repeat))
                .map(Some)
                .collect()
        };
        Some(Self { folds, batches_per_epoch: longest as usize / NUM_EPOCHS })
    }

    pub(super) fn count(&self) -> usize {
        self.folds.len()
    }

    /// Updates of one trial at most.
    pub(super) fn longest(&self) -> u64 {
        (self.batches_per_epoch * NUM_EPOCHS) as u64
    }
}

/// Samples to train on and to hold out, fold by fold; every class is divided evenly, and a class with one
/// label is always trained on.
fn folds(members: &[Vec<u32>], seed: u64, repeat: u64) -> Vec<[Vec<u32>; 2]> {
    let mut folds = vec![[Vec::new(), Vec::new()]; NUM_FOLDS];
    for (class, members) in members.iter().enumerate() {
        let mut stream = Stream::new(seed, Purpose::Labelled, &[class as u64, 2 + repeat]);
        for (place, index) in stream.permutation(members.len() as u32).into_iter().enumerate() {
            for (fold, [trained, held_out]) in folds.iter_mut().enumerate() {
                let held = members.len() > 1 && place % NUM_FOLDS == fold;
                if held { &mut *held_out } else { &mut *trained }.push(members[index as usize]);
            }
        }
    }
    folds.retain(|[_, held_out]| !held_out.is_empty());
    folds.iter_mut().flatten().for_each(|samples| samples.sort_unstable());
    folds
}

impl Work<'_> {
    /// Finds the length of teacher and baseline, or takes the one that was found before.
    pub(super) fn find_length(&mut self) -> Result<(), Halt> {
        let Some(trials) = Trials::of(self) else { return Ok(()) };
        if let Some(found) = found_length(self.out)? {
            self.length = Some(found);
            return Ok(());
        }
        let mut plan = in_parts(self.plan.on_labels());
        plan.training.patience = PATIENCE;
        let mut found = Vec::with_capacity(trials.count());
        for (index, fold) in trials.folds.iter().enumerate() {
            let data = match fold {
                Some([trained, held_out]) => self.images.fold(trained, held_out),
                None => self.images.taught.clone(),
            };
            found.push(self.trial(index, &trials, &plan, &data)?);
        }
        let mean =
            found.iter().map(|trial| trial.best_updates as f64).sum::<f64>() / found.len().max(1) as f64;
        // Without a label to hold out nothing was tried.
        let wanted = (mean.round() as u64).clamp(MIN_UPDATES, trials.longest());
        let length = Length {
            planned_updates: self.planned_updates(),
            longest_trial: trials.longest(),
            trials: found,
            updates: wanted.div_ceil(NUM_EPOCHS as u64) * NUM_EPOCHS as u64,
        };
        RunDir::at(self.out).write_json(LENGTH_FILE, &length)?;
        self.execution.say(format!(
            "teacher and baseline make {} updates, where the loss of labels that were held out was lowest; a \
             student makes {}",
            length.updates, length.planned_updates
        ));
        self.length = Some(length.updates);
        Ok(())
    }

    fn trial(&self, index: usize, trials: &Trials, plan: &Plan, data: &TrainingData) -> Result<Trial, Halt> {
        let order = self.batches().labelled(data.train.len(), trials.batches_per_epoch);
        let supervised =
            Supervised::new(plan, data, self.loss()?.0, self.execution.device().clone()).in_order(order);
        let objective = ByLoss(supervised);
        let trainee = Trainee { plan, data, objective: &objective, head: data.classifier() };
        let title = format!("length of teacher and baseline, trial {} of {}", index + 1, trials.count());
        let summary = self.train(&format!("{LENGTH}/trial-{}", index + 1), &title, &trainee)?;
        Ok(Trial {
            num_trained: data.train.len(),
            num_held_out: data.val.as_ref().map_or(0, |val| val.len()),
            updates: summary.steps,
            best_updates: (summary.best_epoch * trials.batches_per_epoch) as u64,
            best_loss: summary.val_loss,
        })
    }

    /// Updates of a student, and of every stage whose length is not found.
    pub(super) fn planned_updates(&self) -> u64 {
        (self.plan.training.epochs * self.batches().per_epoch) as u64
    }

    /// A stage on labels alone with the length that was found: its plan, and its batches in an epoch.
    pub(super) fn on_labels(&self, plan: Plan) -> (Plan, usize) {
        match self.length {
            Some(updates) => (in_parts(plan), updates as usize / NUM_EPOCHS),
            None => (plan, self.batches().per_epoch),
        }
    }
}

/// The updates of teacher and baseline that were found in this run before.
pub(super) fn found_length(out: &Path) -> Result<Option<u64>, TrainError> {
    if !exists(&out.join(LENGTH_FILE)) {
        return Ok(None);
    }
    Ok(Some(RunDir::at(out).read_json::<Length>(LENGTH_FILE)?.updates))
}

/// The same plan in [`NUM_EPOCHS`] parts of any size, with the same schedule over all of them.
fn in_parts(plan: Plan) -> Plan {
    let TrainingPlan { epochs, schedule, .. } = plan.training;
    let schedule = schedule.stretched(NUM_EPOCHS as f64 / epochs as f64);
    Plan { training: TrainingPlan { epochs: NUM_EPOCHS, schedule, ..plan.training }, ..plan }
}

/// Training judged by the loss of what was held out; nothing of it is drawn.
struct ByLoss<'a>(Supervised<'a>);

impl Objective for ByLoss<'_> {
    fn order(&self) -> Order {
        self.0.order()
    }

    fn batch_loss(
        &self,
        model: &Model,
        images: Tensor<4>,
        batch: &HostBatch,
        pass: &Pass<'_>,
    ) -> Result<BatchLoss, TrainError> {
        self.0.batch_loss(model, images, batch, pass)
    }

    fn validate(&self, model: &Model, val: &ValidationSet<'_>) -> Result<Validation, TrainError> {
        let found = self.0.validate(model, val)?;
        Ok(Validation { score: found.data_loss.map(|loss| -loss), accuracy: None, ..found })
    }
}

impl Analyse for ByLoss<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_divide_every_class_and_hold_each_sample_out_once() {
        let members = vec![vec![0, 1, 2, 3, 4], vec![5, 6], vec![7], (8..17).collect()];
        let found = folds(&members, 3, 0);
        assert_eq!(found.len(), 3);
        let mut held: Vec<u32> = found.iter().flat_map(|[_, held_out]| held_out.clone()).collect();
        held.sort_unstable();
        assert_eq!(held, (0..17).filter(|&sample| sample != 7).collect::<Vec<_>>());
        for [trained, held_out] in &found {
            assert_eq!(trained.len() + held_out.len(), 17);
            assert!(trained.iter().all(|sample| !held_out.contains(sample)));
            assert_eq!(held_out.iter().filter(|&&sample| sample >= 8).count(), 3);
            assert!(trained.iter().any(|sample| (5..7).contains(sample)), "each class is trained on");
        }
        assert_eq!(folds(&members, 3, 0), found);
        assert_ne!(folds(&members, 3, 1), found, "a repetition divides anew");
        assert!(folds(&[vec![0], vec![1]], 3, 0).is_empty(), "there is nothing to hold out");
    }
}
