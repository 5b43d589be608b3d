//! The engine: the loop, and what it consists of. It trains whatever [`Objective`](objective::Objective) it is given.

pub(crate) mod checkpoint;
pub(crate) mod ema;
pub(crate) mod error;
pub(crate) mod finish;
pub(crate) mod gradients;
pub(crate) mod job;
pub(crate) mod objective;
pub(crate) mod observed;
pub(crate) mod optimizer;
pub(crate) mod outcome;
pub(crate) mod trainee;
pub(crate) mod training_data;
pub(crate) mod training_loop;
pub(crate) mod validation;

pub use checkpoint::CheckpointError;
pub use ema::{ema_decay, update_average};
pub use error::TrainError;
pub use gradients::ParameterTensors;
pub use optimizer::Optimizer;
