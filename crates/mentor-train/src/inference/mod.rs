//! Inference: a model over a data set, and models that were trained before.

pub(crate) mod device;
pub(crate) mod error;
pub(crate) mod evaluate;
pub(crate) mod first_weights;
pub(crate) mod frozen;
pub(crate) mod model_file;
pub(crate) mod model_file_2;
pub(crate) mod model_loss;
pub(crate) mod rows;
pub(crate) mod speed;
pub(crate) mod trained_model;
pub(crate) mod tuned;
pub(crate) mod weights;

pub use first_weights::{FirstWeights, first_weights};
pub use frozen::OpenError;
pub use model_file::{ModelData, ModelFile};
pub use model_loss::ModelLoss;
pub use rows::{PredictError, Predictions, Rows};
pub use trained_model::{LoadError, TrainedModel};
