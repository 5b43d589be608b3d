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
mod analyse_embeddings;
mod checkpoint;
mod class_differences;
mod distill_plan;
mod ema;
mod error;
mod evaluate;
mod finish;
mod landscape;
mod loss_plan;
mod model_file;
mod objective;
mod observed;
mod optimizer;
mod plan;
mod plan_error;
pub mod pseudo_labels;
pub mod recipes;
mod schedule;
mod self_train_plan;
mod speed;
mod teacher_cache;
mod trained_model;
mod training_data;
mod training_loop;
mod trajectory;
mod weights;

pub use checkpoint::CheckpointError;
pub use class_differences::class_differences;
pub use distill_plan::{DistillMode, DistillPlan};
pub use ema::{ema_decay, update_average};
pub use error::TrainError;
pub use loss_plan::{LossPlan, RankingBatches, RankingForm, RankingPlan, ScoreLossPlan, TripletForm};
pub use model_file::ModelFile;
pub use optimizer::Optimizer;
pub use plan::{OptimizerPlan, Plan};
pub use plan_error::PlanError;
pub use recipes::{Labelling, Outcome, label, train};
pub use schedule::{Schedule, Shape};
pub use self_train_plan::{Pool, SelfTrainMethod, SelfTrainPlan};
pub use teacher_cache::{CacheError, CacheKey, CacheShape, TeacherCache};
pub use trained_model::{LoadError, TrainedModel};
