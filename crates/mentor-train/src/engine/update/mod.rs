//! From gradients to weights.

pub(crate) mod ema;
pub(crate) mod gradients;
pub(crate) mod optimizer;
pub(crate) mod reduce;
