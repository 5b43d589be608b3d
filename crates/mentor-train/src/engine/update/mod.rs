//! From gradients to weights.

pub(crate) mod ema;
pub(crate) mod flat;
pub(crate) mod gradients;
mod layer_decay;
pub(crate) mod optimizer;
pub(crate) mod pairwise;
pub(crate) mod ranks;
pub(crate) mod reduce;
