//! Pretrained networks: a file of weights in, features of images out, on the CPU.
//!
//! [`Backbone::open`] reads safetensors and both forms of `torch.save`, without running what a pickle names.
//! It finds out whose names the tensors have and which network they are of, folds normalisation into the
//! weights, and knows what an image must be: [`Backbone::preprocessing`]. [`Network::features`] computes; its
//! bits do not depend on the number of threads.
//!
//! [`ConvNet`] is a convolutional network as plain data, for who computes otherwise, such as with gradients.
//!
//! No tensor library stands below: arithmetic is on slices, in the vectors that the processor has, without
//! unsafe code.

mod architecture;
mod backbone;
mod conv_net;
mod error;
mod extract;
mod layouts;
mod network;
mod pickle;
mod picture;
mod tensor;
#[cfg(test)]
mod testing;
mod weights;

pub use architecture::{ARCHITECTURES, Architecture};
pub use backbone::{Backbone, KnownBy};
pub use error::BackboneError;
pub use layouts::preprocessing::{BackbonePreprocessing, Filter};
pub use layouts::{Layout, tensor_shapes};
pub use mentor_codec::Picture;
pub use network::Network;
pub use network::blocks::{Block, ConvLayer, ConvNet, Shortcut, Squeeze};
pub use network::convolution::{Activation, Filters};
pub use network::kernels::columns::{Padding, Window};
pub use network::layers::Gate;
pub use picture::read_picture;
pub use weights::FileForm;
