//! Values that suit a network and a loss if the user names none.

use mentor_loss::Hinge;
use mentor_model::Architecture;

use super::loss::{LossPlan, RankingForm, RankingPlan, ScoreLossPlan};
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
        let convolutional = !matches!(architecture, Some(Architecture::Linear | Architecture::Mlp { .. }));
        // The hinge sums over classes, so that its gradient is several times that of softmax.
        let loss_factor = match loss {
            Scores(ScoreLossPlan::Svm { hinge: Hinge::WestonWatkins, .. }) => 0.2,
            Scores(ScoreLossPlan::Svm { hinge: Hinge::CrammerSinger, .. }) => 0.5,
            Scores(ScoreLossPlan::Softmax { .. }) => 1.0,
            // The pulls and pushes of the many pairs of a batch nearly cancel, so that steps are small.
            Ranking(RankingPlan { form: RankingForm::Pairwise(_), .. }) => 2.5,
            Ranking(_) => 1.0,
        };
        let batch_size = match loss {
            Ranking(ranking) => ranking.batch_size(),
            Scores(_) => full_batch.then_some(1024),
        };
        let base = match architecture {
            Some(Architecture::Linear) => 0.01,
            None | Some(Architecture::Mlp { .. } | Architecture::Cnn { .. } | Architecture::Vit { .. }) => {
                0.02
            }
            Some(_) => 0.1,
        };
        Self {
            full_rate: base * loss_factor,
            // Few labels have small batches, and their rates were found on these.
            full_rate_batch: if self_train { self_train::BATCH_SIZE } else { 128 },
            batch_size: batch_size.unwrap_or(128),
            epochs: if full_batch { 300 } else { 20 },
            warmup_epochs: if convolutional && !full_batch { 5.0 } else { 0.0 },
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
