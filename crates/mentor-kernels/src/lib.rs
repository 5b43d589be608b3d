//! Faster operations on the CPU, behind Burn's backend extension. The only crate of mentor with `unsafe`.
//!
//! Every function takes and gives Burn tensors, with or without gradients. On the `flex` device, in `f32`, a
//! kernel and a backward pass of this crate run; on any other device Burn's own operations do. A model calls
//! one function and does not know which.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//!
//! let device = Device::flex();
//! let x = Tensor::<2>::from_floats([[1.0, 2.0]], &device);
//! let weight = Tensor::<2>::from_floats([[1.0, -1.0], [0.5, 0.0]], &device);
//! let bias = Tensor::<1>::from_floats([0.0, 0.25], &device);
//! let y = mentor_kernels::linear_relu(x, weight, bias);
//! assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [2.0, 0.0]);
//! ```
//!
//! # Invariants
//!
//! - The bits of a result do not depend on the number of threads: a sum is taken in the order of its terms,
//!   or over chunks of a fixed size, which are then added in their order. They do depend on the instruction
//!   set.
//! - One product is still the engine's, whose bits may depend on the size of the caches as well: fewer rows
//!   than a tile times a weight of more than 32 columns.
//! - AVX-512, or AVX2 with FMA, is chosen at run time; every kernel has a portable form, and all are tested.

#[cfg(feature = "mimalloc")]
mod allocator;
mod host;
mod kernels;
mod ops;
pub mod simd;
#[cfg(test)]
mod testing;

#[cfg(feature = "mimalloc")]
pub use allocator::keep_freed_memory;
pub use kernels::conv;
pub use ops::activation::{hard_swish, relu6, silu};
pub use ops::adamw::AdamWUpdate;
pub use ops::attention::attention;
pub use ops::average_pool::global_average;
pub use ops::batch_norm::{
    Normalisation, Normalised, Running, batch_norm, batch_norm_of_sum, batch_norm_plus,
};
pub use ops::convolution::{conv2d, conv2d_relu};
pub use ops::depthwise::{DepthwiseWindow, depthwise_conv2d};
pub use ops::gelu::gelu;
pub use ops::layer_norm::layer_norm;
pub use ops::linear::{gelu_linear, linear, linear_relu};
pub use ops::mask::mask;
pub use ops::max_pool::max_pool2d;
pub use ops::penalty::penalty_rows;
pub use ops::residual::{add, add_relu, fork, scale_planes};
pub use ops::score_loss::{crammer_singer, softmax_cross_entropy, weston_watkins};
pub use ops::shortcut::shortcut;
pub use ops::token_mean::token_mean;
pub use ops::update::SgdUpdate;
