//! A checked configuration with every default filled in. Only a plan can run.

pub(crate) mod checker;
mod defaults;
mod descent;
pub(crate) mod distill;
pub(crate) mod frozen;
pub(crate) mod loss;
pub(crate) mod optimum;
pub(crate) mod path;
pub(crate) mod recipe;
pub(crate) mod schedule;
pub(crate) mod self_train;
#[cfg(test)]
mod tests;
pub(crate) mod training;

use std::path::{Path, PathBuf};

use mentor_data::{OpenOptions, ReadObserver};
use mentor_model::Architecture;
use mentor_run::{Config, DataConfig, ModelConfig};

use self::checker::{BELOW_ONE, Checker};
use self::distill::Student;
use self::frozen::fine_tuning;
use self::optimum::{Convex, Wanted, check_certify};
use self::self_train::Taught;
use self::training::Learner;

pub use checker::PlanError;
pub(crate) use defaults::MIN_UPDATES;
pub use distill::{DistillMode, DistillPlan};
pub use frozen::{FrozenPlan, HeadPenalty};
pub use loss::{LossPlan, RankingBatches, RankingForm, RankingLoss, RankingPlan, ScoreLossPlan, TripletForm};
pub use optimum::OptimumPlan;
pub use path::{PathPlan, PathRule, PenaltyTerm};
pub use recipe::Recipe;
pub use schedule::{Schedule, Shape};
pub use self_train::{PerClass, Pool, SelfTrainMethod, SelfTrainPlan};
pub use training::{OptimizerPlan, TrainingPlan};

/// What a run does. Made by [`Plan::try_from`] a [`Config`] alone; nothing in it means "default".
///
/// ```
/// use mentor_run::Config;
/// use mentor_train::{Plan, Recipe};
/// let mut config = Config::default();
/// config.data.source = Some("digits".to_owned());
/// config.model.name = Some("mlp:32".to_owned());
/// let plan = Plan::try_from(config)?;
/// assert_eq!((plan.training().epochs, plan.recipe()), (20, &Recipe::Labels));
///
/// let refused = Plan::try_from(Config::default()).unwrap_err();
/// assert!(refused.to_string().contains("no data is named"));
/// # Ok::<(), mentor_train::PlanError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    pub(crate) source: String,
    pub(crate) options: OpenOptions,
    pub(crate) architecture: Architecture,
    pub(crate) dropout: f64,
    pub(crate) stochastic_depth: f64,
    pub(crate) init_from: Option<PathBuf>,
    pub(crate) freeze: Vec<String>,
    pub(crate) loss: LossPlan,
    pub(crate) training: TrainingPlan,
    pub(crate) certify: bool,
    pub(crate) recipe: Recipe,
    /// Where features of pretrained networks are kept from run to run, if they are. It decides nothing.
    pub(crate) feature_cache: Option<PathBuf>,
}

impl Plan {
    /// `digits` or a path.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Splits, sizes, bad images and limits.
    pub fn options(&self) -> &OpenOptions {
        &self.options
    }

    /// The network.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Probability of dropping a hidden unit.
    pub fn dropout(&self) -> f64 {
        self.dropout
    }

    /// Probability of dropping the last residual block.
    pub fn stochastic_depth(&self) -> f64 {
        self.stochastic_depth
    }

    /// Run directory, or safetensors file, whose weights are the first ones; `None` draws them.
    pub fn init_from(&self) -> Option<&Path> {
        self.init_from.as_deref()
    }

    /// Beginnings of names of parameters that are not trained.
    pub fn freeze(&self) -> &[String] {
        &self.freeze
    }

    /// The data loss.
    pub fn loss(&self) -> &LossPlan {
        &self.loss
    }

    /// How the weights are found.
    pub fn training(&self) -> &TrainingPlan {
        &self.training
    }

    /// Whether a bound on the distance from the optimum is proven of the weights.
    pub fn certify(&self) -> bool {
        self.certify
    }

    /// What the network learns from.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The same plan, with features of pretrained networks kept in `folder` for later runs, and those that
    /// are there taken from it. The folder is made when it is needed.
    #[must_use]
    pub fn with_feature_cache(mut self, folder: Option<PathBuf>) -> Self {
        self.feature_cache = folder;
        self
    }

    /// The same plan, which keeps decoded images that do not fit into memory in a file of this folder.
    #[must_use]
    pub fn with_pixel_cache(mut self, folder: Option<PathBuf>) -> Self {
        self.options.pixel_cache = folder;
        self
    }

    /// The same plan, whose reading of images `observer` watches and may interrupt.
    #[must_use]
    pub fn with_reading(mut self, observer: ReadObserver) -> Self {
        self.options.observer = observer;
        self
    }
}

impl TryFrom<Config> for Plan {
    type Error = PlanError;

    fn try_from(mut config: Config) -> Result<Self, PlanError> {
        let mut check = Checker { problems: Vec::new() };
        if let Some(file) = config.model.backbone.clone() {
            return Self::frozen(file, config, check);
        }
        check.check(config.model.fine_tune.is_none(), || {
            "fine_tune trains a pretrained network: name its file of weights as `model.backbone`".into()
        });
        self_train::apply_defaults(&mut config);
        let (mut distill, self_train) = (config.distill.take(), config.self_train.take());
        let path = config.path.take();
        if let Some(distill) = &mut distill {
            distill::apply_preset(distill, &mut config.model, &mut check);
            distill::apply_mode(distill, &mut config.loss);
            distill::apply_clipping(distill, &mut config.optimizer);
        }
        let Config { data, model, loss, .. } = &config;
        let loss = LossPlan::check(loss.clone(), model, data, &mut check);
        let source = source(data, &mut check);
        let architecture =
            model.name.as_deref().unwrap_or("linear").parse::<Architecture>().unwrap_or_else(|error| {
                check.problems.push(error.to_string());
                Architecture::linear()
            });
        check.check(self_train.is_none() || (model.init_from.is_none() && model.freeze.is_none()), || {
            "init_from and freeze are for one network, and self-training makes several: leave them out".into()
        });
        let dropout = check.f32("dropout", model.dropout.unwrap_or(0.0), BELOW_ONE.0, BELOW_ONE.1);
        let stochastic_depth =
            check.f32("stochastic_depth", model.stochastic_depth.unwrap_or(0.0), BELOW_ONE.0, BELOW_ONE.1);
        let learner = Learner {
            architecture: Some(&architecture),
            is_noisy: dropout != 0.0 || stochastic_depth != 0.0,
            loss: &loss,
            self_train: self_train.is_some(),
            of_path: path.is_some(),
            is_of_plan: true,
        };
        let training = TrainingPlan::check(&config, &learner, &mut check);
        let full_batch = training.optimizer.full_batch;
        // A teacher of embeddings teaches any batch; labels need one with pairs.
        if distill.as_ref().is_none_or(distill::ranks_labels) {
            training.optimizer.check_batches(&loss, &mut check);
        }
        check.check(self_train.is_none() || distill.is_none(), || {
            "distill and self_train are two ways to train: give one of them; --distill-to ends self-training \
             with a distillation"
                .into()
        });
        let wanted = Wanted::of(config.optimizer.gap, path.as_ref());
        let proof = match (&wanted, &path) {
            (Some(_), Some(_)) => "path",
            (Some(_), None) => "gap",
            (None, _) => "certify",
        };
        let alone = distill.is_none() && self_train.is_none();
        check.check(alone || (wanted.is_none() && config.training.certify != Some(true)), || {
            format!("{proof} is for training on labels alone: leave it out")
        });
        check.check(wanted.is_some() || config.optimizer.max_iterations.is_none(), || {
            "max_iterations needs gap, which a solver stops at".into()
        });
        let has_l1 = training.penalty.l1() > 0.0 || path.as_ref().is_some_and(|path| path.l1.is_some());
        let convex =
            Convex { architecture: &architecture, loss: &loss, training: &training, has_l1, option: proof };
        let certify = wanted.is_none() && check_certify(&config, &convex, &mut check);
        let recipe = match (distill, self_train) {
            (Some(distill), _) => {
                let (augment, epochs) = (training.augment, training.epochs);
                let student =
                    Student { architecture: &architecture, loss: &loss, augment, epochs, full_batch };
                Recipe::Distill(DistillPlan::check(distill, &student, &mut check))
            }
            (None, Some(self_train)) => {
                let taught = Taught { architecture: &architecture, loss: &loss, full_batch };
                Recipe::SelfTrain(SelfTrainPlan::check(self_train, &taught, &mut check))
            }
            (None, None) => match wanted {
                Some(wanted) => Recipe::Optimum(OptimumPlan::check(wanted, &config, &convex, &mut check)),
                None => Recipe::Labels,
            },
        };
        let plan = Self {
            source,
            architecture,
            dropout,
            stochastic_depth,
            loss,
            training,
            certify,
            recipe,
            init_from: config.model.init_from,
            freeze: config.model.freeze.unwrap_or_default(),
            options: config.data.options,
            feature_cache: None,
        };
        check.whole_numbers(&plan.to_config());
        check.into_result(plan)
    }
}

impl Plan {
    /// Of a configuration that names a pretrained network. What it says nothing of has the values of a linear
    /// model, and is not looked at.
    fn frozen(file: PathBuf, config: Config, mut check: Checker) -> Result<Self, PlanError> {
        let loss = LossPlan::check(config.loss.clone(), &config.model, &config.data, &mut check);
        let source = source(&config.data, &mut check);
        let frozen = FrozenPlan::check(file, &config, &loss, &mut check);
        let architecture = Architecture::linear();
        let fine_tune = config.model.fine_tune;
        let learner = Learner {
            architecture: fine_tune.is_none().then_some(&architecture),
            is_noisy: false,
            loss: &loss,
            self_train: false,
            of_path: false,
            is_of_plan: true,
        };
        let (recipe, of_training) = match fine_tune {
            None => {
                let mut of_head = Config::default();
                of_head.training.seed = config.training.seed;
                (Recipe::Frozen(frozen), of_head)
            }
            Some(epochs) => (Recipe::FineTune(frozen), fine_tuning(&config, epochs, &mut check)),
        };
        let training = TrainingPlan::check(&of_training, &learner, &mut check);
        let plan = Self {
            source,
            architecture,
            dropout: 0.0,
            stochastic_depth: 0.0,
            loss,
            training,
            recipe,
            init_from: None,
            freeze: config.model.freeze.unwrap_or_default(),
            options: config.data.options,
            certify: false,
            feature_cache: None,
        };
        check.whole_numbers(&plan.to_config());
        check.into_result(plan)
    }
}

/// The place of the data, and its fractions in their range.
fn source(data: &DataConfig, check: &mut Checker) -> String {
    // The same folder with and without a slash at its end is one source, and one run.
    let named = data.source.as_deref().unwrap_or_default();
    let source = match named.trim_end_matches('/') {
        "" => named,
        trimmed => trimmed,
    };
    check.check(!source.is_empty(), || {
        "no data is named: give digits as `data.source`, or the path of an image folder, IDX folder, CSV \
         manifest or npz file"
            .into()
    });
    for (name, fraction) in
        [("val_fraction", data.options.val_fraction), ("test_fraction", data.options.test_fraction)]
    {
        check.number(&format!("data.options.{name}"), fraction, BELOW_ONE.0, BELOW_ONE.1);
    }
    source.to_owned()
}

impl Plan {
    /// The resolved configuration: every field stated. It makes the same plan again.
    pub fn to_config(&self) -> Config {
        if let Recipe::Frozen(frozen) = &self.recipe {
            let config = frozen.to_config(&self.source, &self.options, self.training.seed);
            return Config { loss: self.loss.to_config(), ..config };
        }
        if let Recipe::FineTune(frozen) = &self.recipe {
            return self.fine_tune_config(frozen);
        }
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
        let mut training = match &self.recipe {
            Recipe::Optimum(optimum) => optimum.to_config(&self.training),
            _ => self.training.to_config(),
        };
        // Absent elsewhere, so that runs of earlier versions go on.
        training.training.certify = self.certify.then_some(true);
        Config {
            data: DataConfig {
                source: Some(self.source.clone()),
                augment: training.data.augment,
                options: self.options.clone(),
                ..data
            },
            model: ModelConfig {
                name: Some(self.architecture.to_string()),
                dropout: Some(self.dropout),
                stochastic_depth: Some(self.stochastic_depth),
                init_from: self.init_from.clone(),
                freeze: (!self.freeze.is_empty()).then(|| self.freeze.clone()),
                ..model
            },
            loss: self.loss.to_config(),
            distill: self.distill().map(DistillPlan::to_config),
            self_train: self.self_train().map(SelfTrainPlan::to_config),
            ..training
        }
    }

    fn fine_tune_config(&self, frozen: &FrozenPlan) -> Config {
        let of_head = frozen.to_config(&self.source, &self.options, self.training.seed);
        let of_layers = self.training.to_config();
        let mut config = Config {
            data: DataConfig { augment: of_layers.data.augment, ..of_head.data },
            model: ModelConfig {
                fine_tune: of_layers.training.epochs,
                freeze: (!self.freeze.is_empty()).then(|| self.freeze.clone()),
                ..of_head.model
            },
            penalty: of_head.penalty,
            loss: self.loss.to_config(),
            ..of_layers
        };
        // Absent would mean the default here.
        config.optimizer.layer_decay.get_or_insert(1.0);
        config.training.min_updates.get_or_insert(0);
        (config.training.epochs, config.training.patience) = (None, None);
        config
    }

    /// What its teachers are asked for, if it has teachers.
    pub(crate) fn distill(&self) -> Option<&DistillPlan> {
        match &self.recipe {
            Recipe::Distill(distill) => Some(distill),
            _ => None,
        }
    }

    fn self_train(&self) -> Option<&SelfTrainPlan> {
        match &self.recipe {
            Recipe::SelfTrain(self_train) => Some(self_train),
            _ => None,
        }
    }

    /// The same network on labels alone.
    pub(crate) fn on_labels(&self) -> Self {
        Self { recipe: Recipe::Labels, ..self.clone() }
    }
}
