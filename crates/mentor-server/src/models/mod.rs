//! The models that are served: what each must be able to do, and the thread that asks it.

pub(crate) mod metrics;
mod model_set;
mod model_thread;
mod served_model;

pub use model_set::{ModelSet, ModelSetError};
pub(crate) use model_thread::ModelThread;
pub use served_model::{Description, Neighbour, ServedModel};
