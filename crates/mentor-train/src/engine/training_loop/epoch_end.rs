//! The end of an epoch: validation, the best weights, the metrics, and whether to go on.

use std::time::Duration;

use mentor_model::{Model, parameters};
use mentor_run::{EpochMetrics, TrainEvent};

use crate::engine::checkpoint::state::Best;
use crate::engine::error::TrainError;
use crate::engine::objective::validation::Validation;
use crate::engine::training_loop::{Run, timed};
use crate::inference::weights::WeightStatistics;

/// A loss so many times that of scores of zero is worth a warning. Early in training it is often two or three
/// times as large.
const LOSS_FAR_ABOVE: f64 = 10.0;

impl Run<'_> {
    /// Validates, keeps the best weights, decides whether to stop, and opens the next epoch.
    pub(super) fn end_epoch(&mut self, model: &Model) -> Result<(), TrainError> {
        let mut val_time = Duration::ZERO;
        let judged = self.judged(model)?;
        let validation = timed(&mut val_time, || self.validate(&judged))?;
        let val_data_loss = validation.as_ref().and_then(|validation| validation.data_loss);
        if val_data_loss.is_some_and(|loss| !loss.is_finite()) {
            return Err(TrainError::Overflowed { epoch: self.progress.epoch + 1 });
        }
        let statistics = WeightStatistics::of(model);
        if !statistics.rms().is_finite() {
            return Err(TrainError::Overflowed { epoch: self.progress.epoch + 1 });
        }
        // The loss on validation is that of the model that is judged, with its own weights' penalty.
        let of_judged = match self.average {
            None => statistics,
            Some(_) => WeightStatistics::of(&judged),
        };
        let val_penalty = of_judged.penalty(&self.job.training.penalty);
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
        self.journal.epoch(&metrics)?;
        self.warn_of_long_updates(&metrics);
        self.job.execution.tell(&TrainEvent::Epoch(metrics));
        if let Some(reason) = &self.progress.stopped {
            self.job.execution.tell(&TrainEvent::StoppedEarly { reason: reason.clone() });
        }
        Ok(())
    }

    /// Judges a model on the validation split, if there is one.
    fn validate(&self, model: &Model) -> Result<Option<Validation>, TrainError> {
        let val = self.job.validation_set();
        val.map(|val| self.job.objective.validate(model, &val)).transpose()
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
        let rate = self.job.training.optimizer.learning_rate;
        let text = format!(
            "epoch {}: the {split} loss is {}, and scores of zero would have {zero:.2}: the updates are too \
             large; set a smaller --learning-rate than {rate}, such as {}, or --clip-norm 1",
            metrics.epoch + 1,
            if loss < 1e4 { format!("{loss:.1}") } else { format!("{loss:.1e}") },
            rate / 10.0
        );
        self.job.execution.warn(text);
    }

    fn keep_if_best(&mut self, model: &Model, validation: Validation) {
        let best = self.progress.best.as_ref().map(|best| &best.validation);
        if self.job.objective.keeps_last() || validation.is_better_than(best) {
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
        if self.average.is_none()
            && let Some(reason) = self.job.objective.reason_to_stop(train_data_loss)
        {
            return Some(format!("epoch {epoch}: {reason}"));
        }
        let best = self.progress.best.as_ref()?;
        let score = best.validation.score?;
        let patience = self.job.training.patience?.get();
        (self.progress.epoch >= best.epoch.saturating_add(patience)).then(|| {
            let what = if best.validation.accuracy.is_some() { "accuracy" } else { "score" };
            format!(
                "epoch {epoch}: no better validation {what} than {score:.4} since epoch {}",
                best.epoch + 1
            )
        })
    }
}
