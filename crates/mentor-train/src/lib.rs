//! Plan, optimisers, the loop, evaluation, checkpoints and run directories.
//!
//! ```text
//! Config (as written) ─▶ Plan (checked) ─▶ train ─▶ TrainEvents, run directory
//!                                                     └─▶ TrainedModel ─▶ Evaluation
//! ```
//!
//! Read `training_loop` first: it is the loop; then [`recipes`], what is minimised. Nothing in this crate prints; a caller
//! observes [`TrainEvent`]s.

mod analyse;
pub mod analysis;
mod checkpoint;
mod class_differences;
mod config;
mod distill_plan;
mod ema;
pub mod embedding_analysis;
pub mod embedding_fidelity;
mod error;
mod evaluate;
mod event;
pub mod fidelity;
mod finish;
mod landscape;
mod loss_plan;
mod objective;
mod observed;
mod optimizer;
mod picture;
mod plan;
mod plan_error;
pub mod pseudo_labels;
pub mod recipes;
mod run_dir;
mod schedule;
mod self_train_plan;
pub mod self_training;
mod teacher_cache;
mod trained_model;
mod training_data;
mod training_loop;
mod trajectory;
mod weights;

pub use checkpoint::CheckpointError;
pub use class_differences::class_differences;
pub use config::{
    Config, ConfigError, DataConfig, LossConfig, ModelConfig, OptimizerConfig, PenaltyConfig, ScheduleConfig,
    TrainingConfig,
};
pub use distill_plan::{DistillConfig, DistillMode, DistillPlan};
pub use ema::{ema_decay, update_average};
pub use error::TrainError;
pub use event::{EpochMetrics, MetricsLine, Started, StepMetrics, TrainEvent};
pub use loss_plan::{LossPlan, RankingBatches, RankingForm, RankingPlan, ScoreLossPlan, TripletForm};
pub use optimizer::Optimizer;
pub use plan::{OptimizerPlan, Plan};
pub use plan_error::PlanError;
pub use recipes::{Labelling, Outcome, label, train};
pub use run_dir::{MODEL_FORMAT, MetricsWriter, ModelFile, RunDir, RunDirError, Summary, write_atomically};
pub use schedule::{Schedule, Shape};
pub use self_train_plan::{Pool, SelfTrainConfig, SelfTrainMethod, SelfTrainPlan};
pub use teacher_cache::{CacheError, CacheKey, CacheShape, TeacherCache};
pub use trained_model::{LoadError, TrainedModel};
