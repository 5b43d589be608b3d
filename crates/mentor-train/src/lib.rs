//! From a checked plan to a trained model: optimisers, the loop, checkpoints, teachers, recipes.
//!
//! ```text
//! Config (as written) ─▶ Plan (checked) ─▶ train ─▶ TrainEvents, run directory
//!                                                     └─▶ TrainedModel ─▶ Evaluation
//! ```
//!
//! Read `engine::training_loop` first: it is the loop; then [`recipes`], what is minimised. Nothing in this crate prints; a
//! caller observes [`TrainEvent`](mentor_run::TrainEvent)s.

mod analysis;
mod engine;
mod inference;
mod plan;
pub mod pseudo_labels;
pub mod recipes;
mod teachers;

pub use engine::{CheckpointError, Optimizer, ParameterTensors, TrainError, ema_decay, update_average};
pub use inference::{
    FirstWeights, LoadError, ModelData, ModelFile, ModelLoss, PredictError, Predictions, Rows, TrainedModel,
    first_weights,
};
pub use plan::{
    DistillMode, DistillPlan, LossPlan, OptimizerPlan, Plan, PlanError, Pool, RankingBatches, RankingForm,
    RankingLoss, RankingPlan, Schedule, ScoreLossPlan, SelfTrainMethod, SelfTrainPlan, Shape, TripletForm,
};
pub use recipes::{LabelInput, Labelling, Outcome, estimate_self_training, label, train};
pub use teachers::{CacheError, CacheKey, CacheShape, TeacherCache};
