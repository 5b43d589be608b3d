//! A checked configuration with every default filled in. Only a plan can run.

pub(crate) mod checker;
pub(crate) mod distill;
pub(crate) mod loss;
pub(crate) mod schedule;
pub(crate) mod self_train;

use mentor_data::{Augment, OpenOptions};
use mentor_loss::{Hinge, Penalty};
use mentor_model::Architecture;
use mentor_run::{
    Config, DataConfig, ModelConfig, OptimizerConfig, PenaltyConfig, ScheduleConfig, TrainingConfig,
};

use self::checker::{BELOW_ONE, Checker, NON_NEGATIVE, POSITIVE};
use self::distill::Student;
use self::self_train::Taught;

pub use checker::PlanError;
pub use distill::{DistillMode, DistillPlan};
pub use loss::{LossPlan, RankingBatches, RankingForm, RankingPlan, ScoreLossPlan, TripletForm};
pub use schedule::{Schedule, Shape};
pub use self_train::{Pool, SelfTrainMethod, SelfTrainPlan};

/// What a run does. Made by [`Plan::try_from`]; nothing in it means "default".
#[derive(Clone, Debug)]
pub struct Plan {
    /// `digits` or a path.
    pub source: String,
    /// Splits, sizes, bad images and limits.
    pub options: OpenOptions,
    /// Change of the training images.
    pub augment: Augment,
    /// The network.
    pub architecture: Architecture,
    /// Probability of dropping a hidden unit.
    pub dropout: f64,
    /// Probability of dropping the last residual block.
    pub stochastic_depth: f64,
    /// The data loss.
    pub loss: LossPlan,
    /// The penalty λ R(W).
    pub penalty: Penalty,
    /// How the weights are updated.
    pub optimizer: OptimizerPlan,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Passes over the training set.
    pub epochs: usize,
    /// Updates at least, by more epochs than `epochs` on few images; 0 adds none.
    pub min_updates: u64,
    /// Seed of everything random but the splits.
    pub seed: u64,
    /// Epochs without a better validation accuracy after which training stops; 0 never stops.
    pub patience: usize,
    /// Seconds between two checkpoints; 0 writes one after every update.
    pub checkpoint_secs: f64,
    /// Decay of the moving average of the weights, which is judged and kept in their place; 0 keeps none.
    pub ema: f64,
    /// What a student learns from its teachers; `None` in plain training.
    pub distill: Option<DistillPlan>,
    /// Few labels and many images; `None` elsewhere.
    pub self_train: Option<SelfTrainPlan>,
}

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
    /// Largest global norm of the gradient; 0 leaves it as it is.
    pub clip_norm: f64,
}

impl TryFrom<Config> for Plan {
    type Error = PlanError;

    fn try_from(config: Config) -> Result<Self, PlanError> {
        let mut config = config;
        let mut check = Checker { problems: Vec::new() };
        self_train::apply_defaults(&mut config);
        let Config {
            data,
            mut model,
            mut loss,
            penalty,
            mut optimizer,
            schedule,
            training,
            mut distill,
            self_train,
        } = config;
        if let Some(distill) = &mut distill {
            distill::apply_preset(distill, &mut model, &mut check);
            distill::apply_mode(distill, &mut loss);
            distill::apply_clipping(distill, &mut optimizer);
        }

        let loss = LossPlan::check(loss, &model, &data, &mut check);
        // The same folder with and without a slash at its end is one source, and one run.
        let named = data.source.unwrap_or_default();
        let source = match named.trim_end_matches('/') {
            "" => named,
            trimmed => trimmed.to_owned(),
        };
        check.check(!source.is_empty(), || {
            "no data is named: give digits as `data.source`, or the path of an image folder, IDX folder, CSV manifest or npz file".into()
        });
        for (name, fraction) in
            [("val_fraction", data.options.val_fraction), ("test_fraction", data.options.test_fraction)]
        {
            check.number(&format!("data.options.{name}"), fraction, BELOW_ONE.0, BELOW_ONE.1);
        }

        let architecture =
            model.name.as_deref().unwrap_or("linear").parse::<Architecture>().unwrap_or_else(|error| {
                check.problems.push(error.to_string());
                Architecture::Linear
            });
        let dropout = check.f32("dropout", model.dropout.unwrap_or(0.0), BELOW_ONE.0, BELOW_ONE.1);
        let stochastic_depth =
            check.f32("stochastic_depth", model.stochastic_depth.unwrap_or(0.0), BELOW_ONE.0, BELOW_ONE.1);

        let l1 = check.f32("l1", penalty.l1.unwrap_or(0.0), NON_NEGATIVE.0, NON_NEGATIVE.1);
        let l2 = check.f32("l2", penalty.l2.unwrap_or(0.0), NON_NEGATIVE.0, NON_NEGATIVE.1);

        let full_batch = full_batch(optimizer.name.as_deref(), &mut check);
        let defaults = Defaults::of(&architecture, &loss, full_batch, self_train.is_some());
        let augment = data.augment.unwrap_or(Augment::None);
        if full_batch {
            let exact = "gd follows the exact gradient of the training set";
            check.check(augment == Augment::None, || format!("{exact}: augment must be none"));
            check.check(dropout == 0.0 && stochastic_depth == 0.0, || {
                format!("{exact}: dropout and stochastic_depth must be 0")
            });
            check.check(!architecture.has_batch_norm(), || {
                format!("{exact}, and the batch norm of {architecture} mixes the samples of a chunk: use sgd")
            });
        }
        let optimizer = optimizer_plan(&optimizer, full_batch, &defaults, (l1, l2), &mut check);
        // A teacher of embeddings teaches any batch; labels need one with pairs.
        let ranks_labels = distill.as_ref().is_none_or(self::distill::ranks_labels);
        if let Some(ranking) = loss.ranking().filter(|_| ranks_labels) {
            check_batches(ranking, loss.name(), &optimizer, &mut check);
        }

        let epochs = check.at_least_one("epochs", training.epochs.unwrap_or(defaults.epochs));
        let in_epochs =
            training.epochs.is_some() || schedule.warmup_epochs.is_some() || schedule.step_epochs.is_some();
        let min_updates =
            training.min_updates.unwrap_or(if in_epochs || full_batch { 0 } else { MIN_UPDATES });
        check.check(self_train.is_none() || min_updates == 0, || {
            "min_updates is for one model, and self-training makes several: leave it out".into()
        });
        let schedule = schedule_plan(schedule, epochs, defaults.warmup_epochs, full_batch, &mut check);
        let distill = distill.map(|distill| {
            let student = Student { architecture: &architecture, loss: &loss, augment, epochs, full_batch };
            DistillPlan::check(distill, &student, &mut check)
        });
        check.check(self_train.is_none() || distill.is_none(), || {
            "distill and self_train are two ways to train: give one of them; --distill-to ends self-training with a distillation".into()
        });
        let self_train = self_train.map(|self_train| {
            let taught = Taught { architecture: &architecture, loss: &loss, full_batch };
            SelfTrainPlan::check(self_train, &taught, &mut check)
        });
        let plan = Self {
            source,
            options: data.options,
            augment,
            architecture,
            dropout,
            stochastic_depth,
            loss,
            // Both are checked above; a refused one is replaced, and its problem already noted.
            penalty: Penalty::new(l1, l2).unwrap_or_default(),
            optimizer,
            schedule,
            epochs,
            min_updates,
            seed: training.seed.unwrap_or(0),
            patience: training.patience.unwrap_or(0),
            checkpoint_secs: check.number(
                "checkpoint_secs",
                training.checkpoint_secs.unwrap_or(60.0),
                NON_NEGATIVE.0,
                NON_NEGATIVE.1,
            ),
            ema: check.f32("ema", training.ema.unwrap_or(0.0), BELOW_ONE.0, BELOW_ONE.1),
            distill,
            self_train,
        };
        check.whole_numbers(&plan.to_config());
        if check.problems.is_empty() { Ok(plan) } else { Err(PlanError { problems: check.problems }) }
    }
}

/// Whether the optimiser makes one update an epoch.
fn full_batch(name: Option<&str>, check: &mut Checker) -> bool {
    match name.unwrap_or("sgd") {
        "sgd" => false,
        "gd" => true,
        other => {
            check.problems.push(format!("optimizer \"{other}\" is not known; there are sgd and gd"));
            false
        }
    }
}

fn optimizer_plan(
    config: &OptimizerConfig,
    full_batch: bool,
    defaults: &Defaults,
    (l1, l2): (f64, f64),
    check: &mut Checker,
) -> OptimizerPlan {
    let batch_size = check.at_least_one("batch_size", config.batch_size.unwrap_or(defaults.batch_size));
    let rate = config.learning_rate.unwrap_or_else(|| defaults.learning_rate(batch_size, full_batch));
    let learning_rate = check.f32("learning_rate", rate, POSITIVE.0, POSITIVE.1);
    let momentum = check.f32("momentum", config.momentum.unwrap_or(0.9), BELOW_ONE.0, BELOW_ONE.1);
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
        check.check(fits, || format!("{name} is {product:e}, which no number of 32 bits holds: lower it"));
    }
    let clip_norm = check.f32("clip_norm", config.clip_norm.unwrap_or(0.0), NON_NEGATIVE.0, NON_NEGATIVE.1);
    OptimizerPlan { full_batch, learning_rate, momentum, nesterov, batch_size, clip_norm }
}

/// A ranking loss decides what a batch holds.
fn check_batches(ranking: &RankingPlan, loss: &str, optimizer: &OptimizerPlan, check: &mut Checker) {
    check.check(!optimizer.full_batch, || {
        format!("gd sums over samples, and {loss} over pairs of them: use sgd")
    });
    let given = optimizer.batch_size;
    if let RankingBatches::Triplets(_) = ranking.batches {
        check.check(given >= 3, || format!("batch_size is {given}, and a triplet has three images"));
    }
    if let Some(needed) = ranking.batch_size() {
        check.check(given == needed, || {
            format!(
                "batch_size is {given}, and must be classes_per_batch x samples_per_class = {needed}: leave it out"
            )
        });
    }
}

fn schedule_plan(
    config: ScheduleConfig,
    epochs: usize,
    default_warmup: f64,
    full_batch: bool,
    check: &mut Checker,
) -> Schedule {
    let shape = match config.name.as_deref().unwrap_or(if full_batch { "constant" } else { "cosine" }) {
        "constant" => Shape::Constant,
        "cosine" => Shape::Cosine,
        "step" => {
            let factor = check.number(
                "step_factor",
                config.step_factor.unwrap_or(0.1),
                |x| x > 0.0 && x <= 1.0,
                "in (0, 1]",
            );
            let epochs = check.number(
                "step_epochs",
                config.step_epochs.unwrap_or((epochs as f64 / 3.0).max(1.0)),
                POSITIVE.0,
                POSITIVE.1,
            );
            Shape::Step { epochs, factor }
        }
        other => {
            check
                .problems
                .push(format!("schedule \"{other}\" is not known; there are constant, step and cosine"));
            Shape::Constant
        }
    };
    if !matches!(shape, Shape::Step { .. }) {
        check.check(config.step_epochs.is_none() && config.step_factor.is_none(), || {
            "step_epochs and step_factor need schedule step".into()
        });
    }
    // A default warm-up never takes more than a tenth of a short run.
    let warmup = config.warmup_epochs.unwrap_or_else(|| default_warmup.min(epochs as f64 / 10.0));
    Schedule { shape, warmup_epochs: check.number("warmup_epochs", warmup, NON_NEGATIVE.0, NON_NEGATIVE.1) }
}

/// Updates at least, if the user gives no length in epochs: a few images make one or two an epoch, and 20
/// epochs teach little.
pub(crate) const MIN_UPDATES: u64 = 300;

/// Values that suit a family and a loss where the user names none.
struct Defaults {
    /// For batches of `full_rate_batch` or more.
    full_rate: f64,
    full_rate_batch: usize,
    batch_size: usize,
    epochs: usize,
    warmup_epochs: f64,
}

impl Defaults {
    fn of(architecture: &Architecture, loss: &LossPlan, full_batch: bool, self_train: bool) -> Self {
        use LossPlan::{Ranking, Scores};
        let convolutional = !matches!(architecture, Architecture::Linear | Architecture::Mlp { .. });
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
            Architecture::Linear => 0.01,
            Architecture::Mlp { .. } | Architecture::Cnn { .. } | Architecture::Vit { .. } => 0.02,
            _ => 0.1,
        };
        Self {
            full_rate: base * loss_factor,
            // Few labels have small batches, and their rates were found on these.
            full_rate_batch: if self_train { self::self_train::BATCH_SIZE } else { 128 },
            batch_size: batch_size.unwrap_or(128),
            epochs: if full_batch { 300 } else { 20 },
            warmup_epochs: if convolutional && !full_batch { 5.0 } else { 0.0 },
        }
    }

    /// The rate for a batch: in proportion to its size, up to the full one (Goyal et al. 2017, arXiv
    /// 1706.02677, section 2.1). The mean over few images is noisier, and many updates at the full rate
    /// diverge. `gd` has no noise, whatever its chunks.
    fn learning_rate(&self, batch_size: usize, full_batch: bool) -> f64 {
        // A batch of no image is refused, and not its rate too.
        let share = batch_size.max(1) as f64 / self.full_rate_batch as f64;
        if full_batch { self.full_rate } else { self.full_rate * share.min(1.0) }
    }
}

impl Plan {
    /// The epochs of a run and its schedule, if an epoch has `steps_per_epoch` updates: stretched alike if
    /// the plan's make fewer than `min_updates`.
    pub(crate) fn length(&self, steps_per_epoch: u64) -> (usize, Schedule) {
        let needed = self.min_updates.div_ceil(steps_per_epoch.max(1)) as usize;
        if needed <= self.epochs {
            return (self.epochs, self.schedule);
        }
        (needed, self.schedule.stretched(needed as f64 / self.epochs as f64))
    }

    /// The resolved configuration: every field stated. It makes the same plan again.
    pub fn to_config(&self) -> Config {
        let (schedule, step) = match self.schedule.shape {
            Shape::Constant => ("constant", None),
            Shape::Cosine => ("cosine", None),
            Shape::Step { epochs, factor } => ("step", Some((epochs, factor))),
        };
        let (mut model, mut data) = (ModelConfig::default(), DataConfig::default());
        if let LossPlan::Ranking(ranking) = &self.loss {
            model.embedding_size = Some(ranking.embedding_size);
            model.unit_norm = Some(ranking.unit_norm);
            match &ranking.batches {
                RankingBatches::ClassBalanced { classes_per_batch, samples_per_class } => {
                    data.classes_per_batch = Some(*classes_per_batch);
                    data.samples_per_class = Some(*samples_per_class);
                }
                RankingBatches::Triplets(path) => data.triplets = Some(path.clone()),
            }
        }
        Config {
            data: DataConfig {
                source: Some(self.source.clone()),
                augment: Some(self.augment),
                options: self.options.clone(),
                ..data
            },
            model: ModelConfig {
                name: Some(self.architecture.to_string()),
                dropout: Some(self.dropout),
                stochastic_depth: Some(self.stochastic_depth),
                ..model
            },
            loss: self.loss.to_config(),
            penalty: PenaltyConfig { l1: Some(self.penalty.l1()), l2: Some(self.penalty.l2()) },
            optimizer: OptimizerConfig {
                name: Some(if self.optimizer.full_batch { "gd" } else { "sgd" }.to_owned()),
                learning_rate: Some(self.optimizer.learning_rate),
                momentum: Some(self.optimizer.momentum),
                nesterov: Some(self.optimizer.nesterov),
                batch_size: Some(self.optimizer.batch_size),
                clip_norm: Some(self.optimizer.clip_norm),
            },
            schedule: ScheduleConfig {
                name: Some(schedule.to_owned()),
                warmup_epochs: Some(self.schedule.warmup_epochs),
                step_epochs: step.map(|(epochs, _)| epochs),
                step_factor: step.map(|(_, factor)| factor),
            },
            training: TrainingConfig {
                epochs: Some(self.epochs),
                min_updates: (self.min_updates > 0).then_some(self.min_updates),
                seed: Some(self.seed),
                patience: Some(self.patience),
                checkpoint_secs: Some(self.checkpoint_secs),
                ema: Some(self.ema),
            },
            distill: self.distill.as_ref().map(DistillPlan::to_config),
            self_train: self.self_train.as_ref().map(SelfTrainPlan::to_config),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Result<Plan, PlanError> {
        Plan::try_from(Config::from_toml(text, "test", &[]).unwrap())
    }

    #[test]
    fn a_resolved_plan_makes_itself_again() {
        for text in [
            "data.source = 'digits'",
            "data.source = 'digits'\nloss.name = 'svm'\noptimizer.name = 'gd'\npenalty.l2 = 1e-3",
            "data.source = 'x'\nmodel.name = 'cnn'\ntraining.min_updates = 7",
            "data.source = 'x'\nmodel.name = 'cnn'\nschedule.name = 'step'\nloss.class_weights = [1.0, 2.0]",
            "data.source = 'x'\nloss.name = 'triplet'\nloss.mining = 'hard'\nmodel.embedding_size = 2",
            "data.source = 'x'\nloss.name = 'contrastive'\nloss.form = 'squared'\nmodel.unit_norm = true",
            "data.source = 'x'\nloss.name = 'triplet'\nloss.mining = 'none'\ndata.triplets = 't.csv'",
        ] {
            let config = plan(text).unwrap().to_config();
            assert_eq!(Plan::try_from(config.clone()).unwrap().to_config(), config);
            assert_eq!(Config::from_toml(&config.to_toml(), "test", &[]).unwrap(), config);
        }
    }

    #[test]
    fn the_default_rate_is_in_proportion_to_the_batch_up_to_128() {
        let rate = |text: &str| plan(&format!("data.source = 'x'\n{text}")).unwrap().optimizer.learning_rate;
        for (model, full) in [("linear", 0.01), ("cnn", 0.02), ("resnet-18", 0.1)] {
            for (batch_size, share) in [(1, 1.0 / 128.0), (16, 0.125), (64, 0.5), (128, 1.0), (1024, 1.0)] {
                let text = format!("model.name = '{model}'\noptimizer.batch_size = {batch_size}");
                assert!((rate(&text) - full * share).abs() < 1e-12, "{model} {batch_size}: {}", rate(&text));
            }
        }
        assert_eq!(rate("model.name = 'cnn'"), 0.02);
        // An explicit rate is the user's, and the chunks of gd are no batches.
        assert_eq!(
            rate("model.name = 'resnet-18'\noptimizer = { batch_size = 16, learning_rate = 0.1 }"),
            0.1
        );
        assert_eq!(rate("optimizer = { name = 'gd', batch_size = 16 }"), 0.01);
        assert_eq!(rate("loss.name = 'triplet'\nmodel.name = 'cnn'\ndata.classes_per_batch = 4"), 0.005);
        // Self-training's batches are of 32, and its rates were found on these.
        assert_eq!(rate("self_train.labels_per_class = 5"), 0.02);
        assert_eq!(rate("self_train.labels_per_class = 5\noptimizer.batch_size = 16"), 0.01);
    }

    #[test]
    fn few_images_get_more_epochs_unless_the_user_gives_a_length() {
        let length = |text: &str, steps| {
            let plan = plan(&format!("data.source = 'x'\nmodel.name = 'cnn'\n{text}")).unwrap();
            let (epochs, schedule) = plan.length(steps);
            (epochs, schedule.warmup_epochs)
        };
        assert_eq!(length("", 400), (20, 2.0));
        assert_eq!(length("", 15), (20, 2.0));
        assert_eq!(length("", 2), (150, 15.0));
        assert_eq!(length("", 14), (22, 2.2));
        assert_eq!(length("training.epochs = 20", 2), (20, 2.0));
        assert_eq!(length("schedule.warmup_epochs = 1", 2), (20, 1.0));
        assert_eq!(length("optimizer.name = 'gd'", 1), (300, 0.0));
        assert_eq!(length("training = { epochs = 10, min_updates = 100 }", 1), (100, 10.0));
        assert!(
            plan("data.source = 'x'\nself_train.labels_per_class = 5\ntraining.min_updates = 9").is_err()
        );
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let text = "model.name = 'lenet'\npenalty.l2 = -1.0\noptimizer.learning_rate = nan\noptimizer.batch_size = 0";
        let error = plan(text).unwrap_err();
        assert_eq!(error.problems.len(), 5, "{error}");
        for word in ["no data", "lenet", "l2 is -1", "learning_rate is NaN", "batch_size is 0"] {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn what_no_f32_holds_is_refused_by_name() {
        for (text, what) in [
            ("penalty.l1", "l1 is"),
            ("penalty.l2", "l2 is"),
            ("optimizer.learning_rate", "learning_rate is"),
            ("optimizer.clip_norm", "clip_norm is"),
            ("loss.name = 'svm'\nloss.margin", "margin is"),
            ("loss.name = 'triplet'\nloss.margin", "margin is"),
            ("distill.teachers = ['t']\ndistill.soft_weight", "soft_weight is"),
            ("distill.teachers = ['t']\ndistill.hard_weight", "hard_weight is"),
            ("distill.teachers = ['t']\ndistill.temperature", "temperature is"),
            ("self_train.labels_per_class = 5\nself_train.ratio", "ratio is"),
        ] {
            for value in ["1e300", "1e39", "1e-46", "1e-320", "1e-40"] {
                let error = plan(&format!("data.source = 'digits'\n{text} = {value}")).unwrap_err();
                assert!(error.problems.iter().any(|it| it.contains(what)), "{text} = {value}: {error}");
            }
        }
        for (text, what) in [
            ("loss.class_weights = [1.0, 1e300]", "a class weight is"),
            ("loss.class_weights = [1.0, 1e-320]", "a class weight is"),
            ("optimizer.momentum = 0.99999999999", "momentum is"),
            ("model.name = 'mlp:8'\nmodel.dropout = 0.99999999999", "dropout is"),
            ("training.ema = 0.99999999999", "ema is"),
            ("loss.label_smoothing = 0.99999999999", "label_smoothing is"),
            ("self_train = { labels_per_class = 5, dropout = 1e-320 }", "self_train.dropout is"),
            ("penalty.l2 = 3e38", "2 l2 is 6e38"),
            ("distill = { teachers = ['t'], soft_weight = 1e30, temperature = 1e5 }", "squared is"),
            ("penalty.l1 = 3e38\noptimizer.learning_rate = 10.0", "learning_rate x l1 is 3e39"),
        ] {
            let error = plan(&format!("data.source = 'digits'\n{text}")).unwrap_err();
            assert!(error.problems.len() == 1 && error.to_string().contains(what), "{text}: {error}");
        }
        // What no f32 needs to hold.
        let text =
            "data.source = 'digits'\ntraining.checkpoint_secs = 1e300\nschedule.warmup_epochs = 1e-320";
        assert!(plan(text).is_ok());
        assert!(plan("data.source = 'digits'\npenalty.l1 = 1e-30\noptimizer.learning_rate = 1e38").is_ok());
    }

    #[test]
    fn gd_refuses_what_makes_its_gradient_inexact() {
        for extra in ["data.augment = 'shift'", "model.dropout = 0.5", "model.name = 'wrn-16-2'"] {
            let text = format!("data.source = 'digits'\noptimizer.name = 'gd'\n{extra}");
            assert!(plan(&text).unwrap_err().to_string().contains("exact gradient"), "{extra}");
        }
    }

    #[test]
    fn what_belongs_to_ranking_losses_is_refused_elsewhere_and_the_other_way_round() {
        for text in [
            "model.embedding_size = 8",
            "data.samples_per_class = 4",
            "loss.mining = 'all'",
            "loss.name = 'triplet'\noptimizer.name = 'gd'",
            "loss.name = 'triplet'\nloss.label_smoothing = 0.1",
            "loss.name = 'triplet'\nloss.mining = 'none'",
            "loss.name = 'triplet'\nloss.mining = 'easy'",
            "loss.name = 'triplet'\noptimizer.batch_size = 100",
            "loss.name = 'triplet'\nloss.form = 'soft-margin'\nloss.margin = 0.2",
            "loss.name = 'triplet'\ndata.samples_per_class = 1",
            "loss.name = 'contrastive'\nloss.mining = 'all'",
            "loss.name = 'contrastive'\nloss.margin = nan",
        ] {
            let error = plan(&format!("data.source = 'digits'\n{text}")).unwrap_err();
            assert_eq!(error.problems.len(), 1, "{text}: {error}");
        }
    }

    #[test]
    fn the_margin_of_pairs_depends_on_the_norm() {
        for (unit_norm, margin) in [(true, 0.5), (false, 1.0)] {
            let text = format!("data.source = 'x'\nloss.name = 'contrastive'\nmodel.unit_norm = {unit_norm}");
            assert_eq!(plan(&text).unwrap().to_config().loss.margin, Some(margin));
        }
    }

    #[test]
    fn pairs_are_averaged_over_the_active_ones_and_triplets_over_all() {
        for (loss, average) in [("contrastive", "active"), ("triplet", "valid")] {
            let config = plan(&format!("data.source = 'x'\nloss.name = '{loss}'")).unwrap().to_config();
            assert_eq!(config.loss.average.as_deref(), Some(average), "{loss}");
        }
    }

    #[test]
    fn parameters_of_another_loss_are_refused() {
        assert!(plan("data.source = 'digits'\nloss.margin = 1.0").is_err());
        assert!(plan("data.source = 'digits'\nloss.name = 'svm'\nloss.label_smoothing = 0.1").is_err());
    }
}
