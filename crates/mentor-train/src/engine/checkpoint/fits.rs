//! Whether a checkpoint is of the run that is to continue.

use std::collections::BTreeMap;

use mentor_model::{Model, NamedTensor, parameters};
use mentor_run::files::MAX_HEADER;

use super::state::{Checkpoint, EpochTotals, Progress};
use crate::analysis::trajectory::{MAX_VALUES, Trajectory};
use crate::plan::TrainingPlan;

/// The run that a checkpoint is to continue.
pub(crate) struct Fits<'a> {
    training: &'a TrainingPlan,
    /// Those of the plan, or more of them on few images.
    epochs: usize,
    /// The run at its start.
    start: &'a Progress,
    batches_per_epoch: usize,
    /// Tensors of the network, with any values.
    tensors: Vec<NamedTensor>,
}

impl<'a> Fits<'a> {
    /// `model` is one of the run's network.
    pub(crate) fn new(
        training: &'a TrainingPlan,
        epochs: usize,
        start: &'a Progress,
        model: &Model,
        batches_per_epoch: usize,
    ) -> Self {
        Self { training, epochs, start, batches_per_epoch, tensors: parameters(model) }
    }

    fn num_values(&self) -> usize {
        self.tensors.iter().map(|tensor| tensor.values.len()).sum()
    }

    /// Values of the parameters, which running statistics are not.
    fn num_params(&self) -> usize {
        let trainable = self.tensors.iter().filter(|tensor| tensor.trainable);
        trainable.map(|tensor| tensor.values.len()).sum()
    }

    /// What a checkpoint may have: the network five times, the trajectory, and names.
    pub(super) fn max_bytes(&self) -> u64 {
        let values = 5 * self.num_values() as u64 + MAX_VALUES as u64;
        values * size_of::<f32>() as u64 + MAX_HEADER
    }

    /// What of the checkpoint is not of this run, or of no run. One of other data, or of other teachers, is
    /// no damage: whoever loads it says so.
    pub(super) fn check(&self, checkpoint: &Checkpoint) -> Result<(), String> {
        let Checkpoint { progress, model, best, average, velocity, squares, trajectory } = checkpoint;
        let learned_from =
            |progress: &Progress| (progress.data_blake3.clone(), progress.lessons_blake3.clone());
        if learned_from(progress) != learned_from(self.start) {
            return Ok(());
        }
        self.check_progress(progress)?;
        self.check_all("model", model)?;
        let present = |what: &str, tensors: &[NamedTensor], wanted: bool| match tensors.is_empty() {
            empty if empty != wanted => Ok(()),
            true => Err(format!("it lacks the {what} weights")),
            false => Err(format!("it has {what} weights, and should have none")),
        };
        present("best", best, progress.best.is_some())?;
        present("average", average, self.training.ema.is_some())?;
        for (what, tensors) in [("best", best), ("average", average)] {
            if !tensors.is_empty() {
                self.check_all(what, tensors)?;
            }
        }
        // Before the first update and without momentum there is none.
        let known = |tensor: &NamedTensor| {
            self.tensors
                .iter()
                .any(|own| own.trainable && own.path == tensor.path && own.shape == tensor.shape)
        };
        for (what, tensors) in [("velocity", velocity), ("mean square", squares)] {
            if let Some(other) = tensors.iter().find(|tensor| !known(tensor)) {
                return Err(format!("its {what} {} {:?} is of no parameter", other.path, other.shape));
            }
            finite(what, tensors)?;
        }
        let is_adamw = self.training.optimizer.weight_decay.is_some();
        if squares.len() != if is_adamw { velocity.len() } else { 0 } {
            return Err("its moments are those of another optimiser".to_owned());
        }
        let (points, values) = (progress.trajectory_steps.len(), trajectory.len());
        let wanted = Trajectory::new(self.epochs, self.num_params()).num_points(progress.epoch);
        if points != wanted || Some(values) != points.checked_mul(self.num_params()) {
            return Err(format!("its trajectory has {points} points and {values} values"));
        }
        Ok(())
    }

    /// That these are the tensors of the network, and hold numbers.
    fn check_all(&self, what: &str, tensors: &[NamedTensor]) -> Result<(), String> {
        let shapes = |tensors: &'_ [NamedTensor]| -> BTreeMap<String, Vec<usize>> {
            tensors.iter().map(|tensor| (tensor.path.clone(), tensor.shape.clone())).collect()
        };
        if shapes(tensors) != shapes(&self.tensors) {
            return Err(format!("its {what} weights are those of another network"));
        }
        finite(what, tensors)
    }

    /// That the counters are those of one moment of the run.
    fn check_progress(&self, progress: &Progress) -> Result<(), String> {
        let Progress { epoch, batch, step, totals, best, trajectory_steps, wall_secs, .. } = progress;
        let updates = match self.training.optimizer.full_batch {
            true => Some(*epoch as u64),
            false => (*epoch as u64).checked_mul(self.batches_per_epoch as u64),
        };
        let updates = updates.and_then(|updates| updates.checked_add(*batch as u64));
        let within = *batch < self.batches_per_epoch && (*batch == 0 || !self.training.optimizer.full_batch);
        let over = *epoch > self.epochs || (*epoch == self.epochs && *batch > 0);
        if over || !within || updates != Some(*step) {
            return Err(format!("epoch {epoch}, batch {batch} and step {step} do not occur in this run"));
        }
        let EpochTotals {
            num_samples,
            num_correct,
            data_loss,
            penalty,
            train_secs,
            loader_wait_secs,
            measures,
        } = totals;
        let seconds = [wall_secs, train_secs, loader_wait_secs];
        let mut sums = measures.values().flat_map(|(sum, weight)| [sum, weight]).chain([data_loss, penalty]);
        if seconds.iter().any(|secs| !(secs.is_finite() && **secs >= 0.0)) || !sums.all(|sum| sum.is_finite())
        {
            return Err("its sums and seconds are no numbers".to_owned());
        }
        if (*num_samples > 0) != (*batch > 0)
            || *num_samples > MAX_SAMPLES
            || num_correct.is_some_and(|num| num > *num_samples)
        {
            return Err(format!("{num_samples} samples are not those of {batch} batches"));
        }
        if best.as_ref().is_some_and(|best| best.epoch >= *epoch) {
            return Err("its best epoch has not been yet".to_owned());
        }
        match trajectory_steps.iter().any(|point| point > step) {
            true => Err("its trajectory goes on after it".to_owned()),
            false => Ok(()),
        }
    }
}

/// Samples of an epoch, at most: each has an index of 32 bits, and an epoch of triplets has three for each.
const MAX_SAMPLES: u64 = 1 << 40;

fn finite(what: &str, tensors: &[NamedTensor]) -> Result<(), String> {
    let wrong = |tensor: &&NamedTensor| !tensor.values.iter().all(|value| value.is_finite());
    match tensors.iter().find(wrong) {
        Some(tensor) => Err(format!("its {what} {} holds a number that is not finite", tensor.path)),
        None => Ok(()),
    }
}
