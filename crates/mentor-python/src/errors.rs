//! Errors of the libraries as Python exceptions, with the same words and the same help.

use std::fmt::Display;

use mentor_cli::keywords::{Refusal, in_keywords};
use mentor_data::DataError;
use mentor_linear::LinearError;
use mentor_loss::LossError;
use mentor_metrics::retrieval::RetrievalError;
use mentor_train::{LoadError, PredictError};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// The exception that an error becomes, by its name in `mentor.errors`.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Config,
    Data,
    Diverged,
    Failed,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Config => "ConfigError",
            Self::Data => "DataError",
            Self::Diverged => "DivergedError",
            Self::Failed => "MentorError",
        }
    }
}

/// Why a call was refused or failed, and ways out.
pub(crate) struct Refused {
    kind: Kind,
    message: String,
    help: String,
}

impl Refused {
    pub(crate) fn new(kind: Kind, message: impl Display, ways: &[String]) -> Self {
        Self { kind, message: in_keywords(&message.to_string()), help: in_keywords(&ways.join(", or ")) }
    }

    /// A panic: a fault of mentor, not of its caller.
    pub(crate) fn internal(reason: &str) -> Self {
        let help = "it is a fault of mentor; please report it with the call that caused it".to_owned();
        Self::new(Kind::Failed, format!("an internal error: {reason}"), &[help])
    }
}

impl From<Refused> for PyErr {
    fn from(refused: Refused) -> Self {
        Python::attach(|py| {
            let raised = || -> PyResult<Self> {
                let class = py.import("mentor.errors")?.getattr(refused.kind.name())?;
                Ok(Self::from_value(class.call1((&refused.message, &refused.help))?))
            };
            raised().unwrap_or_else(|_| PyRuntimeError::new_err(refused.message.clone()))
        })
    }
}

impl From<LossError> for Refused {
    fn from(error: LossError) -> Self {
        let (kind, help) = match error {
            LossError::Embedding { .. } => {
                (Kind::Data, "look for a division by 0 or a learning rate that is too high")
            }
            LossError::EmbeddingCount { .. } | LossError::SampleIndex { .. } => (Kind::Data, ""),
            _ => (Kind::Config, ""),
        };
        let ways = if help.is_empty() { Vec::new() } else { vec![help.to_owned()] };
        Self::new(kind, error, &ways)
    }
}

impl From<LinearError> for Refused {
    fn from(error: LinearError) -> Self {
        let kind = match error {
            LinearError::Feature { .. } | LinearError::Target { .. } | LinearError::EmptyClass { .. } => {
                Kind::Data
            }
            _ => Kind::Config,
        };
        let help = error.help();
        Self::new(kind, error, &help)
    }
}

impl From<RetrievalError> for Refused {
    fn from(error: RetrievalError) -> Self {
        let help = error.help();
        Self::new(Kind::Data, error, &help)
    }
}

impl From<DataError> for Refused {
    fn from(error: DataError) -> Self {
        let help = error.help();
        Self::new(Kind::Data, error, &help)
    }
}

impl From<LoadError> for Refused {
    fn from(error: LoadError) -> Self {
        let help = error.help();
        Self::new(Kind::Config, error, &help)
    }
}

impl From<PredictError> for Refused {
    fn from(error: PredictError) -> Self {
        let ways = match error {
            PredictError::NoScores => vec!["use embed, or search for the nearest images".to_owned()],
            _ => Vec::new(),
        };
        Self::new(Kind::Config, error, &ways)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal.status {
            2 => Kind::Config,
            3 => Kind::Data,
            4 => Kind::Diverged,
            _ => Kind::Failed,
        };
        Self { kind, message: refusal.message, help: refusal.help.unwrap_or_default() }
    }
}
