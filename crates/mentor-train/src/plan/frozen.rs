//! A linear head on the features of a pretrained network, which stays as it is or is trained after the head.

use std::path::PathBuf;

use mentor_data::{Augment, OpenOptions, Resize};
use mentor_loss::ScoreLoss;
use mentor_run::{Config, DataConfig, ModelConfig, SelfTrainConfig};

use super::checker::{Checker, POSITIVE};
use super::descent;
use super::loss::LossPlan;
use super::self_train::{Pool, pool};

/// Which pretrained network, and how its head is found.
#[derive(Clone, Debug, PartialEq)]
pub struct FrozenPlan {
    /// Its file of weights.
    pub file: PathBuf,
    /// λ of Σw² of the head.
    pub penalty: HeadPenalty,
    /// Images without labels that the head learns from too, if there are any.
    pub pool: Option<Pool>,
}

/// λ of Σw² of a linear head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HeadPenalty {
    /// That of the user.
    Given(f64),
    /// The one of a grid with the least loss in repeated, stratified cross-validation on the training labels.
    CrossValidated,
}

impl FrozenPlan {
    /// Checks the whole configuration: of a head that a solver finds most of it says nothing.
    pub(crate) fn check(file: PathBuf, config: &Config, loss: &LossPlan, check: &mut Checker) -> Self {
        let idle = without_effect(config);
        check.check(idle.is_empty(), || match config.model.fine_tune {
            None => format!(
                "backbone keeps a pretrained network as it is, and a solver finds its head: leave {} out, or \
                 train all layers with `model.fine_tune`",
                idle.join(", ")
            ),
            Some(_) => {
                format!("fine_tune trains the network of backbone as it is: leave {} out", idle.join(", "))
            }
        });
        match loss {
            LossPlan::Ranking(_) => check.problems.push(format!(
                "the head of a backbone is a classifier, and {} is a loss of embeddings: use softmax, svm or \
                 crammer-singer",
                loss.name()
            )),
            LossPlan::Scores(ScoreLoss::Softmax(softmax)) => {
                check.check(softmax.label_smoothing() == 0.0, || {
                    "label_smoothing does not go with backbone: leave it out".into()
                });
            }
            LossPlan::Scores(ScoreLoss::Svm(svm)) => {
                check.number("margin", svm.margin(), POSITIVE.0, POSITIVE.1);
            }
            LossPlan::Scores(_) => {}
        }
        let penalty = match config.penalty.l2 {
            Some(l2) => {
                HeadPenalty::Given(check.number("l2", l2, POSITIVE.0, "greater than 0 with backbone"))
            }
            None => HeadPenalty::CrossValidated,
        };
        let pool = config.self_train.as_ref().map(|self_train| checked_pool(self_train, loss, check));
        Self { file, penalty, pool }
    }

    /// The configuration that makes this plan, but for the loss and how all layers are trained.
    pub(crate) fn to_config(&self, source: &str, options: &OpenOptions, seed: u64) -> Config {
        let mut config = Config::default();
        config.data.source = Some(source.to_owned());
        config.data.options = options.clone();
        config.model.backbone = Some(self.file.clone());
        config.penalty.l2 = match self.penalty {
            HeadPenalty::Given(l2) => Some(l2),
            HeadPenalty::CrossValidated => None,
        };
        config.training.seed = Some(seed);
        config.self_train = self.pool.as_ref().map(Pool::to_config);
        config
    }
}

/// Where the images without labels are; nothing else of self-training means something to a head.
fn checked_pool(self_train: &SelfTrainConfig, loss: &LossPlan, check: &mut Checker) -> Pool {
    let pool = pool(self_train, check);
    let SelfTrainConfig { unlabelled, labels_per_class, .. } = self_train.clone();
    check.check(*self_train == SelfTrainConfig { unlabelled, labels_per_class, ..Default::default() }, || {
        "with backbone self-training solves its heads: of `self_train` give unlabelled or labels_per_class \
         alone"
            .into()
    });
    check.check(matches!(loss, LossPlan::Scores(ScoreLoss::Softmax(_))), || {
        format!("self-training has softmax as its loss, not {}", loss.name())
    });
    pool
}

/// Names of the fields that are set and would change nothing.
fn without_effect(config: &Config) -> Vec<&'static str> {
    let Config { data, model, penalty, optimizer, training, .. } = config;
    // What a ranking loss has is refused with that loss.
    let DataConfig { augment, options, .. } = data;
    let ModelConfig { name, dropout, stochastic_depth, init_from, freeze, .. } = model;
    let before = [
        ("augment", augment.is_some_and(|augment| augment != Augment::None)),
        ("size", options.size.is_some()),
        ("channels", options.channels.is_some()),
        ("resize", options.resize != Resize::default()),
        ("model", name.is_some()),
        ("dropout", dropout.is_some()),
        ("stochastic_depth", stochastic_depth.is_some()),
        ("init_from", init_from.is_some()),
        ("freeze", freeze.is_some()),
        ("l1", penalty.l1.is_some_and(|l1| l1 != 0.0)),
        ("optimizer", optimizer.name.is_some()),
        ("gap", optimizer.gap.is_some()),
        ("max_iterations", optimizer.max_iterations.is_some()),
    ];
    let after = [
        ("certify", training.certify.is_some()),
        ("path", config.path.is_some()),
        ("distill", config.distill.is_some()),
        ("self_train", config.self_train.is_some() && config.model.fine_tune.is_some()),
    ];
    let fields = before.into_iter().chain(descent::options(config)).chain(after);
    let is_idle = |name: &str| config.model.fine_tune.is_none() || !USED_BY_FINE_TUNING.contains(&name);
    fields.filter(|&(name, set)| set && is_idle(name)).map(|(name, _)| name).collect()
}

/// Fields that a head has no use for, and the training of all layers has.
const USED_BY_FINE_TUNING: [&str; 16] = [
    "augment",
    "freeze",
    "optimizer",
    "learning_rate",
    "momentum",
    "nesterov",
    "batch_size",
    "clip_norm",
    "weight_decay",
    "layer_decay",
    "schedule",
    "warmup_epochs",
    "step_epochs",
    "step_factor",
    "min_updates",
    "ema",
];

/// The configuration of the training of all layers: what the user says, and what suits few photographs.
pub(crate) fn fine_tuning(config: &Config, epochs: usize, check: &mut Checker) -> Config {
    check.check(epochs > 0, || "fine_tune is 0, and must be at least 1: leave it out to train a head".into());
    let known = config.optimizer.name.as_deref().is_none_or(|name| ["adamw", "sgd"].contains(&name));
    check.check(known, || "fine_tune is for minibatches: set `optimizer.name` to adamw or sgd".into());
    let mut of_layers = Config {
        optimizer: config.optimizer.clone(),
        schedule: config.schedule.clone(),
        training: config.training.clone(),
        ..Config::default()
    };
    of_layers.data.augment = Some(config.data.augment.unwrap_or(Augment::Crop { flip: true }));
    let Config { optimizer, training, .. } = &mut of_layers;
    let is_adamw = optimizer.name.get_or_insert_with(|| "adamw".to_owned()) == "adamw";
    optimizer.batch_size.get_or_insert(BATCH_SIZE);
    optimizer.learning_rate.get_or_insert(if is_adamw { ADAMW_RATE } else { SGD_RATE });
    optimizer.layer_decay.get_or_insert(LAYER_DECAY);
    optimizer.clip_norm.get_or_insert(CLIP_NORM);
    training.epochs = Some(epochs.max(1));
    training.min_updates.get_or_insert(MIN_UPDATES);
    of_layers
}

/// Images of an update.
const BATCH_SIZE: usize = 16;
/// Rate of the head with `adamw`, and with `sgd`.
const ADAMW_RATE: f64 = 5e-5;
const SGD_RATE: f64 = 5e-4;
/// What the rate of a stage is multiplied by for each stage behind it.
const LAYER_DECAY: f64 = 0.75;
/// Largest norm of the gradient.
const CLIP_NORM: f64 = 1.0;
/// Updates at least: a few images make one or two an epoch.
const MIN_UPDATES: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Plan, Recipe};

    fn plan(text: &str) -> Result<Plan, crate::PlanError> {
        let text = format!("data.source = 'photos'\nmodel.backbone = 'b.pth'\n{text}");
        Plan::try_from(Config::from_toml(&text, "test", &[]).unwrap())
    }

    #[test]
    fn a_plan_goes_to_a_configuration_and_back() {
        for text in [
            "",
            "self_train.labels_per_class = 5",
            "self_train.unlabelled = 'more'",
            "penalty.l2 = 0.01\nloss.name = 'svm'",
            "loss.class_weights = [1.0, 2.0]\ntraining.seed = 3",
        ] {
            let first = plan(text).unwrap();
            assert!(matches!(first.recipe(), Recipe::Frozen(_)), "{text}");
            let config = first.to_config();
            assert_eq!(config.model.name, None);
            assert_eq!(Plan::try_from(config.clone()).unwrap().to_config(), config, "{text}");
        }
    }

    #[test]
    fn a_plan_of_all_layers_goes_to_a_configuration_and_back() {
        for text in [
            "model.fine_tune = 10",
            "model = { fine_tune = 1, freeze = ['stem', '1'] }\npenalty.l2 = 0.01\ntraining.min_updates = 0",
            "model.fine_tune = 5\noptimizer = { name = 'sgd', layer_decay = 1.0 }\ntraining.ema = 0.9",
            "model.fine_tune = 5\ndata.augment = 'none'\nschedule.name = 'constant'",
        ] {
            let text = text
                .replace("model.", "model.backbone = 'b.pth'\nmodel.")
                .replace("model = {", "model = { backbone = 'b.pth',");
            let config = Config::from_toml(&format!("data.source = 'photos'\n{text}"), "test", &[]).unwrap();
            let first = Plan::try_from(config).unwrap();
            assert!(matches!(first.recipe(), Recipe::FineTune(_)), "{text}");
            let config = first.to_config();
            let second = Plan::try_from(config.clone()).unwrap();
            assert_eq!((second.to_config(), second.training()), (config, first.training()), "{text}");
        }
    }

    #[test]
    fn what_would_have_no_effect_is_refused_by_name() {
        for (text, what) in [
            ("model.name = 'cnn'\noptimizer.momentum = 0.5", "leave model, momentum out"),
            ("data.options.size = [32, 32]", "leave size out"),
            ("training.epochs = 3", "leave epochs out"),
            ("loss.name = 'triplet'", "loss of embeddings"),
            ("loss.label_smoothing = 0.1", "label_smoothing"),
            ("penalty.l2 = 0.0", "l2 is 0"),
            ("loss = { name = 'svm', margin = 0.0 }", "margin is 0"),
            ("model.fine_tune = 2\nself_train.labels_per_class = 2", "leave self_train out"),
            ("self_train = {}", "no images without labels"),
            ("self_train = { labels_per_class = 2, rounds = 2 }", "labels_per_class alone"),
            ("loss.name = 'svm'\nself_train.labels_per_class = 2", "not svm"),
            ("model.fine_tune = 0", "fine_tune is 0"),
            ("model.fine_tune = 2\ntraining.epochs = 3", "leave epochs out"),
            ("model.fine_tune = 2\nmodel.name = 'cnn'", "leave model out"),
            ("model.fine_tune = 2\noptimizer.name = 'gd'", "adamw or sgd"),
            ("optimizer.weight_decay = 0.1", "leave weight_decay out"),
        ] {
            let error = plan(text).unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}
