//! Network families by name, with weights in and out.
//!
//! A [`ModelSpec`] (a name such as `wrn-16-2`, the input's shape, the [`Head`]) and a seed give a [`Model`];
//! [`Model::scores`] and [`Model::embeddings`] turn a batch of images into one row an image. Whether the network trains or infers is an argument of the call, [`Pass`], never a hidden switch.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use mentor_model::{Model, ModelSpec, Pass};
//!
//! let spec = ModelSpec::new("mlp:32,16", [1, 8, 8], 10);
//! let model = Model::new(&spec, 0, &Device::flex())?;
//! let images = Tensor::zeros([5, 1, 8, 8], &Device::flex());
//! assert_eq!(model.scores(images.clone(), &Pass::Inference).dims(), [5, 10]);
//! assert_eq!(model.embeddings(images, &Pass::Inference).dims(), [5, 16]);
//! assert_eq!(model.num_params(), 64 * 32 + 32 + 32 * 16 + 16 + 16 * 10 + 10);
//! # Ok::<(), mentor_model::ModelError>(())
//! ```
//!
//! Files, from the outside in: `architecture` (names), `spec` (what is built), `model` (the one type that
//! others hold), one file a family, `layers` (what the families are built from; the one place where a device
//! would get a faster kernel), `init` (first values), `weights` (safetensors, hashes).

mod architecture;
mod error;
mod families;
mod init;
mod layers;
mod model;
mod pass;
mod shapes;
mod spec;
mod weights;

pub use architecture::{Architecture, Family, catalogue};
pub use error::ModelError;
pub use model::Model;
pub use pass::{Noise, Pass};
pub use shapes::tensor_shapes;
pub use spec::{Head, ModelSpec};
pub use weights::{
    NamedTensor, is_penalised, load_safetensors, parameters, to_safetensors, weights_blake3, with_parameters,
};
