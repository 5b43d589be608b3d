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
mod calibration;
mod checkpoint;
mod class_differences;
mod config;
mod distill_plan;
mod ema;
pub mod embedding_analysis;
pub mod embedding_fidelity;
mod error;
mod evaluate;
pub mod evaluation;
mod event;
pub mod fidelity;
mod finish;
mod landscape;
mod loss_plan;
mod mcnemar;
mod objective;
mod observed;
mod optimizer;
mod picture;
mod plan;
mod plan_error;
mod prior;
pub mod pseudo_labels;
pub mod recipes;
pub mod retrieval;
mod run_dir;
mod schedule;
mod self_train_plan;
pub mod self_training;
mod stretch;
mod teacher_cache;
mod temperature;
mod trained_model;
mod training_data;
mod training_loop;
mod trajectory;
mod weights;

pub use calibration::{Calibration, CalibrationError, CalibrationFit, ClassPrior, Prior, calibrate};
pub use checkpoint::CheckpointError;
pub use class_differences::class_differences;
pub use config::{
    Config, ConfigError, DataConfig, LossConfig, ModelConfig, OptimizerConfig, PenaltyConfig, ScheduleConfig,
    TrainingConfig,
};
pub use distill_plan::{DistillConfig, DistillMode, DistillPlan};
pub use ema::{ema_decay, update_average};
pub use error::TrainError;
pub use evaluate::{SampleResult, ranked};
pub use evaluation::Evaluation;
pub use event::{EpochMetrics, MetricsLine, Started, StepMetrics, TrainEvent};
pub use loss_plan::{LossPlan, RankingBatches, RankingForm, RankingPlan, ScoreLossPlan, TripletForm};
pub use mcnemar::{McNemar, mcnemar};
pub use optimizer::Optimizer;
pub use plan::{OptimizerPlan, Plan};
pub use plan_error::PlanError;
pub use prior::{PRIOR_TOLERANCE, PriorMatch, class_shares, match_prior};
pub use recipes::{Labelling, Outcome, label, train};
pub use run_dir::{MODEL_FORMAT, MetricsWriter, ModelFile, RunDir, RunDirError, Summary, write_atomically};
pub use schedule::{Schedule, Shape};
pub use self_train_plan::{Pool, SelfTrainConfig, SelfTrainMethod, SelfTrainPlan};
pub use teacher_cache::{CacheError, CacheKey, CacheShape, TeacherCache};
pub use temperature::{TEMPERATURES, TemperatureFit, fit_temperature};
pub use trained_model::{LoadError, TrainedModel};
