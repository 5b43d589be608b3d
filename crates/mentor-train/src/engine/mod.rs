//! The engine: the loop, and what it consists of. It trains whatever [`Objective`] it is given.

pub(crate) mod analysed;
pub(crate) mod checkpoint;
pub(crate) mod error;
pub(crate) mod execution;
pub(crate) mod job;
pub(crate) mod objective;
pub(crate) mod optimum;
pub(crate) mod outcome;
pub(crate) mod scored;
pub(crate) mod trainee;
mod trainer;
pub(crate) mod training_data;
pub(crate) mod training_loop;
pub(crate) mod update;

pub use checkpoint::CheckpointError;
pub use error::TrainError;
pub use execution::Execution;
pub use objective::batch_loss::{BatchLoss, Measure};
pub use objective::validation::Validation;
pub use objective::validation_set::ValidationSet;
pub use objective::{AcrossSamples, Objective};
pub use outcome::{Outcome, Trained};
pub use trainer::Trainer;
pub use update::ema::{ema_decay, update_average};
pub use update::gradients::ParameterTensors;
pub use update::optimizer::Optimizer;
pub use update::reduce::{OneProcess, Reduce};
