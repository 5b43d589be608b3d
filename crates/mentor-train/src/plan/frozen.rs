//! A linear head on the features of a pretrained network that stays as it is.

use std::path::PathBuf;

use mentor_data::{Augment, OpenOptions, Resize};
use mentor_loss::ScoreLoss;
use mentor_run::{Config, DataConfig, ModelConfig};

use super::checker::{Checker, POSITIVE};
use super::descent;
use super::loss::LossPlan;

/// Which pretrained network, and how its head is found.
#[derive(Clone, Debug, PartialEq)]
pub struct FrozenPlan {
    /// Its file of weights.
    pub file: PathBuf,
    /// λ of Σw² of the head.
    pub penalty: HeadPenalty,
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
        check.check(idle.is_empty(), || {
            format!(
                "backbone keeps a pretrained network as it is, and a solver finds its head: leave {} out",
                idle.join(", ")
            )
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
        Self { file, penalty }
    }

    /// The configuration that makes this plan, but for the loss.
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
        config
    }
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
        ("self_train", config.self_train.is_some()),
    ];
    let fields = before.into_iter().chain(descent::options(config)).chain(after);
    fields.filter(|(_, set)| *set).map(|(name, _)| name).collect()
}

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
        for text in
            ["", "penalty.l2 = 0.01\nloss.name = 'svm'", "loss.class_weights = [1.0, 2.0]\ntraining.seed = 3"]
        {
            let first = plan(text).unwrap();
            assert!(matches!(first.recipe(), Recipe::Frozen(_)), "{text}");
            let config = first.to_config();
            assert_eq!(config.model.name, None);
            assert_eq!(Plan::try_from(config.clone()).unwrap().to_config(), config, "{text}");
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
            ("self_train = {}", "leave self_train out"),
        ] {
            let error = plan(text).unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}
