//! Operations on tensors, one file or folder each: shape checks, the way back to Burn's operations on other
//! devices, the place on the tape and the backward pass. `extension` is the trait that Burn routes by device.

pub(crate) mod activation;
pub(crate) mod adamw;
pub(crate) mod attention;
pub(crate) mod average_pool;
pub(crate) mod batch_norm;
pub(crate) mod convolution;
pub(crate) mod depthwise;
pub(crate) mod extension;
pub(crate) mod gelu;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod mask;
pub(crate) mod max_pool;
pub(crate) mod penalty;
pub(crate) mod residual;
pub(crate) mod score_loss;
pub(crate) mod shortcut;
pub(crate) mod token_mean;
pub(crate) mod update;
