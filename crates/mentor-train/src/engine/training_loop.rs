//! The training loop: `Run::epochs`.
//!
//! A batch is a forward and a backward pass. With `sgd` each batch is an update; with `gd` the gradients
//! of all batches of an epoch are summed into one. Everything that decides the weights is a function of the
//! plan, the data and the number of batches done, so that a run continued from a checkpoint ends in the
//! same weights, bit for bit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::engine::gradients::ParameterTensors;
use burn::module::Module;
use mentor_data::{HostBatch, Loader, LoaderOptions};
use mentor_model::{Model, NamedTensor, Noise, Pass, parameters, with_parameters};
use mentor_run::{EpochMetrics, MetricsLine, MetricsWriter, Started, TrainEvent};

use crate::analysis::trajectory::Trajectory;
use crate::engine::checkpoint::{Best, Checkpoint, Fits, Progress};
use crate::engine::ema::{ema_decay, update_average};
use crate::engine::error::TrainError;
use crate::engine::finish::finish;
use crate::engine::job::Job;
use crate::engine::observed::Observed;
use crate::engine::optimizer::{Optimizer, accumulate};
use crate::engine::outcome::Outcome;
use crate::engine::validation::Validation;
use crate::inference::device::images_to_device;
use crate::inference::weights::{WeightStatistics, penalty_rows};
use crate::plan::Schedule;

/// Lines about updates in `metrics.jsonl` at most, over the whole run.
const MAX_STEP_LINES: u64 = 2000;
/// A loss so many times that of scores of zero is worth a warning. Early in training it is often two or three
/// times as large.
const LOSS_FAR_ABOVE: f64 = 10.0;

/// Trains `model` as `job` says, or continues from the newest checkpoint, to the files of a complete run.
pub(crate) fn run(
    job: &Job<'_>,
    model: Model,
    stop: &AtomicBool,
    observer: &mut dyn FnMut(&TrainEvent),
) -> Result<Outcome, TrainError> {
    let (mut run, model) = Run::start(job, model, stop, observer)?;
    let (model, interrupted) = run.epochs(model)?;
    if interrupted {
        return Ok(Outcome::Interrupted { step: run.progress.step });
    }
    let last = run.judged(&model)?;
    let Run { progress, best, trajectory, observer, .. } = run;
    let step = progress.step;
    let summary = match finish(job, last, best, progress, &trajectory, stop) {
        // The last checkpoint is that of the end: the same call has nothing to do but this.
        Err(TrainError::Interrupted) => return Ok(Outcome::Interrupted { step }),
        summary => summary?,
    };
    observer(&TrainEvent::Finished(Box::new(summary.clone())));
    Ok(Outcome::Complete(summary))
}

/// A run under way: all that is between two batches, but the model.
struct Run<'a> {
    job: &'a Job<'a>,
    stop: &'a AtomicBool,
    observer: &'a mut dyn FnMut(&TrainEvent),
    optimizer: Optimizer,
    observed: Observed,
    progress: Progress,
    best: Vec<NamedTensor>,
    /// Moving average of the weights; empty where none is kept.
    average: Vec<NamedTensor>,
    trajectory: Trajectory,
    metrics: MetricsWriter,
    loader: Loader,
    batches_per_epoch: usize,
    /// Those of the plan, or more of them on few images.
    epochs: usize,
    schedule: Schedule,
    /// Whether a loss far above that of no weights was told of.
    warned: bool,
    last_checkpoint: Instant,
    clock: Instant,
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
            let mut batches = self.loader.epoch(self.progress.epoch as u64, self.progress.batch);
            while let Some(batch) = timed(&mut waited, || batches.next()) {
                accumulate(&mut gradients, self.backward(&model, batch?)?, &model);
                self.progress.batch += 1;
                let epoch_is_over = self.progress.batch == self.batches_per_epoch;
                if epoch_is_over || !self.job.plan.optimizer.full_batch {
                    let learning_rate = self.learning_rate();
                    model = self.optimizer.step(model, std::mem::take(&mut gradients), learning_rate);
                    self.follow(&model);
                    self.progress.step += 1;
                    self.observed.end_update(self.progress.step, learning_rate);
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

    /// Gradient of the data loss of one batch, as its part of the mean over the samples of the update.
    fn backward(&mut self, model: &Model, mut batch: HostBatch) -> Result<ParameterTensors, TrainError> {
        let Job { plan, data, objective, device, .. } = self.job;
        let num_samples = batch.samples.len();
        let samples_of_update = if plan.optimizer.full_batch { data.train.len() } else { num_samples };
        let images = images_to_device(&mut batch, device);
        let noise = Noise { seed: plan.seed, draw: batch.draw, samples: &batch.samples };
        let loss = objective.batch_loss(model, images, &batch, &Pass::Training(&noise))?;
        let num_losses = loss.losses.dims()[0];
        let denominator = samples_of_update as f64 * (num_losses as f64 / num_samples as f64);
        let gradients = loss.losses.clone().sum().div_scalar(denominator).backward();
        // The chunks of `gd` have the same weights.
        let first_of_update = !plan.optimizer.full_batch || self.progress.batch == 0;
        let penalty = first_of_update.then(|| penalty_rows(model, &plan.penalty)).flatten();
        self.observed.push(loss, batch.targets, batch.samples, penalty);
        Ok(ParameterTensors::of_gradients(gradients, model))
    }

    /// Reads losses and scores back from the device, counts them and tells of the updates. Waits for the
    /// device.
    fn read_back(&mut self) -> Result<(), TrainError> {
        let stride = (self.epochs as u64 * self.steps_per_epoch()).div_ceil(MAX_STEP_LINES);
        for metrics in self.observed.read_back(&mut self.progress, &self.job.data.train)? {
            if metrics.step % stride == 0 {
                self.metrics.write(&MetricsLine::Step(metrics.clone()))?;
            }
            (self.observer)(&TrainEvent::Step(metrics));
        }
        Ok(())
    }

    /// Validates, keeps the best weights, decides whether to stop, and opens the next epoch.
    fn end_epoch(&mut self, model: &Model) -> Result<(), TrainError> {
        let mut val_time = Duration::ZERO;
        let judged = self.judged(model)?;
        let validation = timed(&mut val_time, || self.job.objective.validate(&judged))?;
        let val_data_loss = validation.as_ref().and_then(|validation| validation.data_loss);
        if val_data_loss.is_some_and(|loss| !loss.is_finite()) {
            return Err(TrainError::Overflowed { epoch: self.progress.epoch + 1 });
        }
        let statistics = WeightStatistics::of(model);
        if !statistics.rms().is_finite() {
            return Err(TrainError::Overflowed { epoch: self.progress.epoch + 1 });
        }
        // The loss on validation is that of the model that is judged, with its own weights' penalty.
        let of_judged = match self.average.as_slice() {
            [] => statistics,
            _ => WeightStatistics::of(&judged),
        };
        let val_penalty = of_judged.penalty(&self.job.plan.penalty);
        let totals = std::mem::take(&mut self.progress.totals);
        let train_data_loss = totals.data_loss / totals.num_samples as f64;
        let penalty = totals.penalty / totals.num_samples as f64;
        let mut measures = totals.means();
        measures.extend(validation.iter().flat_map(|validation| validation.measures.clone()));
        let metrics = EpochMetrics {
            epoch: self.progress.epoch,
            step: self.progress.step,
            learning_rate: self.observed.last_learning_rate(),
            train_loss: train_data_loss + penalty,
            train_data_loss,
            train_accuracy: totals.num_correct.map(|count| count as f64 / totals.num_samples as f64),
            penalty,
            val_loss: val_data_loss.map(|data_loss| data_loss + val_penalty),
            val_data_loss,
            val_accuracy: validation.as_ref().and_then(|validation| validation.accuracy),
            num_zero_weights: statistics.num_zero,
            weight_rms: statistics.rms(),
            train_secs: totals.train_secs,
            loader_wait_secs: totals.loader_wait_secs,
            val_secs: val_time.as_secs_f64(),
            measures,
        };
        self.progress.last_train = (metrics.train_loss, metrics.train_accuracy);
        if let Some(validation) = validation {
            self.keep_if_best(&judged, validation);
        }
        self.progress.stopped = self.reason_to_stop(train_data_loss);
        self.progress.epoch += 1;
        self.progress.batch = 0;
        if self.trajectory.wants(self.progress.epoch) {
            self.trajectory.record(model, self.progress.step);
        }
        self.metrics.write(&MetricsLine::Epoch(metrics.clone()))?;
        self.warn_of_long_updates(&metrics);
        (self.observer)(&TrainEvent::Epoch(metrics));
        if let Some(reason) = &self.progress.stopped {
            (self.observer)(&TrainEvent::StoppedEarly { reason: reason.clone() });
        }
        Ok(())
    }

    /// Says once that the loss of a whole epoch is far above that of scores which are all zero: no weights at
    /// all would be better.
    fn warn_of_long_updates(&mut self, metrics: &EpochMetrics) {
        let Some(zero) = self.job.objective.loss_of_zero_scores().filter(|_| !self.warned) else { return };
        let losses = [("training", Some(metrics.train_data_loss)), ("validation", metrics.val_data_loss)];
        let found =
            losses.into_iter().find(|(_, loss)| loss.is_some_and(|loss| loss > LOSS_FAR_ABOVE * zero));
        let Some((split, Some(loss))) = found else { return };
        self.warned = true;
        let rate = self.job.plan.optimizer.learning_rate;
        let text = format!(
            "epoch {}: the {split} loss is {}, and scores of zero would have {zero:.2}: the updates are too large; set a smaller --learning-rate than {rate}, such as {}, or --clip-norm 1",
            metrics.epoch + 1,
            if loss < 1e4 { format!("{loss:.1}") } else { format!("{loss:.1e}") },
            rate / 10.0
        );
        (self.observer)(&TrainEvent::Warning(text));
    }

    /// Moves the average of the weights towards those of `model`, where one is kept.
    fn follow(&mut self, model: &Model) {
        if !self.average.is_empty() {
            let decay = ema_decay(self.job.plan.ema, self.progress.step);
            update_average(&mut self.average, &parameters(model), decay);
        }
    }

    /// The model that is judged and kept, without autodiff: that of the average, where one is kept.
    fn judged(&self, model: &Model) -> Result<Model, TrainError> {
        let model = model.valid();
        if self.average.is_empty() {
            return Ok(model);
        }
        Ok(with_parameters(model, self.average.clone())?)
    }

    fn keep_if_best(&mut self, model: &Model, validation: Validation) {
        let best = self.progress.best.as_ref().map(|best| &best.validation);
        if validation.is_better_than(best) {
            let train = Some(self.progress.last_train);
            self.progress.best = Some(Best { epoch: self.progress.epoch, validation, train });
            self.best = parameters(model);
        }
    }

    fn reason_to_stop(&self, train_data_loss: f64) -> Option<String> {
        let epoch = self.progress.epoch + 1;
        if epoch == self.epochs {
            return None;
        }
        // An average of the weights goes on moving where they stand still.
        if self.average.is_empty()
            && let Some(reason) = self.job.objective.reason_to_stop(train_data_loss)
        {
            return Some(format!("epoch {epoch}: {reason}"));
        }
        let best = self.progress.best.as_ref()?;
        let score = best.validation.score?;
        let patience = self.job.plan.patience;
        (patience > 0 && self.progress.epoch >= best.epoch + patience).then(|| {
            let what = if best.validation.accuracy.is_some() { "accuracy" } else { "score" };
            format!(
                "epoch {epoch}: no better validation {what} than {score:.4} since epoch {}",
                best.epoch + 1
            )
        })
    }

    fn steps_per_epoch(&self) -> u64 {
        if self.job.plan.optimizer.full_batch { 1 } else { self.batches_per_epoch as u64 }
    }

    fn learning_rate(&self) -> f64 {
        let steps_per_epoch = self.steps_per_epoch();
        let num_steps = steps_per_epoch * self.epochs as u64;
        self.job.plan.optimizer.learning_rate
            * self.schedule.factor(self.progress.step, steps_per_epoch, num_steps)
    }
}

/// Start, continuation and checkpoints.
impl<'a> Run<'a> {
    /// A new run, or the one that the newest intact checkpoint holds.
    fn start(
        job: &'a Job<'a>,
        mut model: Model,
        stop: &'a AtomicBool,
        observer: &'a mut dyn FnMut(&TrainEvent),
    ) -> Result<(Self, Model), TrainError> {
        let options = LoaderOptions {
            batch_size: job.plan.optimizer.batch_size,
            order: job.objective.order(),
            augment: job.plan.augment,
            seed: job.plan.seed,
            views: job.objective.views(),
            ..LoaderOptions::default()
        };
        let loader = Loader::new(job.data.train.clone(), job.data.preprocessing.clone(), options);
        let mut optimizer = Optimizer::new(job.plan.optimizer.clone(), job.plan.penalty);
        let batches_per_epoch = loader.num_batches();
        let steps_per_epoch = if job.plan.optimizer.full_batch { 1 } else { batches_per_epoch as u64 };
        let (epochs, schedule) = job.plan.length(steps_per_epoch);
        let mut trajectory = Trajectory::new(epochs, model.num_params());
        let mut progress = Progress {
            data_blake3: job.data.fingerprint.clone(),
            lessons_blake3: job.objective.lessons_blake3(),
            ..Progress::default()
        };
        let (mut best, mut average) = (Vec::new(), Vec::new());
        let fits = Fits::new(job.plan, epochs, &progress, &model, batches_per_epoch);
        let newest = Checkpoint::load_newest(&job.run_dir.checkpoints(), &fits)?;
        drop(fits);
        if let Some((checkpoint, damaged)) = newest {
            for reason in damaged {
                observer(&TrainEvent::Warning(format!("damaged checkpoint passed over: {reason}")));
            }
            let other = |changed: TrainError| job.run_dir.other_run().map_or(changed, TrainError::from);
            if checkpoint.progress.data_blake3 != progress.data_blake3 {
                return Err(other(TrainError::DataChanged));
            }
            if checkpoint.progress.lessons_blake3 != progress.lessons_blake3 {
                return Err(other(TrainError::LessonsChanged));
            }
            model = with_parameters(model, checkpoint.model)?;
            optimizer.restore(&model, checkpoint.velocity, &job.device.clone().without_autodiff());
            trajectory.steps = checkpoint.progress.trajectory_steps.clone();
            trajectory.values = checkpoint.trajectory;
            best = checkpoint.best;
            if !checkpoint.average.is_empty() {
                // In the order of the network, which the file does not keep.
                average = parameters(&with_parameters(model.clone(), checkpoint.average)?);
            }
            progress = checkpoint.progress;
        } else {
            if trajectory.wants(0) {
                trajectory.record(&model, 0);
            }
            if job.plan.ema > 0.0 {
                average = parameters(&model);
            }
        }
        job.run_dir.adopt(&job.plan.to_config())?;
        let metrics = job.run_dir.metrics_writer(progress.step)?;
        if let Some(warning) = metrics.warning() {
            observer(&TrainEvent::Warning(warning.to_owned()));
        }
        let run = Self {
            job,
            stop,
            observer,
            optimizer,
            observed: Observed::new(job.device_name),
            metrics,
            progress,
            best,
            average,
            trajectory,
            batches_per_epoch,
            loader,
            epochs,
            schedule,
            warned: false,
            last_checkpoint: Instant::now(),
            clock: Instant::now(),
        };
        let started = Started {
            model: model.spec().architecture.clone(),
            num_params: model.num_params(),
            num_classes: job.data.classes().len(),
            num_train: job.data.train.len(),
            num_val: job.data.val.as_ref().map_or(0, |val| val.len()),
            epochs,
            min_updates: if epochs > job.plan.epochs { job.plan.min_updates } else { 0 },
            steps_per_epoch,
            batches_per_epoch: run.batches_per_epoch,
            margin: job.plan.loss.ranking_margin(),
            resumed_step: run.progress.step,
        };
        (run.observer)(&TrainEvent::Started(started));
        Ok((run, model))
    }

    /// Writes a checkpoint when it is time or the run is to stop; returns whether it is to stop.
    fn checkpoint_if_due(&mut self, model: &Model) -> Result<bool, TrainError> {
        let stop = self.stop.load(Ordering::Relaxed);
        if stop || self.last_checkpoint.elapsed().as_secs_f64() >= self.job.plan.checkpoint_secs {
            self.checkpoint(model)?;
        }
        Ok(stop)
    }

    fn checkpoint(&mut self, model: &Model) -> Result<(), TrainError> {
        self.read_back()?;
        self.progress.wall_secs += self.clock.elapsed().as_secs_f64();
        self.clock = Instant::now();
        self.progress.trajectory_steps = self.trajectory.steps.clone();
        let checkpoint = Checkpoint {
            progress: self.progress.clone(),
            model: parameters(model),
            best: self.best.clone(),
            average: self.average.clone(),
            velocity: self.optimizer.velocities(model),
            trajectory: self.trajectory.values.clone(),
        };
        checkpoint.save(&self.job.run_dir.checkpoints())?;
        self.last_checkpoint = Instant::now();
        (self.observer)(&TrainEvent::Checkpoint { step: self.progress.step });
        Ok(())
    }
}

/// Times what is called through it.
fn timed<T>(total: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *total += start.elapsed();
    result
}
