//! Network families by name, with weights in and out.
//!
//! A [`ModelSpec`] (a name such as `wrn-16-2`, the input's shape, the [`Head`]) and a seed give a [`Model`];
//! [`Model::scores`] and [`Model::embeddings`] turn a batch of images into one row an image. Whether the
//! network trains or infers is an argument of the call, [`Pass`], never a hidden switch.
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
//! A network of the caller's own is a type with the trait [`Network`]; [`Model::custom`] makes a model of it.
//!
//! Files, from the outside in: `weights` (safetensors, hashes), `model` (the one type that others hold),
//! `architecture` (names), one file a family in `families`, `layers` (what the families are built from; the
//! one place where a device would get a faster kernel), `init` (first values), `network` (what all of them
//! are).

mod architecture;
mod check;
mod error;
mod families;
mod init;
mod layers;
mod model;
mod network;
mod pass;
mod shapes;
mod spec;
mod weights;

pub use architecture::{Architecture, catalogue};
pub use error::ModelError;
pub use families::family::Family;
pub use layers::is_running_statistic;
pub use model::Model;
pub use network::{Network, Output};
pub use pass::{Noise, Pass};
pub use shapes::tensor_shapes;
pub use spec::{Head, ModelSpec};
pub use weights::{
    NamedTensor, TensorNames, init_from, is_penalised, load_safetensors, parameters, tensors_of,
    to_safetensors, weights_blake3, with_parameters,
};
