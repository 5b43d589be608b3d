//! How a run begins, or goes on from a checkpoint, and how its checkpoints are written.

use std::time::Instant;

use mentor_data::{Loader, LoaderOptions, Order};
use mentor_model::{Model, parameters, weights_blake3, with_parameters};
use mentor_run::{Started, TrainEvent};

use crate::analysis::trajectory::Trajectory;
use crate::engine::checkpoint::state::Progress;
use crate::engine::checkpoint::{Checkpoint, Fits};
use crate::engine::error::TrainError;
use crate::engine::job::Job;
use crate::engine::training_loop::Run;
use crate::engine::training_loop::division::Shards;
use crate::engine::training_loop::journal::Journal;
use crate::engine::training_loop::observed::Observed;
use crate::engine::update::optimizer::Optimizer;
use crate::engine::update::ranks::Ranks;

impl<'a> Run<'a> {
    /// A new run, or the one that the newest intact checkpoint holds.
    pub(super) fn start(job: &'a Job<'a>, mut model: Model) -> Result<(Self, Model), TrainError> {
        let Job { training, data, objective, execution, .. } = *job;
        let full_batch = training.optimizer.full_batch;
        let options = LoaderOptions {
            batch_size: training.optimizer.batch_size,
            // The exact gradient is a sum over all samples: its order is that of the data.
            order: if full_batch { Order::Sequential } else { objective.order() },
            augment: training.augment,
            seed: training.seed,
            views: objective.num_augmentations(),
            ..LoaderOptions::default()
        };
        let shards = Shards::of(training, execution.ranks(), &options.order)?;
        let loader = Loader::new(data.train.clone(), data.preprocessing.clone(), options);
        let mut optimizer = Optimizer::new(training.optimizer.clone(), training.penalty);
        let batches_per_epoch = loader.num_batches();
        let steps_per_epoch = if full_batch { 1 } else { batches_per_epoch as u64 };
        let (epochs, schedule) = training.length(steps_per_epoch);
        let mut trajectory = Trajectory::new(epochs, model.num_params());
        let mut progress = Progress {
            data_blake3: data.fingerprint.clone(),
            lessons_blake3: objective.fingerprint().unwrap_or_default(),
            ..Progress::default()
        };
        let (mut best, mut average) = (Vec::new(), None);
        let fits = Fits::new(training, epochs, &progress, &model, batches_per_epoch);
        let newest = Journal::newest(job.files.as_ref(), &fits)?;
        drop(fits);
        if let Some((checkpoint, damaged)) = newest {
            for reason in damaged {
                execution.warn(format!("damaged checkpoint passed over: {reason}"));
            }
            let elsewhere = job.files.as_ref().and_then(|files| files.dir.other_run());
            let other = |changed: TrainError| elsewhere.map_or(changed, TrainError::from);
            if checkpoint.progress.data_blake3 != progress.data_blake3 {
                return Err(other(TrainError::DataChanged));
            }
            if checkpoint.progress.lessons_blake3 != progress.lessons_blake3 {
                return Err(other(TrainError::LessonsChanged));
            }
            model = with_parameters(model, checkpoint.model)?;
            let moments = [checkpoint.velocity, checkpoint.squares];
            let inner = job.device.clone().without_autodiff();
            optimizer.restore(&model, moments, checkpoint.progress.step, &inner);
            trajectory.steps = checkpoint.progress.trajectory_steps.clone();
            trajectory.values = checkpoint.trajectory;
            best = checkpoint.best;
            if !checkpoint.average.is_empty() {
                // In the order of the network, which the file does not keep.
                average = Some(parameters(&with_parameters(model.clone(), checkpoint.average)?));
            }
            progress = checkpoint.progress;
        } else {
            if trajectory.wants(0) {
                trajectory.record(&model, 0);
            }
            average = training.ema.map(|_| parameters(&model));
        }
        check_alike(execution.ranks(), &progress, &model)?;
        let journal = Journal::begin(job.files.as_ref(), progress.step, execution)?;
        let run = Self {
            job,
            optimizer,
            observed: Observed::new(execution.reads_are_free()),
            journal,
            progress,
            best,
            average,
            trajectory,
            shards,
            stop_agreed: false,
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
            num_classes: data.classes().len(),
            num_train: data.train.len(),
            num_val: data.val.as_ref().map_or(0, |val| val.len()),
            epochs,
            min_updates: training.min_updates.filter(|_| epochs > training.epochs),
            steps_per_epoch,
            batches_per_epoch: run.batches_per_epoch,
            margin: job.loss.ranking_margin(),
            resumed_step: run.progress.step,
        };
        execution.tell(&TrainEvent::Started(started));
        Ok((run, model))
    }

    /// Writes a checkpoint when it is time or the run is to stop; returns whether it is to stop.
    pub(super) fn checkpoint_if_due(&mut self, model: &Model) -> Result<bool, TrainError> {
        let execution = self.job.execution;
        // Several ranks stop after the same update, which they have agreed on.
        let stop = match execution.ranks().size() {
            1 => execution.is_stopped(),
            _ => self.stop_agreed,
        };
        let due = self.last_checkpoint.elapsed().as_secs_f64() >= self.job.training.checkpoint_secs;
        if stop || due {
            self.checkpoint(model)?;
        }
        Ok(stop)
    }

    pub(super) fn checkpoint(&mut self, model: &Model) -> Result<(), TrainError> {
        self.read_back()?;
        self.progress.wall_secs += self.clock.elapsed().as_secs_f64();
        (self.clock, self.last_checkpoint) = (Instant::now(), Instant::now());
        if !self.journal.keeps_checkpoints() || self.job.execution.ranks().rank() > 0 {
            return Ok(());
        }
        self.progress.trajectory_steps = self.trajectory.steps.clone();
        let checkpoint = Checkpoint {
            progress: self.progress.clone(),
            model: parameters(model),
            best: self.best.clone(),
            average: self.average.clone().unwrap_or_default(),
            velocity: self.optimizer.velocities(model),
            squares: self.optimizer.squares(model),
            trajectory: self.trajectory.values.clone(),
        };
        self.journal.checkpoint(&checkpoint)?;
        self.last_checkpoint = Instant::now();
        self.job.execution.tell(&TrainEvent::Checkpoint { step: self.progress.step });
        Ok(())
    }
}

/// That all ranks learn from the same data, and go on from the same weights.
fn check_alike(ranks: &Ranks<'_>, progress: &Progress, model: &Model) -> Result<(), TrainError> {
    if ranks.size() == 1 {
        return Ok(());
    }
    let Progress { data_blake3, lessons_blake3, step, .. } = progress;
    let own = [data_blake3.clone(), lessons_blake3.clone(), step.to_string(), weights_blake3(model)];
    let own = serde_json::to_vec(&own).expect("plain data");
    let all = ranks.exchange(Ok(own), false)?.read::<[String; 4]>()?;
    let what = ["data", "teachers or triplets", "checkpoints", "weights"];
    let differs = |index: usize| all.iter().position(|other| other[index] != all[0][index]);
    match what.into_iter().enumerate().find_map(|(index, what)| Some((differs(index)?, what))) {
        None => Ok(()),
        Some((rank, what)) => {
            ranks.end();
            Err(TrainError::RanksDiffer { rank, what })
        }
    }
}
