//! Why training could not go on.

use mentor_data::{DataError, listed, shown};
use mentor_linear::LinearError;
use mentor_loss::LossError;
use mentor_metrics::calibration::CalibrationError;
use mentor_metrics::retrieval::RetrievalError;
use mentor_model::ModelError;
use mentor_run::RunDirError;

use crate::analysis::error::AnalysisError;
use crate::engine::checkpoint::CheckpointError;
use crate::inference::error::InferenceError;
use crate::inference::frozen::OpenError;
use crate::inference::trained_model::LoadError;
use crate::plan::checker::PlanError;
use crate::pseudo_labels::{LabelsError, SelectionError};
use crate::teachers::cache::CacheError;
use crate::teachers::error::TeacherError;

/// Why training could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model cannot be built for the data.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The plan does not fit the data.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The loss cannot be taken of such values.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// A linear classifier has no optimum that could be proven.
    #[error(transparent)]
    Linear(#[from] LinearError),
    /// Embeddings cannot be ranked.
    #[error(transparent)]
    Retrieval(#[from] RetrievalError),
    /// The file of a pretrained network holds none.
    #[error(transparent)]
    Backbone(#[from] OpenError),
    /// The run directory cannot be used.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// The checkpoints cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The teacher's scores cannot be kept.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A run that another builds on cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Files of pseudo-labels cannot be used.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// Pseudo-labels cannot be chosen.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// The teacher's confidences cannot be calibrated.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The data does not suit self-training.
    #[error("{}: {reason}", shown(what))]
    SelfTrain {
        /// The data, or a part of it.
        what: String,
        /// What is wrong with it.
        reason: String,
        /// What to do next, as [`TrainError::help`] says it.
        help: &'static str,
    },
    /// The teacher cannot teach this student.
    #[error("{}: cannot teach here: {reason}", shown(teacher))]
    Teacher {
        /// Its run directory.
        teacher: String,
        /// Why not.
        reason: String,
        /// What to do next, as [`TrainError::help`] says it.
        help: Vec<String>,
    },
    /// An objective, or what joins gradients, fails in its own way.
    #[error("{0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The loss is no longer a finite number.
    #[error(
        "the loss is {loss} at update {step} (epoch {epoch}), learning rate {learning_rate}; samples: {}",
        listed(samples)
    )]
    Diverged {
        /// The loss of the first such sample.
        loss: f64,
        /// The update that it was found in.
        step: u64,
        /// Its epoch, from 1.
        epoch: usize,
        /// The learning rate of the update.
        learning_rate: f64,
        /// Ids of the samples with such a loss, at most ten.
        samples: Vec<String>,
    },
    /// Weights, or the scores of validation samples, are not finite numbers.
    #[error("the weights have overflowed in epoch {epoch}")]
    Overflowed {
        /// The epoch, from 1.
        epoch: usize,
    },
    /// `stop` was set while something was worked out that no checkpoint keeps; the same call works it out
    /// again.
    #[error("interrupted")]
    Interrupted,
    /// Another of the processes that train together has failed.
    #[error("rank {rank}: {reason}")]
    OtherRank {
        /// Its number.
        rank: usize,
        /// What it said.
        reason: String,
    },
    /// The processes that train together differ in what all must share.
    #[error("rank {rank} has other {what} than rank 0")]
    RanksDiffer {
        /// The first that differs.
        rank: usize,
        /// What it has: data, first weights, or a checkpoint.
        what: &'static str,
    },
    /// The batches cannot be shared among so many processes.
    #[error(
        "{ranks} ranks cannot share {shards} virtual shards: their number is a power of 2, at most {shards}"
    )]
    NumRanks {
        /// Processes.
        ranks: usize,
        /// Virtual shards of a batch.
        shards: usize,
    },
    /// A batch has fewer samples of a part than it has shards.
    #[error("{shards} virtual shards cannot share the {samples} samples of a part of a batch")]
    SmallPart {
        /// Virtual shards of a batch.
        shards: usize,
        /// Samples of the smallest part.
        samples: usize,
    },
    /// The data has changed since the run began.
    #[error("the data has changed since this run began, so it cannot be continued")]
    DataChanged,
    /// A teacher, a pretrained network or the file of triplets is not the one that the run began with.
    #[error(
        "a teacher, the pretrained network or the file of triplets has changed since this run began, so it \
         cannot be continued"
    )]
    LessonsChanged,
}

impl From<InferenceError> for TrainError {
    fn from(error: InferenceError) -> Self {
        match error {
            InferenceError::Data(error) => error.into(),
            InferenceError::Interrupted => Self::Interrupted,
        }
    }
}

impl From<AnalysisError> for TrainError {
    fn from(error: AnalysisError) -> Self {
        match error {
            AnalysisError::Inference(error) => error.into(),
            AnalysisError::Data(error) => error.into(),
            AnalysisError::Model(error) => error.into(),
            AnalysisError::Retrieval(error) => error.into(),
            AnalysisError::Overflowed { epoch } => Self::Overflowed { epoch },
        }
    }
}

impl From<TeacherError> for TrainError {
    fn from(error: TeacherError) -> Self {
        match error {
            TeacherError::Load(error) => error.into(),
            TeacherError::Data(error) => error.into(),
            TeacherError::Cache(error) => error.into(),
            TeacherError::Refused { teacher, reason, help } => Self::Teacher { teacher, reason, help },
        }
    }
}

impl TrainError {
    /// What to do next, as [`DataError::help`](mentor_data::DataError::help) says it.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        let ways: &[&str] = match self {
            Self::Data(error) => return error.help(),
            Self::Retrieval(error) => return error.help(),
            Self::RunDir(error) => return error.help(),
            Self::Backbone(error) => return error.error.help(),
            Self::Checkpoint(error) => return error.help(),
            Self::Cache(error) => return error.help(),
            Self::Load(error) => return error.help(),
            Self::Labels(error) => return error.help(),
            Self::Selection(error) => return error.help(),
            Self::Calibration(error) => return error.help(),
            Self::Teacher { help, .. } => return help.clone(),
            Self::SelfTrain { help, .. } => &[help],
            Self::Linear(LinearError::Separable | LinearError::NoPenalty) => {
                &["set `penalty.l2`, such as to 1e-6"]
            }
            Self::Linear(LinearError::EmptyClass { .. }) => &["leave the class out"],
            Self::Linear(error) => return error.help(),
            Self::Model(_) | Self::Loss(_) | Self::Plan(_) | Self::Other(_) => &[],
            Self::Diverged { .. } => {
                &["lower `optimizer.learning_rate`, lengthen `schedule.warmup_epochs` or set \
                 `optimizer.clip_norm`, and choose another `out`"]
            }
            Self::Overflowed { .. } => &["lower `optimizer.learning_rate`, and choose another `out`"],
            Self::Interrupted => &["do the same again: it goes on"],
            Self::OtherRank { .. } => &["do the same again: it goes on from the last checkpoint"],
            Self::RanksDiffer { .. } => {
                &["give all ranks the same files, of the same program, on processors of one kind"]
            }
            Self::NumRanks { .. } => &["start 1, 2, 4 or 8 ranks", "raise `training.virtual_shards`"],
            Self::SmallPart { .. } => &["lower `training.virtual_shards`", "raise `optimizer.batch_size`"],
            Self::DataChanged => &["restore the data", "choose another `out`"],
            Self::LessonsChanged => &["restore it", "choose another `out`"],
        };
        ways.iter().map(|&way| way.to_owned()).collect()
    }
}
