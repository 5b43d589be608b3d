//! What the loop saw on the device and has not read back yet.
//!
//! On the CPU a read costs nothing, and every update is looked at at once. Elsewhere a read waits for
//! the device, so losses and scores of several batches are read together.

use burn::tensor::Tensor;
use mentor_data::Dataset;
use mentor_run::StepMetrics;
use serde::{Deserialize, Serialize};

use crate::engine::checkpoint::state::Progress;
use crate::engine::error::TrainError;
use crate::engine::objective::batch_loss::{BatchLoss, Measure, Sum};
use crate::inference::device::to_host;

/// Batches between two reads on a device that is not the CPU.
const READ_EVERY: usize = 16;

/// What is counted of the samples of a batch.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) samples: Vec<u32>,
    /// Bits of the losses, which may not be numbers: one a sample, or one of the batch as a whole.
    losses: Vec<u32>,
    /// Absent for embeddings.
    num_correct: Option<u64>,
    /// Bits of the sum of each measure, and of its weight.
    measures: Vec<(String, u64, u64)>,
}

impl Seen {
    /// Reads what was found of a batch, without its graph. Waits for the device.
    pub(crate) fn read(loss: BatchLoss, targets: &[u32], samples: Vec<u32>) -> Self {
        let num_correct = loss.scores.map(|scores| {
            let num_classes = scores.dims()[1];
            let scores = to_host(scores);
            let rows = scores.chunks_exact(num_classes).zip(targets);
            rows.filter(|(row, target)| is_correct(row, **target)).count() as u64
        });
        let read = |Measure { name, sum, weight }| {
            let sum = match sum {
                Sum::Host(sum) => sum,
                Sum::Device(values) => to_host(*values).into_iter().map(f64::from).sum(),
            };
            (name.to_owned(), f64::to_bits(sum), f64::to_bits(weight))
        };
        let losses = to_host(loss.losses).into_iter().map(f32::to_bits).collect();
        Self { samples, losses, num_correct, measures: loss.measures.into_iter().map(read).collect() }
    }
}

/// A batch, before or after it was read.
enum Found {
    OnDevice { loss: Box<BatchLoss>, targets: Vec<u32>, samples: Vec<u32> },
    Read(Seen),
}

impl Found {
    fn read(self) -> Seen {
        match self {
            Self::OnDevice { loss, targets, samples } => Seen::read(*loss, &targets, samples),
            Self::Read(seen) => seen,
        }
    }
}

/// Losses and scores that are still on the device.
pub(crate) struct Observed {
    batches: Vec<Batch>,
    read_every: usize,
    /// Sum of the losses and number of samples of the update under way.
    update: (f64, usize),
    /// λ R(W) of the weights that the update under way starts from.
    penalty: f64,
    last_learning_rate: f64,
}

struct Batch {
    found: Found,
    /// Of the first batch of an update: terms whose sum is λ R(W) of the weights before it.
    penalty: Option<Tensor<1>>,
    /// Number and learning rate of the update that this batch was the last of.
    ends: Option<(u64, f64)>,
}

impl Observed {
    /// `reads_are_free` if the device's memory is that of the host.
    pub(crate) fn new(reads_are_free: bool) -> Self {
        let read_every = if reads_are_free { 1 } else { READ_EVERY };
        Self { batches: Vec::new(), read_every, update: (0.0, 0), penalty: 0.0, last_learning_rate: 0.0 }
    }

    /// Adds a batch of B samples; the first one of an update brings `penalty`, terms whose sum is λ R(W) of
    /// the weights before it, if any are penalised.
    pub(crate) fn push(
        &mut self,
        loss: BatchLoss,
        targets: Vec<u32>,
        samples: Vec<u32>,
        penalty: Option<Tensor<1>>,
    ) {
        let found = Found::OnDevice { loss: Box::new(loss.detached()), targets, samples };
        self.batches.push(Batch { found, penalty, ends: None });
    }

    /// Adds a batch, or a shard of one, that was read; `penalty` as in [`Observed::push`].
    pub(crate) fn push_read(&mut self, seen: Seen, penalty: Option<Tensor<1>>) {
        self.batches.push(Batch { found: Found::Read(seen), penalty, ends: None });
    }

    /// Says that the newest batch completed update `step`.
    pub(crate) fn end_update(&mut self, step: u64, learning_rate: f64) {
        self.last_learning_rate = learning_rate;
        if let Some(batch) = self.batches.last_mut() {
            batch.ends = Some((step, learning_rate));
        }
    }

    /// Whether it is time to read back.
    pub(crate) fn is_full(&self) -> bool {
        self.batches.len() >= self.read_every
    }

    pub(crate) fn last_learning_rate(&self) -> f64 {
        self.last_learning_rate
    }

    /// Reads all batches whose update is done, adds them to the totals of the epoch, and returns the updates.
    ///
    /// # Errors
    ///
    /// [`TrainError::Diverged`], with the samples, at the first loss that is not finite.
    pub(crate) fn read_back(
        &mut self,
        progress: &mut Progress,
        train: &Dataset,
    ) -> Result<Vec<StepMetrics>, TrainError> {
        let mut updates = Vec::new();
        let Progress { epoch, totals, step: steps_done, .. } = progress;
        let epoch = *epoch;
        for batch in self.batches.drain(..) {
            let seen = batch.found.read();
            let losses: Vec<f32> = seen.losses.into_iter().map(f32::from_bits).collect();
            let (step, learning_rate) = batch.ends.unwrap_or((*steps_done + 1, self.last_learning_rate));
            if let Some(first) = losses.iter().position(|loss| !loss.is_finite()) {
                let loss_of = |index: usize| if losses.len() == 1 { losses[0] } else { losses[index] };
                let samples =
                    seen.samples.iter().enumerate().filter(|(index, _)| !loss_of(*index).is_finite());
                return Err(TrainError::Diverged {
                    loss: f64::from(losses[first]),
                    step,
                    epoch: epoch + 1,
                    learning_rate,
                    samples: samples
                        .take(10)
                        .map(|(_, &index)| train.id(index as usize).to_owned())
                        .collect(),
                });
            }
            let num_samples = seen.samples.len();
            // One loss of the batch as a whole stands for each of its samples.
            let samples_per_loss = num_samples as f64 / losses.len() as f64;
            let sum = losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() * samples_per_loss;
            totals.data_loss += sum;
            totals.num_samples += num_samples as u64;
            if let Some(terms) = batch.penalty {
                self.penalty = to_host(terms).into_iter().map(f64::from).sum();
                if !self.penalty.is_finite() {
                    return Err(TrainError::Overflowed { epoch: epoch + 1 });
                }
            }
            totals.penalty += self.penalty * num_samples as f64;
            if let Some(correct) = seen.num_correct {
                *totals.num_correct.get_or_insert(0) += correct;
            }
            for (name, sum, weight) in seen.measures {
                let (sum, weight) = (f64::from_bits(sum), f64::from_bits(weight));
                if !sum.is_finite() {
                    return Err(TrainError::Overflowed { epoch: epoch + 1 });
                }
                let total = totals.measures.entry(name).or_default();
                total.0 += sum;
                total.1 += weight;
            }
            self.update.0 += sum;
            self.update.1 += num_samples;
            if let Some((step, learning_rate)) = batch.ends {
                let (sum, num_samples) = std::mem::take(&mut self.update);
                updates.push(StepMetrics {
                    step,
                    epoch,
                    data_loss: sum / num_samples as f64,
                    learning_rate,
                    num_samples,
                });
            }
        }
        Ok(updates)
    }
}

/// Whether the target's score is the highest; ties go to the lower class.
fn is_correct(scores: &[f32], target: u32) -> bool {
    let (before, rest) = scores.split_at(target as usize);
    let own = rest[0];
    before.iter().all(|&score| score < own) && rest[1..].iter().all(|&score| score <= own)
}
