//! Plan, optimisers, the loop, evaluation, checkpoints and run directories.
//!
//! ```text
//! Config (as written) ─▶ Plan (checked) ─▶ train ─▶ TrainEvents, run directory
//!                                                     └─▶ TrainedModel ─▶ Evaluation
//! ```
//!
//! Read [`recipes::supervised`] first: it is the loop. Nothing in this crate prints; a caller
//! observes [`TrainEvent`]s.

mod analyse;
pub mod analysis;
mod checkpoint;
mod config;
pub mod embedding_analysis;
mod error;
mod evaluate;
pub mod evaluation;
mod event;
mod finish;
mod observed;
mod optimizer;
mod plan;
pub mod recipes;
pub mod retrieval;
mod run_dir;
mod schedule;
mod trained_model;
mod training_data;
mod trajectory;
mod weights;

pub use checkpoint::CheckpointError;
pub use config::{
    Config, ConfigError, DataConfig, LossConfig, ModelConfig, OptimizerConfig, PenaltyConfig, ScheduleConfig,
    TrainingConfig,
};
pub use error::TrainError;
pub use evaluate::SampleResult;
pub use evaluation::Evaluation;
pub use event::{EpochMetrics, MetricsLine, Started, StepMetrics, TrainEvent};
pub use optimizer::Optimizer;
pub use plan::{LossPlan, OptimizerPlan, Plan, PlanError};
pub use recipes::supervised::{Outcome, train};
pub use run_dir::{MODEL_FORMAT, MetricsWriter, ModelFile, RunDir, RunDirError, Summary};
pub use schedule::{Schedule, Shape};
pub use trained_model::{LoadError, TrainedModel};
