//! From a checked plan to a trained model: optimisers, the loop, checkpoints, teachers, recipes.
//!
//! ```text
//! Config (as written) ─▶ Plan (checked) ─▶ train ─▶ TrainEvents, run directory
//!                                                     └─▶ TrainedModel ─▶ Evaluation
//! ```
//!
//! [`train`] runs the recipe of a [`Plan`]; [`Trainer`] trains own networks on own data with an own
//! [`Objective`], in the same loop. Read `engine::training_loop` first: it is the loop; then `recipes`, what
//! is minimised. Nothing in this crate prints; a caller observes [`TrainEvent`](mentor_run::TrainEvent)s.

mod analysis;
mod engine;
mod features;
mod inference;
mod plan;
pub mod pseudo_labels;
mod recipes;
mod teachers;

pub use engine::{
    AcrossSamples, BatchLoss, CheckpointError, Execution, Measure, Objective, OneProcess, Optimizer, Outcome,
    ParameterTensors, Reduce, TrainError, Trained, Trainer, Validation, ValidationSet, ema_decay,
    update_average,
};
pub use features::{FeatureRows, FeaturesOf};
pub use inference::{
    FirstWeights, LoadError, ModelData, ModelFile, ModelLoss, OpenError, PredictError, Predictions, Rows,
    TrainedModel, first_weights,
};
pub use plan::{
    DistillMode, DistillPlan, FrozenPlan, HeadPenalty, LossPlan, OptimizerPlan, OptimumPlan, PathPlan,
    PathRule, PenaltyTerm, PerClass, Plan, PlanError, Pool, RankingBatches, RankingForm, RankingLoss,
    RankingPlan, Recipe, Schedule, ScoreLossPlan, SelfTrainMethod, SelfTrainPlan, Shape, TrainingPlan,
    TripletForm,
};
pub use recipes::{DistillationObjective, LabelInput, Labelling, estimate_self_training, label, train};
pub use teachers::{
    AugmentedImages, CacheError, CacheKey, CacheShape, FixedOutputs, Teacher, TeacherCache, TeacherError,
    TrainedTeacher,
};
