//! What a training writes while it goes on: metrics and checkpoints, or nothing without a run directory.

use mentor_run::{EpochMetrics, MetricsLine, MetricsWriter, StepMetrics};

use crate::engine::checkpoint::{Checkpoint, CheckpointError, Fits, load_newest};
use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::engine::job::Files;

/// What a training writes while it goes on.
pub(crate) struct Journal<'a> {
    files: Option<(&'a Files<'a>, MetricsWriter)>,
    /// Every epoch, also of earlier calls that this one continues.
    pub(crate) epochs: Vec<EpochMetrics>,
}

impl<'a> Journal<'a> {
    /// The newest checkpoint of the run that is intact and fits it, and what is wrong with newer ones.
    pub(crate) fn newest(
        files: Option<&Files<'_>>,
        fits: &Fits<'_>,
    ) -> Result<Option<(Checkpoint, Vec<String>)>, CheckpointError> {
        files.map_or(Ok(None), |files| load_newest(&files.dir.checkpoints(), fits))
    }

    /// Goes on after `step` updates; what was written of later ones is dropped.
    pub(crate) fn begin(
        files: Option<&'a Files<'a>>,
        step: u64,
        execution: &Execution<'_>,
    ) -> Result<Self, TrainError> {
        let Some(files) = files else { return Ok(Self { files: None, epochs: Vec::new() }) };
        files.dir.adopt(&files.config)?;
        let mut metrics = files.dir.metrics_writer(step)?;
        if let Some(warning) = metrics.warning() {
            execution.warn(warning.to_owned());
        }
        let epochs = metrics.take_kept().into_iter().filter_map(|line| match line {
            MetricsLine::Epoch(metrics) => Some(metrics),
            MetricsLine::Step(_) | MetricsLine::Iteration(_) => None,
        });
        let epochs = epochs.collect();
        Ok(Self { files: Some((files, metrics)), epochs })
    }

    pub(crate) fn step(&mut self, metrics: &StepMetrics) -> Result<(), TrainError> {
        self.write(|| MetricsLine::Step(metrics.clone()))
    }

    pub(crate) fn epoch(&mut self, metrics: &EpochMetrics) -> Result<(), TrainError> {
        self.epochs.push(metrics.clone());
        self.write(|| MetricsLine::Epoch(metrics.clone()))
    }

    fn write(&mut self, line: impl FnOnce() -> MetricsLine) -> Result<(), TrainError> {
        if let Some((_, metrics)) = &mut self.files {
            metrics.write(&line())?;
        }
        Ok(())
    }

    /// Whether checkpoints are kept.
    pub(crate) fn keeps_checkpoints(&self) -> bool {
        self.files.is_some()
    }

    pub(crate) fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), TrainError> {
        if let Some((files, _)) = &self.files {
            checkpoint.save(&files.dir.checkpoints())?;
        }
        Ok(())
    }
}
