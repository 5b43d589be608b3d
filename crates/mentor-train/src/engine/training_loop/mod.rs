//! The training loop: `Run::epochs`. How a run begins is in `start`, what an epoch ends with in `epoch_end`,
//! and what a run ends with in `finish`.
//!
//! A batch is a forward and a backward pass. With `sgd` each batch is an update; with `gd` the gradients
//! of all batches of an epoch are summed into one. Everything that decides the weights is a function of the
//! plan, the data and the number of batches done, so that a run continued from a checkpoint ends in the
//! same weights, bit for bit.

mod division;
mod epoch_end;
mod finish;
mod journal;
mod observed;
mod shards;
mod start;

use std::time::{Duration, Instant};

use burn::module::Module;
use mentor_data::{Epoch, HostBatch, Loader};
use mentor_model::{Model, NamedTensor, Noise, Pass, parameters, with_parameters};
use mentor_run::TrainEvent;

use crate::analysis::trajectory::Trajectory;
use crate::engine::checkpoint::state::Progress;
use crate::engine::error::TrainError;
use crate::engine::job::Job;
use crate::engine::outcome::{Outcome, Trained};
use crate::engine::training_loop::division::Shards;
use crate::engine::training_loop::journal::Journal;
use crate::engine::training_loop::observed::Observed;
use crate::engine::update::ema::{ema_decay, update_average};
use crate::engine::update::gradients::ParameterTensors;
use crate::engine::update::optimizer::{Optimizer, accumulate};
use crate::inference::device::images_to_device;
use crate::inference::weights::penalty_rows;
use crate::plan::Schedule;

pub(crate) use self::finish::{complete, summary_of};

/// Lines about updates in `metrics.jsonl` at most, over the whole run.
const MAX_STEP_LINES: u64 = 2000;

/// Trains `model` as `job` says, or continues from the newest checkpoint, to the files of a complete run.
pub(crate) fn run(job: &Job<'_>, model: Model) -> Result<Outcome<Trained>, TrainError> {
    let (mut run, model) = Run::start(job, model)?;
    let (model, interrupted) = run.epochs(model)?;
    let step = run.progress.step;
    if interrupted {
        return Ok(Outcome::Interrupted { step: Some(step) });
    }
    let trained = match run.finish(&model) {
        // The last checkpoint is that of the end: the same call has nothing to do but this.
        Err(TrainError::Interrupted) => return Ok(Outcome::Interrupted { step: Some(step) }),
        trained => trained?,
    };
    job.execution.tell(&TrainEvent::Finished(Box::new(trained.summary.clone())));
    Ok(Outcome::Complete(trained))
}

/// A run under way: all that is between two batches, but the model.
pub(super) struct Run<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) optimizer: Optimizer,
    pub(super) observed: Observed,
    pub(super) progress: Progress,
    /// Weights of the best epoch; empty before the first validation.
    pub(super) best: Vec<NamedTensor>,
    /// Moving average of the weights, if one is kept.
    pub(super) average: Option<Vec<NamedTensor>>,
    pub(super) trajectory: Trajectory,
    pub(super) journal: Journal<'a>,
    pub(super) loader: Loader,
    /// The virtual shards of each batch, if it is divided.
    pub(super) shards: Option<Shards>,
    /// Whether one of several ranks has asked all to stop.
    pub(super) stop_agreed: bool,
    pub(super) batches_per_epoch: usize,
    /// Those of the plan, or more of them on few images.
    pub(super) epochs: usize,
    pub(super) schedule: Schedule,
    /// Whether a loss far above that of no weights was told of.
    pub(super) warned: bool,
    pub(super) last_checkpoint: Instant,
    pub(super) clock: Instant,
}

impl Run<'_> {
    /// The loop: a forward and a backward pass a batch, an update when due, a validation an epoch.
    ///
    /// Returns the last model, and whether `stop` ended the loop.
    fn epochs(&mut self, mut model: Model) -> Result<(Model, bool), TrainError> {
        while self.progress.epoch < self.epochs && self.progress.stopped.is_none() {
            let mut lap = Instant::now();
            let mut waited = Duration::ZERO;
            let mut gradients = ParameterTensors::new();
            let mut batches = self.batches();
            while let Some(found) = self.next_gradients(&mut model, &mut batches, &mut waited) {
                let found = match found {
                    Ok(found) => found,
                    // Of several ranks one has ended, between two updates of the others.
                    Err(error) if self.shards.is_some() => return self.end_with(error, &model, &gradients),
                    Err(error) => return Err(error),
                };
                accumulate(&mut gradients, found, &model);
                self.progress.batch += 1;
                let epoch_is_over = self.progress.batch == self.batches_per_epoch;
                if epoch_is_over || !self.job.training.optimizer.full_batch {
                    model = self.update(model, std::mem::take(&mut gradients));
                }
                if self.observed.is_full() || epoch_is_over {
                    self.read_back()?;
                }
                let totals = &mut self.progress.totals;
                totals.train_secs += std::mem::replace(&mut lap, Instant::now()).elapsed().as_secs_f64();
                totals.loader_wait_secs += std::mem::take(&mut waited).as_secs_f64();
                // Between two updates only: the gradients of `gd` under way are not part of a checkpoint.
                if gradients.is_empty() && !epoch_is_over && self.checkpoint_if_due(&model)? {
                    return Ok((model, true));
                }
            }
            self.end_epoch(&model)?;
            if self.checkpoint_if_due(&model)? {
                return Ok((model, true));
            }
        }
        self.checkpoint(&model)?;
        Ok((model, false))
    }

    fn batches(&self) -> Epoch {
        let (epoch, batch) = (self.progress.epoch as u64, self.progress.batch);
        match &self.shards {
            None => self.loader.epoch(epoch, batch),
            Some(shards) => shards.epoch(&self.loader, epoch, batch),
        }
    }

    /// The gradients of the next batch of the epoch, if there is one.
    fn next_gradients(
        &mut self,
        model: &mut Model,
        batches: &mut Epoch,
        waited: &mut Duration,
    ) -> Option<Result<ParameterTensors, TrainError>> {
        let Some(shards) = self.shards.clone() else {
            let batch = timed(waited, || batches.next())?;
            return Some(batch.map_err(TrainError::from).and_then(|batch| self.backward(model, batch)));
        };
        let is_over = self.progress.batch == self.batches_per_epoch;
        (!is_over).then(|| self.backward_of_shards(&shards, model, batches, waited))
    }

    /// Keeps the updates that were made, and ends: with the model and `true` if a rank was interrupted.
    fn end_with(
        &mut self,
        error: TrainError,
        model: &Model,
        gradients: &ParameterTensors,
    ) -> Result<(Model, bool), TrainError> {
        // The gradients of `gd` under way are not part of a checkpoint.
        if gradients.is_empty() {
            self.checkpoint(model)?;
        }
        match error {
            TrainError::Interrupted => Ok((model.clone(), true)),
            error => Err(error),
        }
    }

    /// Gradient of the data loss of one batch, as its part of the mean over the samples of the update.
    fn backward(&mut self, model: &Model, mut batch: HostBatch) -> Result<ParameterTensors, TrainError> {
        let Job { training, data, objective, device, .. } = self.job;
        let num_samples = batch.samples.len();
        let samples_of_update = if training.optimizer.full_batch { data.train.len() } else { num_samples };
        let images = images_to_device(&mut batch, device);
        let noise = Noise { seed: training.seed, draw: batch.draw, samples: &batch.samples };
        let loss = objective.batch_loss(model, images, &batch, &Pass::Training(&noise))?;
        let num_losses = loss.losses.dims()[0];
        let denominator = samples_of_update as f64 * (num_losses as f64 / num_samples as f64);
        let gradients = loss.losses.clone().sum().div_scalar(denominator).backward();
        // The chunks of `gd` have the same weights.
        let first_of_update = !training.optimizer.full_batch || self.progress.batch == 0;
        let penalty = first_of_update.then(|| penalty_rows(model, &training.penalty)).flatten();
        self.observed.push(loss, batch.targets, batch.samples, penalty);
        Ok(ParameterTensors::of_gradients(gradients, model))
    }

    /// One update of the weights.
    fn update(&mut self, model: Model, gradients: ParameterTensors) -> Model {
        let learning_rate = self.learning_rate();
        let model = self.optimizer.step(model, gradients, learning_rate);
        self.follow(&model);
        self.progress.step += 1;
        self.observed.end_update(self.progress.step, learning_rate);
        model
    }

    /// Reads losses and scores back from the device, counts them and tells of the updates. Waits for the
    /// device.
    pub(super) fn read_back(&mut self) -> Result<(), TrainError> {
        let stride = (self.epochs as u64 * self.steps_per_epoch()).div_ceil(MAX_STEP_LINES);
        for metrics in self.observed.read_back(&mut self.progress, &self.job.data.train)? {
            if metrics.step % stride == 0 {
                self.journal.step(&metrics)?;
            }
            self.job.execution.tell(&TrainEvent::Step(metrics));
        }
        Ok(())
    }

    /// Moves the average of the weights towards those of `model`, where one is kept.
    fn follow(&mut self, model: &Model) {
        if let Some((average, decay)) = self.average.as_mut().zip(self.job.training.ema) {
            update_average(average, &parameters(model), ema_decay(decay, self.progress.step));
        }
    }

    /// The model that is judged and kept, without autodiff: that of the average, where one is kept.
    pub(super) fn judged(&self, model: &Model) -> Result<Model, TrainError> {
        let model = model.valid();
        match &self.average {
            None => Ok(model),
            Some(average) => Ok(with_parameters(model, average.clone())?),
        }
    }

    pub(super) fn steps_per_epoch(&self) -> u64 {
        if self.job.training.optimizer.full_batch { 1 } else { self.batches_per_epoch as u64 }
    }

    fn learning_rate(&self) -> f64 {
        let steps_per_epoch = self.steps_per_epoch();
        let num_steps = steps_per_epoch * self.epochs as u64;
        self.job.training.optimizer.learning_rate
            * self.schedule.factor(self.progress.step, steps_per_epoch, num_steps)
    }
}

/// Times what is called through it.
pub(super) fn timed<T>(total: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *total += start.elapsed();
    result
}
