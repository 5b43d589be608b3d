//! The checked settings of a run that ends when its weights are proven to be near the optimum.

use mentor_data::Augment;
use mentor_loss::ScoreLoss;
use mentor_model::Architecture;
use mentor_run::{Config, DataConfig, OptimizerConfig, PathConfig, TrainingConfig};

use super::checker::{Checker, POSITIVE};
use super::descent;
use super::loss::LossPlan;
use super::path::PathPlan;
use super::training::TrainingPlan;

/// The gap after the choice of a penalty, unless the user says so.
const GAP: f64 = 1e-4;
/// Iterations of a solver at most, unless the user says so.
const MAX_ITERATIONS: u64 = 1000;

/// When a solver of a linear classifier stops.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimumPlan {
    /// Largest (objective − lower bound) / objective.
    pub gap: f64,
    /// Iterations at most.
    pub max_iterations: u64,
    /// How the penalty is chosen; `None` takes that of the training plan.
    pub path: Option<PathPlan>,
}

/// What the user wrote of a gap and of a path.
pub(super) struct Wanted<'a> {
    gap: f64,
    path: Option<&'a PathConfig>,
}

impl<'a> Wanted<'a> {
    /// `None` if neither is asked for.
    pub(super) fn of(gap: Option<f64>, path: Option<&'a PathConfig>) -> Option<Self> {
        let gap = gap.or(path.map(|_| GAP))?;
        Some(Self { gap, path })
    }
}

/// What is trained, as far as a proof depends on it.
pub(super) struct Convex<'a> {
    pub(super) architecture: &'a Architecture,
    pub(super) loss: &'a LossPlan,
    pub(super) training: &'a TrainingPlan,
    /// Whether Σ|w| is penalised, by some λ of a path at least.
    pub(super) has_l1: bool,
    /// The option that asks for a proof.
    pub(super) option: &'static str,
}

impl Convex<'_> {
    /// That the objective is one of a linear classifier on the images as they are, and that a solver knows
    /// it.
    pub(super) fn check(&self, check: &mut Checker) {
        let Self { architecture, loss, training, has_l1, option } = *self;
        check.check(architecture.is_linear(), || {
            format!(
                "{option} needs a convex objective, and that of {architecture} is not convex: choose \
                 `model.name` linear, or leave {option} out"
            )
        });
        check.check(training.augment == Augment::None, || {
            format!("{option} is a proof about the images as they are: augment must be none")
        });
        let margin = match loss {
            LossPlan::Ranking(_) => {
                check.problems.push(format!(
                    "{option} is for the losses of a classifier (softmax, svm, crammer-singer), not {}",
                    loss.name()
                ));
                return;
            }
            LossPlan::Scores(ScoreLoss::Softmax(softmax)) => {
                check.check(softmax.label_smoothing() == 0.0, || {
                    format!("{option} has no solver for label_smoothing: set it to 0")
                });
                return;
            }
            LossPlan::Scores(ScoreLoss::Svm(svm)) => svm.margin(),
            LossPlan::Scores(other) => {
                check.problems.push(format!("{option} has no solver for {}", other.name()));
                return;
            }
        };
        check.check(margin > 0.0, || format!("margin is 0, and with {option} must be greater than 0"));
        check.check(!has_l1, || {
            format!(
                "{option} has no solver for {} with l1: choose `loss.name` softmax, or `penalty.l2` instead",
                loss.name()
            )
        });
    }
}

impl OptimumPlan {
    /// Checks that `config`, which asks for what is `wanted`, asks for nothing that a solver has no use for.
    pub(super) fn check(
        wanted: Wanted<'_>,
        config: &Config,
        convex: &Convex<'_>,
        check: &mut Checker,
    ) -> Self {
        convex.check(check);
        let Config { model, optimizer, training, .. } = config;
        let others = [
            ("checkpoint_secs", training.checkpoint_secs.is_some()),
            ("certify", training.certify == Some(true)),
            ("dropout", model.dropout.is_some_and(|share| share != 0.0)),
            ("stochastic_depth", model.stochastic_depth.is_some_and(|share| share != 0.0)),
            ("init_from", model.init_from.is_some()),
            ("freeze", model.freeze.is_some()),
        ];
        for (option, _) in descent::options(config).iter().chain(&others).filter(|(_, stated)| *stated) {
            check.problems.push(format!("{option} has no meaning with {}: leave it out", convex.option));
        }
        let name = &optimizer.name;
        check.check(name.as_deref().is_none_or(|name| name == "auto"), || {
            format!(
                "gap has its own solver, which is not {}: leave `optimizer.name` out, or set \
                 `training.certify` in place of `optimizer.gap`",
                name.as_deref().unwrap_or_default()
            )
        });
        let max_iterations = optimizer.max_iterations.unwrap_or(MAX_ITERATIONS);
        check.check(max_iterations > 0, || "max_iterations is 0, and must be at least 1".into());
        let path = wanted.path.map(|path| PathPlan::check(path, &config.penalty, check));
        Self { gap: check.number("gap", wanted.gap, POSITIVE.0, POSITIVE.1), max_iterations, path }
    }

    /// As a solver takes them.
    pub(crate) fn max_iterations(&self) -> usize {
        usize::try_from(self.max_iterations).unwrap_or(usize::MAX)
    }

    /// The configuration that makes this plan, every field stated that has a meaning; data, model and loss
    /// are empty, but for the augmentation.
    pub(super) fn to_config(&self, training: &TrainingPlan) -> Config {
        let all = training.to_config();
        Config {
            data: DataConfig { augment: all.data.augment, ..DataConfig::default() },
            penalty: all.penalty,
            optimizer: OptimizerConfig {
                name: Some("auto".to_owned()),
                gap: Some(self.gap),
                max_iterations: Some(self.max_iterations),
                ..OptimizerConfig::default()
            },
            path: self.path.as_ref().map(PathPlan::to_config),
            training: TrainingConfig { seed: all.training.seed, ..TrainingConfig::default() },
            ..Config::default()
        }
    }
}

/// Whether a bound is to be proven of the weights that another optimiser finds.
pub(super) fn check_certify(config: &Config, convex: &Convex<'_>, check: &mut Checker) -> bool {
    if config.training.certify != Some(true) {
        return false;
    }
    convex.check(check);
    check.check(!convex.training.penalty.is_zero(), || {
        "certify needs a penalty, without which no distance from the optimum can be proven: set \
         `penalty.l2`, such as to 1e-6"
            .into()
    });
    true
}
