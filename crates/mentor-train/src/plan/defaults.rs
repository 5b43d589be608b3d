//! Values that suit a network and a loss if the user names none.

use mentor_model::Architecture;

use super::loss::{LossPlan, RankingForm, RankingPlan};
use super::self_train;

/// Updates at least, if the user gives no length in epochs: a few images make one or two an epoch, and 20
/// epochs teach little.
pub(crate) const MIN_UPDATES: u64 = 300;

/// Values that suit a network and a loss if the user names none.
pub(super) struct Defaults {
    /// For batches of `full_rate_batch` or more.
    full_rate: f64,
    full_rate_batch: usize,
    pub(super) batch_size: usize,
    pub(super) epochs: usize,
    pub(super) warmup_epochs: f64,
}

impl Defaults {
    /// A network that is no `architecture` of mentor's has the values of a small convolutional one.
    pub(super) fn of(
        architecture: Option<&Architecture>,
        loss: &LossPlan,
        full_batch: bool,
        self_train: bool,
    ) -> Self {
        use LossPlan::{Ranking, Scores};
        let warms_up = architecture.is_none_or(|architecture| !architecture.is_dense());
        let loss_factor = match loss {
            Scores(loss) => loss.row().rate_factor,
            // The pulls and pushes of the many pairs of a batch nearly cancel, so that steps are small.
            Ranking(RankingPlan { form: RankingForm::Pairwise(_), .. }) => 2.5,
            Ranking(_) => 1.0,
        };
        let batch_size = match loss {
            Ranking(ranking) => ranking.batch_size(),
            Scores(_) => full_batch.then_some(1024),
        };
        let base = architecture.map_or(0.02, |architecture| architecture.family().learning_rate);
        Self {
            full_rate: base * loss_factor,
            // Few labels have small batches, and their rates were found on these.
            full_rate_batch: if self_train { self_train::BATCH_SIZE } else { 128 },
            batch_size: batch_size.unwrap_or(128),
            epochs: if full_batch { 300 } else { 20 },
            warmup_epochs: if warms_up && !full_batch { 5.0 } else { 0.0 },
        }
    }

    /// The rate for a batch: in proportion to its size, up to the full one (Goyal et al. 2017, arXiv
    /// 1706.02677, section 2.1). The mean over few images is noisier, and many updates at the full rate
    /// diverge. `gd` has no noise, whatever its chunks.
    pub(super) fn learning_rate(&self, batch_size: usize, full_batch: bool) -> f64 {
        // A batch of no image is refused, and not its rate too.
        let share = batch_size.max(1) as f64 / self.full_rate_batch as f64;
        if full_batch { self.full_rate } else { self.full_rate * share.min(1.0) }
    }
}
