//! A loss explained on some samples.

use clap::ValueEnum;
use mentor_loss::{Explanation, ScoreLoss};

/// Base of the logarithm of softmax.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogBase {
    E,
    #[value(name = "2")]
    Two,
    #[value(name = "10")]
    Ten,
}

impl LogBase {
    /// What a loss in nats is multiplied by.
    pub(super) fn factor(self) -> f64 {
        match self {
            Self::E => 1.0,
            Self::Two => std::f64::consts::LOG2_E,
            Self::Ten => std::f64::consts::LOG10_E,
        }
    }

    pub(super) fn log(self) -> &'static str {
        match self {
            Self::E => "ln",
            Self::Two => "log2",
            Self::Ten => "log10",
        }
    }
}

/// One loss on all samples.
pub(super) struct Explained {
    pub(super) loss: ScoreLoss,
    /// Of softmax; an SVM has no logarithm.
    pub(super) log_base: LogBase,
    pub(super) samples: Vec<Explanation>,
}

impl Explained {
    /// The loss of all samples.
    pub(super) fn mean(&self) -> f64 {
        self.samples.iter().map(|sample| sample.loss).sum::<f64>() / self.samples.len() as f64
    }
}
