//! Supervised training: labels → classifier. The loop is `Run::epochs`.
//!
//! A batch is a forward and a backward pass. With `sgd` each batch is an update; with `gd` the gradients
//! of all batches of an epoch are summed into one. Everything that decides the weights is a function of the
//! plan, the data and the number of batches done, so that a run continued from a checkpoint ends in the
//! same weights, bit for bit.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use mentor_data::{BadImage, HostBatch, Loader, LoaderOptions, Order};
use mentor_loss::ScoreLoss;
use mentor_model::{Model, ModelSpec, NamedTensor, Noise, Pass, parameters, with_parameters};

use crate::checkpoint::{Best, Checkpoint, Progress};
use crate::error::TrainError;
use crate::evaluate::{evaluate_samples, summarise, timed, to_device};
use crate::event::{EpochMetrics, MetricsLine, Started, TrainEvent};
use crate::finish::finish;
use crate::observed::Observed;
use crate::optimizer::{Optimizer, accumulate};
use crate::plan::{LossPlan, Plan};
use crate::run_dir::{MetricsWriter, RunDir, Summary};
use crate::training_data::TrainingData;
use crate::trajectory::Trajectory;
use crate::weights::WeightStatistics;

/// Lines about updates in `metrics.jsonl` at most, over the whole run.
const MAX_STEP_LINES: u64 = 2000;

/// How a call of [`train`] ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The run is complete.
    Complete(Summary),
    /// The run was complete before.
    AlreadyComplete(Summary),
    /// `stop` was set; a checkpoint was written, and the same call continues.
    Interrupted {
        /// Updates done.
        step: u64,
    },
}

/// Trains what `plan` says into the directory `out`, or continues there.
///
/// `device_name` is what the summary calls the device. Once `stop` is set, the update under way is
/// finished and a checkpoint written. Nothing is written before the data has been read.
///
/// # Errors
///
/// [`TrainError`]; checkpoints written before stay as they are.
pub fn train(
    plan: &Plan,
    out: &Path,
    device: &Device,
    device_name: &str,
    stop: &AtomicBool,
    observer: &mut dyn FnMut(&TrainEvent),
) -> Result<Outcome, TrainError> {
    let config = plan.to_config();
    if let Some(summary) = RunDir::completed(out, &config)? {
        return Ok(Outcome::AlreadyComplete(summary));
    }
    let data = TrainingData::load(plan)?;
    let loss = plan.loss.build(data.classes().len())?;
    let spec = ModelSpec {
        architecture: plan.architecture.to_string(),
        input: data.input(),
        num_classes: data.classes().len(),
        dropout: plan.dropout,
        stochastic_depth: plan.stochastic_depth,
    };
    let device = device.clone().autodiff();
    let model = Model::new(&spec, plan.seed, &device)?;
    let run_dir = RunDir::create(out, &config)?;
    for note in &data.notes {
        observer(&TrainEvent::Warning(note.to_string()));
    }
    if plan.options.on_bad_image == BadImage::Quarantine {
        run_dir.write("quarantine.txt", data.quarantined().as_bytes())?;
    }

    let job = Job { plan, run_dir: &run_dir, data: &data, loss: &loss, device, device_name };
    let (mut run, model) = Run::start(&job, model, stop, observer)?;
    let (model, interrupted) = run.epochs(model)?;
    if interrupted {
        return Ok(Outcome::Interrupted { step: run.progress.step });
    }
    let Run { progress, best, trajectory, .. } = run;
    let summary = finish(&job, model, best, progress, &trajectory)?;
    observer(&TrainEvent::Finished(summary.clone()));
    Ok(Outcome::Complete(summary))
}

/// What does not change over a run.
pub(crate) struct Job<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) run_dir: &'a RunDir,
    pub(crate) data: &'a TrainingData,
    pub(crate) loss: &'a ScoreLoss,
    /// With gradients.
    pub(crate) device: Device,
    pub(crate) device_name: &'a str,
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
    trajectory: Trajectory,
    metrics: MetricsWriter,
    batches_per_epoch: usize,
    last_checkpoint: Instant,
    clock: Instant,
}

impl Run<'_> {
    /// The loop: a forward and a backward pass a batch, an update when due, a validation an epoch.
    ///
    /// Returns the last model, and whether `stop` ended the loop.
    fn epochs(&mut self, mut model: Model) -> Result<(Model, bool), TrainError> {
        let loader = self.loader();
        while self.progress.epoch < self.job.plan.epochs && self.progress.stopped.is_none() {
            let start = Instant::now();
            let mut waited = Duration::ZERO;
            let mut gradients = GradientsParams::new();
            let mut batches = loader.epoch(self.progress.epoch as u64, self.progress.batch);
            while let Some(batch) = timed(&mut waited, || batches.next()) {
                accumulate(&mut gradients, self.backward(&model, batch?)?, &model);
                self.progress.batch += 1;
                let epoch_is_over = self.progress.batch == self.batches_per_epoch;
                if epoch_is_over || !self.job.plan.optimizer.full_batch {
                    let learning_rate = self.learning_rate();
                    model = self.optimizer.step(model, std::mem::take(&mut gradients), learning_rate);
                    self.progress.step += 1;
                    self.observed.end_update(self.progress.step, learning_rate);
                }
                if self.observed.is_full() || epoch_is_over {
                    self.read_back()?;
                }
                // Between two updates only: the gradients of `gd` under way are not part of a checkpoint.
                if gradients.is_empty() && !epoch_is_over && self.checkpoint_if_due(&model)? {
                    return Ok((model, true));
                }
            }
            self.progress.totals.train_secs += start.elapsed().as_secs_f64();
            self.progress.totals.loader_wait_secs += waited.as_secs_f64();
            self.end_epoch(&model)?;
            if self.checkpoint_if_due(&model)? {
                return Ok((model, true));
            }
        }
        self.checkpoint(&model)?;
        Ok((model, false))
    }

    /// Gradient of the data loss of one batch, as its part of the mean over the samples of the update.
    fn backward(&mut self, model: &Model, batch: HostBatch) -> Result<GradientsParams, TrainError> {
        let samples_of_update =
            if self.job.plan.optimizer.full_batch { self.job.data.train.len() } else { batch.targets.len() };
        let noise =
            Noise { seed: self.job.plan.seed, epoch: self.progress.epoch as u64, samples: &batch.samples };
        let (images, targets) = to_device(batch.pixels, batch.shape, &batch.targets, &self.job.device);
        let scores = model.forward(images, &Pass::Training(&noise)).scores;
        let losses = self.job.loss.per_sample(scores.clone(), targets); // [B]
        let gradients = losses.clone().sum().div_scalar(samples_of_update as f64).backward();
        self.observed.push(losses, scores, batch.targets, batch.samples);
        Ok(GradientsParams::from_grads(gradients, model))
    }

    /// Reads losses and scores back from the device, counts them and tells of the updates. Waits for the device.
    fn read_back(&mut self) -> Result<(), TrainError> {
        let stride = (self.job.plan.epochs as u64 * self.steps_per_epoch()).div_ceil(MAX_STEP_LINES);
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
        let validation = timed(&mut val_time, || self.validate(model))?;
        let statistics = WeightStatistics::of(model);
        let penalty = statistics.penalty(&self.job.plan.penalty);
        let totals = std::mem::take(&mut self.progress.totals);
        let train_data_loss = totals.data_loss / totals.num_samples as f64;
        let metrics = EpochMetrics {
            epoch: self.progress.epoch,
            step: self.progress.step,
            learning_rate: self.observed.last_learning_rate(),
            train_loss: train_data_loss + penalty,
            train_data_loss,
            train_accuracy: totals.num_correct as f64 / totals.num_samples as f64,
            penalty,
            val_loss: validation.map(|(_, data_loss)| data_loss + penalty),
            val_data_loss: validation.map(|(_, data_loss)| data_loss),
            val_accuracy: validation.map(|(accuracy, _)| accuracy),
            num_zero_weights: statistics.num_zero,
            weight_rms: statistics.rms(),
            train_secs: totals.train_secs,
            loader_wait_secs: totals.loader_wait_secs,
            val_secs: val_time.as_secs_f64(),
        };
        self.progress.last_train = (metrics.train_loss, metrics.train_accuracy);
        if let Some((val_accuracy, val_data_loss)) = validation {
            let better = self.progress.best.as_ref().is_none_or(|best| {
                val_accuracy > best.val_accuracy
                    || (val_accuracy == best.val_accuracy && val_data_loss < best.val_data_loss)
            });
            if better {
                self.progress.best = Some(Best { epoch: self.progress.epoch, val_accuracy, val_data_loss });
                self.best = parameters(model);
            }
        }
        self.progress.stopped = self.reason_to_stop(totals.data_loss);
        self.progress.epoch += 1;
        self.progress.batch = 0;
        if self.trajectory.wants(self.progress.epoch) {
            self.trajectory.record(model, self.progress.step);
        }
        self.metrics.write(&MetricsLine::Epoch(metrics.clone()))?;
        (self.observer)(&TrainEvent::Epoch(metrics));
        if let Some(reason) = &self.progress.stopped {
            (self.observer)(&TrainEvent::StoppedEarly { reason: reason.clone() });
        }
        Ok(())
    }

    /// Accuracy and mean data loss on the validation split, if there is one.
    fn validate(&self, model: &Model) -> Result<Option<(f64, f64)>, TrainError> {
        let Some(val) = &self.job.data.val else { return Ok(None) };
        let results = evaluate_samples(
            &model.valid(),
            self.job.loss,
            val,
            &self.job.data.preprocessing,
            self.job.plan.optimizer.batch_size,
            &self.job.device.clone().without_autodiff(),
        )?;
        let evaluation = summarise("val", self.job.data.classes(), &results, 0.0);
        if !evaluation.data_loss.is_finite() {
            return Err(TrainError::Overflowed { epoch: self.progress.epoch + 1 });
        }
        Ok(Some((evaluation.accuracy, evaluation.data_loss)))
    }

    fn reason_to_stop(&self, data_loss: f64) -> Option<String> {
        let epoch = self.progress.epoch + 1;
        let noise = self.job.plan.dropout > 0.0
            || self.job.plan.stochastic_depth > 0.0
            || self.job.plan.augment != mentor_data::Augment::None;
        if matches!(self.job.plan.loss, LossPlan::Svm { .. })
            && data_loss == 0.0
            && self.job.plan.penalty.is_zero()
            && !noise
        {
            return Some(format!(
                "epoch {epoch}: the SVM's data loss is exactly 0 and nothing is penalised, so its gradient is 0 and \
                 more updates change nothing; add --l2, raise --margin, or use --loss softmax to go on"
            ));
        }
        let best = self.progress.best.as_ref()?;
        (self.job.plan.patience > 0 && self.progress.epoch >= best.epoch + self.job.plan.patience).then(
            || {
                format!(
                    "epoch {epoch}: no better validation accuracy than {:.4} since epoch {}",
                    best.val_accuracy,
                    best.epoch + 1
                )
            },
        )
    }

    fn steps_per_epoch(&self) -> u64 {
        if self.job.plan.optimizer.full_batch { 1 } else { self.batches_per_epoch as u64 }
    }

    fn learning_rate(&self) -> f64 {
        let steps_per_epoch = self.steps_per_epoch();
        let num_steps = steps_per_epoch * self.job.plan.epochs as u64;
        self.job.plan.optimizer.learning_rate
            * self.job.plan.schedule.factor(self.progress.step, steps_per_epoch, num_steps)
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
        let mut optimizer = Optimizer::new(job.plan.optimizer.clone(), job.plan.penalty);
        let mut trajectory = Trajectory::new(job.plan.epochs, model.num_params());
        let mut progress = Progress { data_blake3: job.data.fingerprint.clone(), ..Progress::default() };
        let mut best = Vec::new();
        if let Some((checkpoint, damaged)) = Checkpoint::load_newest(&job.run_dir.checkpoints())? {
            for reason in damaged {
                observer(&TrainEvent::Warning(format!("damaged checkpoint passed over: {reason}")));
            }
            if checkpoint.progress.data_blake3 != progress.data_blake3 {
                return Err(TrainError::DataChanged);
            }
            model = with_parameters(model, checkpoint.model)?;
            optimizer.restore(&model, checkpoint.velocity, &job.device.clone().without_autodiff());
            trajectory.steps = checkpoint.progress.trajectory_steps.clone();
            trajectory.values = checkpoint.trajectory;
            best = checkpoint.best;
            progress = checkpoint.progress;
        } else if trajectory.wants(0) {
            trajectory.record(&model, 0);
        }
        let run = Self {
            job,
            stop,
            observer,
            optimizer,
            observed: Observed::new(job.device_name),
            metrics: job.run_dir.metrics_writer(progress.step)?,
            progress,
            best,
            trajectory,
            batches_per_epoch: job.data.train.len().div_ceil(job.plan.optimizer.batch_size),
            last_checkpoint: Instant::now(),
            clock: Instant::now(),
        };
        let started = Started {
            model: model.spec().architecture.clone(),
            num_params: model.num_params(),
            num_classes: job.data.classes().len(),
            num_train: job.data.train.len(),
            num_val: job.data.val.as_ref().map_or(0, |val| val.len()),
            epochs: job.plan.epochs,
            steps_per_epoch: run.steps_per_epoch(),
            batches_per_epoch: run.batches_per_epoch,
            resumed_step: run.progress.step,
        };
        (run.observer)(&TrainEvent::Started(started));
        Ok((run, model))
    }

    fn loader(&self) -> Loader {
        // The exact gradient is a sum over all samples: its order is that of the data.
        let order = if self.job.plan.optimizer.full_batch { Order::Sequential } else { Order::Shuffled };
        let options = LoaderOptions {
            batch_size: self.job.plan.optimizer.batch_size,
            order,
            augment: self.job.plan.augment,
            seed: self.job.plan.seed,
            ..LoaderOptions::default()
        };
        Loader::new(self.job.data.train.clone(), self.job.data.preprocessing.clone(), options)
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
            velocity: self.optimizer.velocities(model),
            trajectory: self.trajectory.values.clone(),
        };
        checkpoint.save(&self.job.run_dir.checkpoints())?;
        self.last_checkpoint = Instant::now();
        (self.observer)(&TrainEvent::Checkpoint { step: self.progress.step });
        Ok(())
    }
}
