//! A run's configuration, directory, events and records.
//!
//! ```text
//! config   what the user wrote, unknown fields refused
//! records  what the files of a run hold, and the events that make some of them
//! run_dir  the directory: every file of a run is written and read here, whole or not at all
//! ```
//!
//! Nothing here computes or depends on tensors. A report needs only this crate.

pub mod config;
mod error;
pub mod files;
pub mod json;
pub mod records;
mod run_dir;

pub use config::{
    Config, ConfigError, DataConfig, DistillConfig, LossConfig, ModelConfig, OptimizerConfig, PathConfig,
    PenaltyConfig, ScheduleConfig, SelfTrainConfig, TrainingConfig, present_name,
};
pub use error::RunDirError;
pub use files::write_atomically;
pub use records::{
    BackboneRecord, Certificate, EpochMetrics, IterationMetrics, MetricsLine, PathModel, Picture,
    PlannedStage, Started, StepMetrics, Summary, TrainEvent,
};
pub use run_dir::{
    BACKBONE_FILE, DISTILLATION_FILE, EMBEDDING_FIDELITY_FILE, EMBEDDINGS_FILE, MODEL_FILE, MODEL_FORMAT,
    MetricsLog, MetricsWriter, OLDEST_MODEL_FORMAT, PATH_FILE, RunDir, SELF_TRAINING_FILE, checkpoint_name,
    checkpoint_step, same_data,
};
