//! How the weights are found: what the loop is told beside data, network and objective.

use std::num::{NonZeroU64, NonZeroUsize};

use mentor_data::Augment;
use mentor_loss::Penalty;
use mentor_model::Architecture;
use mentor_run::{Config, DataConfig, OptimizerConfig, PenaltyConfig, ScheduleConfig, TrainingConfig};

use super::checker::{BELOW_ONE, Checker, NON_NEGATIVE, POSITIVE};
use super::defaults::{Defaults, MIN_UPDATES};
use super::loss::{LossPlan, RankingBatches};
use super::schedule::{Schedule, Shape};

/// How the weights are found. Part of a [`Plan`](crate::Plan), and what a [`Trainer`](crate::Trainer) checks
/// before it begins.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TrainingPlan {
    /// Change of the training images.
    pub augment: Augment,
    /// The penalty λ R(W).
    pub penalty: Penalty,
    /// How the weights are updated.
    pub optimizer: OptimizerPlan,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Passes over the training set.
    pub epochs: usize,
    /// Updates at least, by more epochs than `epochs` on few images.
    pub min_updates: Option<NonZeroU64>,
    /// Seed of everything random but the splits.
    pub seed: u64,
    /// Epochs without a better validation after which training stops; `None` never stops.
    pub patience: Option<NonZeroUsize>,
    /// Seconds between two checkpoints; 0 writes one after every update.
    pub checkpoint_secs: f64,
    /// Decay of the moving average of the weights, which is judged and kept in their place; `None` keeps no
    /// average.
    pub ema: Option<f64>,
    /// Shards that each batch is divided into, a power of 2; `None` leaves it whole.
    pub virtual_shards: Option<NonZeroUsize>,
}

/// Shards of a batch at most.
const MAX_SHARDS: usize = 1024;

/// How the weights are updated.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerPlan {
    /// One update from the exact gradient of the whole training set, instead of one a minibatch.
    pub full_batch: bool,
    /// Step size at full height of the schedule.
    pub learning_rate: f64,
    /// μ.
    pub momentum: f64,
    /// Step along g + μ v instead of v.
    pub nesterov: bool,
    /// Samples of one forward pass.
    pub batch_size: usize,
    /// Largest global norm of the gradient; `None` leaves the gradient as it is.
    pub clip_norm: Option<f64>,
    /// λ of AdamW's decoupled decay, which may be 0; `None` updates by momentum instead of AdamW.
    pub weight_decay: Option<f64>,
    /// What the rate of a layer is multiplied by for each layer behind it; `None`: all layers have the same.
    pub layer_decay: Option<f64>,
}

/// The rate of AdamW if the user names none: that of Adam's authors (Kingma and Ba 2015, algorithm 1).
const ADAMW_RATE: f64 = 1e-3;
/// The decay of AdamW if the user names none.
const ADAMW_DECAY: f64 = 0.01;

/// What is trained, as far as it decides how.
pub(crate) struct Learner<'a> {
    /// `None` for a network that is not one of mentor's.
    pub(crate) architecture: Option<&'a Architecture>,
    /// Whether hidden units or blocks are dropped.
    pub(crate) is_noisy: bool,
    pub(crate) loss: &'a LossPlan,
    /// Whether it learns from images without labels too.
    pub(crate) self_train: bool,
    /// Whether its penalty is chosen by cross-validation.
    pub(crate) of_path: bool,
    /// Whether a plan describes it, and not a program.
    pub(crate) is_of_plan: bool,
}

impl TrainingPlan {
    /// Checks these parts of `config`.
    pub(crate) fn check(config: &Config, learner: &Learner<'_>, check: &mut Checker) -> Self {
        let Config { data, penalty, optimizer, schedule, training, .. } = config;
        let l1 = check.f32("l1", penalty.l1.unwrap_or(0.0), NON_NEGATIVE.0, NON_NEGATIVE.1);
        let l2 = check.f32("l2", penalty.l2.unwrap_or(0.0), NON_NEGATIVE.0, NON_NEGATIVE.1);
        let full_batch = full_batch(optimizer, learner.of_path, check);
        check
            .check(learner.is_of_plan || (optimizer.gap.is_none() && training.certify != Some(true)), || {
                "gap and certify are for a linear classifier that a plan describes: leave them out".into()
            });
        let augment = data.augment.unwrap_or(Augment::None);
        if full_batch {
            check_exact(augment, learner, check);
        }
        let defaults = Defaults::of(learner.architecture, learner.loss, full_batch, learner.self_train);
        let optimizer = OptimizerPlan::check(optimizer, full_batch, &defaults, (l1, l2), check);
        let epochs = check.at_least_one("epochs", training.epochs.unwrap_or(defaults.epochs));
        let in_epochs =
            training.epochs.is_some() || schedule.warmup_epochs.is_some() || schedule.step_epochs.is_some();
        let usual = if in_epochs || full_batch || learner.self_train { 0 } else { MIN_UPDATES };
        let min_updates = NonZeroU64::new(training.min_updates.unwrap_or(usual));
        check.check(!learner.self_train || min_updates.is_none(), || {
            "min_updates is for one model, and self-training makes several: leave it out".into()
        });
        let schedule = Schedule::check(schedule, epochs, defaults.warmup_epochs, full_batch, check);
        let checkpoint_secs = training.checkpoint_secs.unwrap_or(60.0);
        let ema = check.f32("ema", training.ema.unwrap_or(0.0), BELOW_ONE.0, BELOW_ONE.1);
        let virtual_shards = training.virtual_shards;
        check.check(
            virtual_shards.is_none_or(|shards| shards.is_power_of_two() && shards <= MAX_SHARDS),
            || {
                format!(
                    "virtual_shards is {}, and must be a power of 2, at most {MAX_SHARDS}",
                    virtual_shards.unwrap_or(0)
                )
            },
        );
        Self {
            augment,
            // Both are checked above; a refused one is replaced, and its problem already noted.
            penalty: Penalty::new(l1, l2).unwrap_or_default(),
            optimizer,
            schedule,
            epochs,
            min_updates,
            seed: training.seed.unwrap_or(0),
            patience: training.patience.and_then(NonZeroUsize::new),
            checkpoint_secs: check.number("checkpoint_secs", checkpoint_secs, NON_NEGATIVE.0, NON_NEGATIVE.1),
            ema: (ema > 0.0).then_some(ema),
            virtual_shards: virtual_shards.and_then(NonZeroUsize::new),
        }
    }

    /// The configuration that makes this plan, every field stated, 0 for what is off; the other parts are
    /// empty.
    pub(crate) fn to_config(&self) -> Config {
        let (schedule, step) = match self.schedule.shape {
            Shape::Constant => ("constant", None),
            Shape::Cosine => ("cosine", None),
            Shape::Step { epochs, factor } => ("step", Some((epochs, factor))),
        };
        let is_adamw = self.optimizer.weight_decay.is_some();
        Config {
            data: DataConfig { augment: Some(self.augment), ..DataConfig::default() },
            penalty: PenaltyConfig { l1: Some(self.penalty.l1()), l2: Some(self.penalty.l2()) },
            optimizer: OptimizerConfig {
                name: Some(self.optimizer.name().to_owned()),
                learning_rate: Some(self.optimizer.learning_rate),
                batch_size: Some(self.optimizer.batch_size),
                clip_norm: Some(self.optimizer.clip_norm.unwrap_or(0.0)),
                momentum: (!is_adamw).then_some(self.optimizer.momentum),
                nesterov: (!is_adamw).then_some(self.optimizer.nesterov),
                weight_decay: self.optimizer.weight_decay,
                layer_decay: self.optimizer.layer_decay,
                ..OptimizerConfig::default()
            },
            schedule: ScheduleConfig {
                name: Some(schedule.to_owned()),
                warmup_epochs: Some(self.schedule.warmup_epochs),
                step_epochs: step.map(|(epochs, _)| epochs),
                step_factor: step.map(|(_, factor)| factor),
            },
            training: TrainingConfig {
                epochs: Some(self.epochs),
                min_updates: self.min_updates.map(NonZeroU64::get),
                seed: Some(self.seed),
                patience: Some(self.patience.map_or(0, NonZeroUsize::get)),
                checkpoint_secs: Some(self.checkpoint_secs),
                ema: Some(self.ema.unwrap_or(0.0)),
                virtual_shards: self.virtual_shards.map(NonZeroUsize::get),
                ..TrainingConfig::default()
            },
            ..Config::default()
        }
    }

    /// The epochs of a run and its schedule, if an epoch has `steps_per_epoch` updates: stretched alike if
    /// the plan's make fewer than `min_updates`.
    pub(crate) fn length(&self, steps_per_epoch: u64) -> (usize, Schedule) {
        let least = self.min_updates.map_or(0, NonZeroU64::get);
        let needed = least.div_ceil(steps_per_epoch.max(1)) as usize;
        if needed <= self.epochs {
            return (self.epochs, self.schedule);
        }
        (needed, self.schedule.stretched(needed as f64 / self.epochs as f64))
    }
}

/// Whether the optimiser makes one update an epoch.
fn full_batch(optimizer: &OptimizerConfig, of_path: bool, check: &mut Checker) -> bool {
    match optimizer.name.as_deref().unwrap_or("sgd") {
        "sgd" | "adamw" => false,
        "gd" => true,
        "auto" => {
            check.check(optimizer.gap.is_some() || of_path, || {
                "optimizer auto needs `optimizer.gap`, which its solver stops at".into()
            });
            false
        }
        other => {
            let known = "there are sgd, gd, adamw and auto";
            check.problems.push(format!("optimizer \"{other}\" is not known; {known}"));
            false
        }
    }
}

/// That nothing makes the gradient of `gd` inexact.
fn check_exact(augment: Augment, learner: &Learner<'_>, check: &mut Checker) {
    let exact = "gd follows the exact gradient of the training set";
    check.check(augment == Augment::None, || format!("{exact}: augment must be none"));
    check.check(!learner.is_noisy, || format!("{exact}: dropout and stochastic_depth must be 0"));
    if let Some(architecture) = learner.architecture {
        check.check(!architecture.has_batch_norm(), || {
            format!("{exact}, and the batch norm of {architecture} mixes the samples of a chunk: use sgd")
        });
    }
}

impl OptimizerPlan {
    /// As configurations name it.
    fn name(&self) -> &'static str {
        match (self.full_batch, self.weight_decay) {
            (true, _) => "gd",
            (false, Some(_)) => "adamw",
            (false, None) => "sgd",
        }
    }

    /// A ranking loss decides what a batch holds.
    pub(super) fn check_batches(&self, loss: &LossPlan, check: &mut Checker) {
        let Some(ranking) = loss.ranking() else { return };
        check.check(!self.full_batch, || {
            format!("gd sums over samples, and {} over pairs of them: use sgd", loss.name())
        });
        let given = self.batch_size;
        if let RankingBatches::Triplets(_) = ranking.batches {
            check.check(given >= 3, || format!("batch_size is {given}, and a triplet has three images"));
        }
        if let Some(needed) = ranking.batch_size() {
            check.check(given == needed, || {
                format!(
                    "batch_size is {given}, and must be classes_per_batch x samples_per_class = {needed}: \
                     leave it out"
                )
            });
        }
    }

    fn check(
        config: &OptimizerConfig,
        full_batch: bool,
        defaults: &Defaults,
        (l1, l2): (f64, f64),
        check: &mut Checker,
    ) -> Self {
        let batch_size = check.at_least_one("batch_size", config.batch_size.unwrap_or(defaults.batch_size));
        let weight_decay = Self::check_adamw(config, (l1, l2), check);
        let usual = || match weight_decay {
            Some(_) => ADAMW_RATE,
            None => defaults.learning_rate(batch_size, full_batch),
        };
        let rate = config.learning_rate.unwrap_or_else(usual);
        let learning_rate = check.f32("learning_rate", rate, POSITIVE.0, POSITIVE.1);
        let momentum = if weight_decay.is_some() { 0.0 } else { 0.9 };
        let momentum = check.f32("momentum", config.momentum.unwrap_or(momentum), BELOW_ONE.0, BELOW_ONE.1);
        let nesterov = config.nesterov.unwrap_or(momentum > 0.0 && l1 == 0.0);
        check.check(!nesterov || momentum > 0.0, || "nesterov needs a momentum greater than 0".into());
        check.check(!nesterov || l1 == 0.0, || {
            "nesterov does not go with l1, whose proximal step it would weigh wrongly: leave it out".into()
        });
        // What the update multiplies by: the slope of L2, and the threshold of L1.
        for (name, first, second) in [("2 l2", 2.0, l2), ("learning_rate x l1", learning_rate, l1)] {
            let product = first * second;
            // A factor that does not fit has been refused.
            let refused = [first, second].iter().any(|factor| !(*factor as f32).is_finite());
            let fits = refused || (product as f32).is_finite();
            check
                .check(fits, || format!("{name} is {product:e}, which no number of 32 bits holds: lower it"));
        }
        let clip_norm =
            check.f32("clip_norm", config.clip_norm.unwrap_or(0.0), NON_NEGATIVE.0, NON_NEGATIVE.1);
        let clip_norm = (clip_norm > 0.0).then_some(clip_norm);
        let layer_decay = config.layer_decay.map(|decay| {
            let in_range: (fn(f64) -> bool, &str) = (|x| x > 0.0 && x <= 1.0, "in (0, 1]");
            check.number("layer_decay", decay, in_range.0, in_range.1)
        });
        let layer_decay = layer_decay.filter(|&decay| decay != 1.0);
        Self {
            full_batch,
            learning_rate,
            momentum,
            nesterov,
            batch_size,
            clip_norm,
            weight_decay,
            layer_decay,
        }
    }

    /// The decay of AdamW, if that is the optimiser.
    fn check_adamw(config: &OptimizerConfig, (l1, l2): (f64, f64), check: &mut Checker) -> Option<f64> {
        if config.name.as_deref() != Some("adamw") {
            check.check(config.weight_decay.is_none(), || {
                "weight_decay is for adamw; the others penalise by `penalty.l2`, half of it".into()
            });
            return None;
        }
        check.check(l1 == 0.0 && l2 == 0.0, || {
            "adamw minimises no penalty: set `optimizer.weight_decay` in place of l1 and l2".into()
        });
        for (name, set) in
            [("momentum", config.momentum.is_some()), ("nesterov", config.nesterov == Some(true))]
        {
            check.check(!set, || format!("{name} is for sgd and gd: leave it out with adamw"));
        }
        let decay = config.weight_decay.unwrap_or(ADAMW_DECAY);
        Some(check.f32("weight_decay", decay, NON_NEGATIVE.0, NON_NEGATIVE.1))
    }
}
