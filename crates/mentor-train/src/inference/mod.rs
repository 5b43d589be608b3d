//! Inference: a model over a data set, and models that were trained before.

pub(crate) mod device;
pub(crate) mod error;
pub(crate) mod evaluate;
pub(crate) mod model_file;
pub(crate) mod speed;
pub(crate) mod trained_model;
pub(crate) mod weights;

pub use model_file::ModelFile;
pub use trained_model::{LoadError, TrainedModel};
