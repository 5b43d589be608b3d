//! The gradient of a batch that is divided into virtual shards, of which each rank computes its own.
//!
//! Each shard starts from the running statistics of the update before, and normalises by its own samples. The
//! running statistics after the update are the mean of those of the shards, weighed by their samples.

use std::time::Duration;

use burn::tensor::{Tensor, TensorData};
use mentor_data::{Epoch, HostBatch};
use mentor_model::{Model, Noise, Pass};
use serde::{Deserialize, Serialize};

use crate::engine::error::TrainError;
use crate::engine::job::Job;
use crate::engine::objective::AcrossSamples;
use crate::engine::training_loop::division::Shards;
use crate::engine::training_loop::observed::Seen;
use crate::engine::training_loop::{Run, timed};
use crate::engine::update::flat::{flatten, unflatten};
use crate::engine::update::gradients::ParameterTensors;
use crate::engine::update::pairwise::PairwiseSum;
use crate::inference::device::{images_to_device, to_host};
use crate::inference::weights::penalty_rows;

/// What this rank found of its shards.
struct Own {
    /// Of each shard that has samples; of a loss across samples those of the batch, the same in each rank.
    seen: Vec<Seen>,
    sum: PairwiseSum,
}

/// The embeddings of a shard, as the others hear of them.
#[derive(Serialize, Deserialize)]
struct Embedded {
    samples: Vec<u32>,
    /// Empty without labels.
    targets: Vec<u32>,
    /// Bits, for they may not be numbers.
    values: Vec<u32>,
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data")
}

impl Run<'_> {
    /// Gradient of the data loss of the next batch, as its part of the mean over the samples of the update;
    /// the running statistics of `model` follow the batch. All ranks get the same.
    ///
    /// # Errors
    ///
    /// Any, also of another rank; `model` is then as before.
    pub(super) fn backward_of_shards(
        &mut self,
        shards: &Shards,
        model: &mut Model,
        batches: &mut Epoch,
        waited: &mut Duration,
    ) -> Result<ParameterTensors, TrainError> {
        let Job { training, data, objective, execution, .. } = *self.job;
        let ranks = execution.ranks();
        let read = timed(waited, || batches.take(shards.own.len()).collect::<Result<Vec<_>, _>>());
        let read = read.map_err(TrainError::from);
        let across = objective.across_samples();
        let found = match across {
            None => read.and_then(|own| self.own_shards(model, own)),
            Some(across) => self.shards_of_one_loss(across, model, read),
        };
        let (found, message) = match found {
            Ok(found) => {
                let message = json(&found.seen);
                (Some(found), Ok(message))
            }
            Err(error) => (None, Err(error)),
        };
        let said = ranks.exchange(message, execution.is_stopped())?;
        let Own { seen, sum } = found.expect("an exchange of an error is an error");
        self.stop_agreed |= said.stop;
        let seen: Vec<Seen> = match across {
            None => said.read::<Vec<Seen>>()?.into_iter().flatten().collect(),
            Some(_) => seen,
        };
        let num_samples: usize = seen.iter().map(|seen| seen.samples.len()).sum();
        let sum = ranks.sum(sum)?;
        let samples_of_update = if training.optimizer.full_batch { data.train.len() } else { num_samples };
        let first_of_update = !training.optimizer.full_batch || self.progress.batch == 0;
        let mut penalty = first_of_update.then(|| penalty_rows(model, &training.penalty)).flatten();
        seen.into_iter().for_each(|seen| self.observed.push_read(seen, penalty.take()));
        let (denominator, weight) = (samples_of_update as f32, num_samples as f32);
        let (gradients, following) = unflatten(&sum, model.clone(), denominator, weight, execution.device());
        *model = following;
        Ok(gradients)
    }

    /// Shards whose losses do not depend on each other.
    fn own_shards(&self, model: &Model, own: Vec<HostBatch>) -> Result<Own, TrainError> {
        let Job { training, objective, device, .. } = self.job;
        let (mut seen, mut sum) = (Vec::new(), PairwiseSum::default());
        for mut shard in own {
            let num_samples = shard.samples.len();
            if num_samples == 0 {
                sum.push(flatten(ParameterTensors::new(), model, 0.0));
                continue;
            }
            // A snapshot has running statistics of its own.
            let model = model.clone();
            let images = images_to_device(&mut shard, device);
            let noise = Noise { seed: training.seed, draw: shard.draw, samples: &shard.samples };
            let loss = objective.batch_loss(&model, images, &shard, &Pass::Training(&noise))?;
            let samples_per_loss = num_samples as f64 / loss.losses.dims()[0] as f64;
            let gradients = loss.losses.clone().sum().mul_scalar(samples_per_loss).backward();
            seen.push(Seen::read(loss.detached(), &shard.targets, shard.samples));
            let gradients = ParameterTensors::of_gradients(gradients, &model);
            sum.push(flatten(gradients, &model, num_samples as f32));
        }
        Ok(Own { seen, sum })
    }

    /// Shards of a batch with one loss across its samples. Every rank computes it from the embeddings of all,
    /// and takes the gradient of its own back through its shards.
    fn shards_of_one_loss(
        &self,
        across: &dyn AcrossSamples,
        model: &Model,
        own: Result<Vec<HostBatch>, TrainError>,
    ) -> Result<Own, TrainError> {
        let Job { training, data, device, execution, .. } = self.job;
        let (ranks, mut forward) = (execution.ranks(), Vec::new());
        let told = own.map(|own| {
            for mut shard in own {
                let model = model.clone();
                let embeddings = (!shard.samples.is_empty()).then(|| {
                    let images = images_to_device(&mut shard, device);
                    let noise = Noise { seed: training.seed, draw: shard.draw, samples: &shard.samples };
                    model.embeddings(images, &Pass::Training(&noise)) // [n, D]
                });
                forward.push((model, embeddings, shard));
            }
            let told = forward.iter().map(|(_, embeddings, shard)| Embedded {
                samples: shard.samples.clone(),
                targets: shard.targets.clone(),
                values: embeddings.clone().map_or_else(Vec::new, |values| {
                    to_host(values.inner()).into_iter().map(f32::to_bits).collect()
                }),
            });
            json(&told.collect::<Vec<_>>())
        });
        let said = ranks.exchange(told, false)?.read::<Vec<Embedded>>()?;
        let (mut samples, mut targets, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let mut first = 0;
        for (rank, shards) in said.into_iter().enumerate() {
            if rank == ranks.rank() {
                first = samples.len();
            }
            for shard in shards {
                samples.extend(shard.samples);
                targets.extend(shard.targets);
                values.extend(shard.values.into_iter().map(f32::from_bits));
            }
        }
        let (num_samples, dim) = (samples.len(), model.spec().head.size());
        let [channels, height, width] = data.input();
        let draw = forward.first().map_or(0, |(_, _, shard)| shard.draw);
        let shape = [num_samples, channels, height, width];
        let batch = HostBatch { pixels: Vec::new(), shape, targets, samples, draw };
        let embeddings = Tensor::<2>::from_data(TensorData::new(values, [num_samples, dim]), device);
        let embeddings = embeddings.require_grad(); // [B, D]
        let loss = across.loss_of_embeddings(embeddings.clone(), &batch)?;
        let samples_per_loss = num_samples as f64 / loss.losses.dims()[0] as f64;
        let mut gradients = loss.losses.clone().sum().mul_scalar(samples_per_loss).backward();
        let slope = embeddings.grad_remove(&mut gradients); // [B, D]
        let seen = vec![Seen::read(loss.detached(), &batch.targets, batch.samples)];
        let mut sum = PairwiseSum::default();
        for (of_shard, embeddings, shard) in forward {
            let count = shard.samples.len();
            let gradients = match (embeddings, &slope) {
                (Some(embeddings), Some(slope)) => {
                    let slope = slope.clone().slice([first..first + count, 0..dim]).autodiff();
                    let gradients = (embeddings * slope).sum().backward();
                    ParameterTensors::of_gradients(gradients, &of_shard)
                }
                _ => ParameterTensors::new(),
            };
            sum.push(flatten(gradients, &of_shard, count as f32));
            first += count;
        }
        Ok(Own { seen, sum })
    }
}
