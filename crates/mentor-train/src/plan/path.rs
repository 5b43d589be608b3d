//! The checked settings of the choice of a penalty by cross-validation.

use std::fmt;
use std::str::FromStr;

use mentor_loss::Penalty;
use mentor_run::{PathConfig, PenaltyConfig};

use super::checker::{Checker, POSITIVE};

/// λ from here to there, unless the user says so.
const DEFAULT_L2: [f64; 2] = [1e-6, 10.0];
const STEPS: u64 = 20;
const FOLDS: u64 = 5;
/// Penalties at most: each is a training for each fold.
const MAX_STEPS: u64 = 1000;

/// How the penalty of a linear classifier is chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct PathPlan {
    /// Which λ varies; the other one is that of the training plan.
    pub over: PenaltyTerm,
    /// Smallest λ.
    pub low: f64,
    /// Largest λ.
    pub high: f64,
    /// How many λ, in equal ratios.
    pub steps: u64,
    /// Parts that the training samples are divided into.
    pub folds: u64,
    /// Which of them is taken.
    pub rule: PathRule,
}

/// A term of the penalty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PenaltyTerm {
    /// Σ|w|
    L1,
    /// Σw²
    L2,
}

/// Which point of a path is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathRule {
    /// The least validation loss.
    Min,
    /// The largest λ whose loss is within one standard error of the least (Breiman et al. 1984, section
    /// 3.4.3).
    OneStandardError,
}

impl fmt::Display for PathRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Min => "min",
            Self::OneStandardError => "one-standard-error",
        })
    }
}

impl FromStr for PathRule {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "min" => Ok(Self::Min),
            "one-standard-error" => Ok(Self::OneStandardError),
            other => Err(format!("\"{other}\" is not known; there are min and one-standard-error")),
        }
    }
}

impl PathPlan {
    /// Checks what the user wrote; `penalty` is what does not vary.
    pub(super) fn check(config: &PathConfig, penalty: &PenaltyConfig, check: &mut Checker) -> Self {
        let (over, range) = match (config.l1, config.l2) {
            (Some(range), None) => (PenaltyTerm::L1, range),
            (None, range) => (PenaltyTerm::L2, range.unwrap_or(DEFAULT_L2)),
            (Some(_), Some(range)) => {
                check.problems.push("one of l1 and l2 may be a range, the other is a number".into());
                (PenaltyTerm::L2, range)
            }
        };
        let (name, fixed) = match over {
            PenaltyTerm::L1 => ("l1", penalty.l1),
            PenaltyTerm::L2 => ("l2", penalty.l2),
        };
        check.check(fixed.is_none_or(|fixed| fixed == 0.0), || {
            format!("{name} is a range and a number: give one of them")
        });
        let [low, high] = range.map(|end| check.f32(name, end, POSITIVE.0, POSITIVE.1));
        check.check(low < high, || format!("{name} is from {low} to {high}, and must be from less to more"));
        let steps = config.steps.unwrap_or(STEPS);
        check.check((2..=MAX_STEPS).contains(&steps), || {
            format!("steps is {steps}, and must be from 2 to {MAX_STEPS}")
        });
        let folds = config.folds.unwrap_or(FOLDS);
        check.check(folds >= 2, || format!("folds is {folds}, and must be at least 2"));
        let rule = check.parse("rule", config.rule.as_deref(), PathRule::Min);
        Self { over, low, high, steps, folds, rule }
    }

    /// The configuration that makes this plan, every field stated.
    pub(super) fn to_config(&self) -> PathConfig {
        let range = |term| (self.over == term).then_some([self.low, self.high]);
        PathConfig {
            l2: range(PenaltyTerm::L2),
            l1: range(PenaltyTerm::L1),
            steps: Some(self.steps),
            folds: Some(self.folds),
            rule: Some(self.rule.to_string()),
        }
    }

    /// (l2, l1) of each point, strongest first; `fixed` is what does not vary.
    pub(crate) fn penalties(&self, fixed: &Penalty) -> Vec<(f64, f64)> {
        let ratio = (self.high / self.low).ln() / (self.steps - 1) as f64;
        let lambda = |step: u64| match step {
            0 => self.high,
            step if step + 1 == self.steps => self.low,
            step => self.high * (-ratio * step as f64).exp(),
        };
        let of = |lambda: f64| match self.over {
            PenaltyTerm::L1 => (fixed.l2(), lambda),
            PenaltyTerm::L2 => (lambda, fixed.l1()),
        };
        (0..self.steps).map(|step| of(lambda(step))).collect()
    }
}
