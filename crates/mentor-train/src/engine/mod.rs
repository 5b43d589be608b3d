//! The engine: the loop, and what it consists of. It trains whatever [`Objective`] it is given.

pub(crate) mod analysed;
pub(crate) mod checkpoint;
pub(crate) mod ema;
mod epoch_end;
pub(crate) mod error;
pub(crate) mod execution;
mod finish;
pub(crate) mod gradients;
pub(crate) mod job;
mod journal;
mod judged;
pub(crate) mod objective;
pub(crate) mod observed;
pub(crate) mod optimizer;
pub(crate) mod outcome;
mod reduce;
mod start;
pub(crate) mod trainee;
mod trainer;
pub(crate) mod training_data;
pub(crate) mod training_loop;
pub(crate) mod validation;
pub(crate) mod validation_set;

pub use checkpoint::CheckpointError;
pub use ema::{ema_decay, update_average};
pub use error::TrainError;
pub use execution::Execution;
pub use gradients::ParameterTensors;
pub use objective::{BatchLoss, Measure, Objective};
pub use optimizer::Optimizer;
pub use outcome::{Outcome, Trained};
pub use reduce::{OneProcess, Reduce};
pub use trainer::Trainer;
pub use validation::Validation;
pub use validation_set::ValidationSet;
