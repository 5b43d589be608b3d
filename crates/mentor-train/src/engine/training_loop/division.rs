//! Which virtual shards of a batch are this rank's.

use std::ops::Range;

use mentor_data::{Epoch, Loader, Order};

use crate::engine::error::TrainError;
use crate::engine::update::ranks::Ranks;
use crate::plan::TrainingPlan;

/// Virtual shards where several ranks train and the plan names none.
const DEFAULT_SHARDS: usize = 8;

/// The virtual shards of every batch.
#[derive(Clone, Debug)]
pub(crate) struct Shards {
    /// Those of this rank.
    pub(super) own: Range<usize>,
    count: usize,
}

impl Shards {
    /// `None` where batches are whole: one process, whose plan does not divide them.
    ///
    /// # Errors
    ///
    /// When so many ranks, or batches of this order, cannot be divided so.
    pub(super) fn of(
        training: &TrainingPlan,
        ranks: &Ranks<'_>,
        order: &Order,
    ) -> Result<Option<Self>, TrainError> {
        let (size, planned) = (ranks.size(), training.virtual_shards.map(usize::from));
        if size == 1 && planned.is_none() {
            return Ok(None);
        }
        let count = planned.unwrap_or(DEFAULT_SHARDS);
        if !size.is_power_of_two() || size > count {
            return Err(TrainError::NumRanks { ranks: size, shards: count });
        }
        if let Order::Cycled { parts, .. } = order
            && let Some(samples) = parts.iter().map(|part| part.batch_size).min().filter(|&part| part < count)
        {
            return Err(TrainError::SmallPart { shards: count, samples });
        }
        let of_rank = count / size;
        Ok(Some(Self { own: ranks.rank() * of_rank..(ranks.rank() + 1) * of_rank, count }))
    }

    /// The own shards of the batches of an epoch.
    pub(super) fn epoch(&self, loader: &Loader, epoch: u64, first_batch: usize) -> Epoch {
        loader.epoch_of_shards(epoch, first_batch, self.own.clone(), self.count)
    }
}
