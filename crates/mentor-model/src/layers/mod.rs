//! What the families are built from. A network calls these layers and nothing else, so this is where a device
//! would be given a faster kernel.

mod batch_norm;
mod conv2d;
mod dense;
mod dropout;
mod layer_norm;
mod pool;
mod running;
mod stochastic_depth;
mod unit_norm;

pub use batch_norm::is_running_statistic;
pub(crate) use batch_norm::{BatchNorm, Sum, is_running_variance};
pub(crate) use conv2d::Conv2d;
pub(crate) use dense::Dense;
pub(crate) use dropout::Dropout;
pub(crate) use layer_norm::LayerNorm;
pub(crate) use pool::{global_average, max_pool};
pub(crate) use stochastic_depth::StochasticDepth;
pub(crate) use unit_norm::unit_norm;
