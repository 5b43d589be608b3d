//! A model on the validation split, batch by batch.

use mentor_data::{Dataset, HostBatch};
use mentor_metrics::classification::{SampleResult, judge, summarise};

use crate::engine::objective::batch_loss::BatchLoss;
use crate::engine::objective::validation::Validation;
use crate::inference::device::to_host;

/// What the batches of a validation came to.
#[derive(Default)]
pub(crate) struct Judged {
    /// Of labelled samples that have scores.
    results: Vec<SampleResult>,
    /// Sum of the losses, of all samples.
    loss: f64,
    num_samples: usize,
}

impl Judged {
    /// Adds a batch of which this is the loss.
    pub(crate) fn add(&mut self, loss: BatchLoss, batch: &HostBatch) {
        let losses = to_host(loss.losses);
        // One loss of the batch as a whole stands for each of its samples.
        let loss_of = |index: usize| f64::from(losses[if losses.len() == 1 { 0 } else { index }]);
        let num_samples = batch.samples.len();
        self.loss += (0..num_samples).map(loss_of).sum::<f64>();
        self.num_samples += num_samples;
        let Some(scores) = loss.scores else { return };
        let num_classes = scores.dims()[1];
        let scores = to_host(scores);
        for (index, (row, &target)) in scores.chunks_exact(num_classes).zip(&batch.targets).enumerate() {
            self.results.push(judge(row, target, loss_of(index)));
        }
    }

    /// What they say together: chosen by accuracy, or without labels or scores by the loss.
    pub(crate) fn validation(&self, dataset: &Dataset) -> Validation {
        if self.results.is_empty() {
            let loss = self.loss / self.num_samples.max(1) as f64;
            return Validation { score: Some(-loss), data_loss: Some(loss), ..Validation::default() };
        }
        let evaluation = summarise("val", dataset.classes(), &self.results, 0.0);
        Validation {
            score: Some(evaluation.accuracy),
            data_loss: Some(evaluation.data_loss),
            accuracy: Some(evaluation.accuracy),
            ..Validation::default()
        }
    }
}
