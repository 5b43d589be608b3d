//! What a network is: a type that turns images into features and the values of a head.

pub(crate) mod erased;

use burn::module::Module;
use burn::tensor::Tensor;

use crate::Pass;

/// What a network computes for a batch of B images.
#[derive(Clone, Debug)]
pub struct Output {
    /// The values that the head sees, before its dropout: `[B, D]`. For `linear`, the image itself.
    pub features: Tensor<2>,
    /// What the head, the last fully connected layer, gives: `[B, size of the head]`.
    pub head: Tensor<2>,
}

/// A network. mentor's families are such types, and so can be one of the caller's own: [`Model::custom`]
/// makes a model of it, which is then trained, averaged, saved and loaded like any other.
///
/// Its parameters are those that the derived [`Module`] visits, each under the path of its fields, such as
/// `blocks.0.weight`: the names of the tensors in files. Every one holds 32-bit floats. A tensor whose path
/// ends in `.running_mean` or `.running_var` is saved and averaged with the others, and no optimiser changes
/// it.
///
/// The same images, pass and parameters must give the same output, whatever the number of threads: a run that
/// was interrupted repeats what it did. Noise is therefore a function of [`Noise`](crate::Noise), never of a
/// global generator.
///
/// ```
/// use burn::module::{Module, Param};
/// use burn::tensor::{Device, Tensor};
/// use mentor_model::{Head, Model, Network, Output, Pass, parameters};
///
/// /// Scores from the mean brightness of an image alone.
/// #[derive(Module, Debug)]
/// struct Brightness {
///     weight: Param<Tensor<2>>,
/// }
///
/// impl Network for Brightness {
///     fn forward(&self, images: Tensor<4>, _: &Pass<'_>) -> Output {
///         let features: Tensor<2> = images.flatten::<2>(1, 3).mean_dim(1); // [B, 1]
///         Output { head: features.clone().matmul(self.weight.val()), features }
///     }
/// }
///
/// let weight = Param::from_tensor(Tensor::from_floats([[1.0, -1.0]], &Device::flex()));
/// let head = Head::Classifier { num_classes: 2 };
/// let model = Model::custom("brightness", [1, 8, 8], head, Brightness { weight })?;
/// let scores = model.scores(Tensor::ones([3, 1, 8, 8], &Device::flex()), &Pass::Inference);
/// assert_eq!(scores.dims(), [3, 2]);
/// assert_eq!(parameters(&model)[0].path, "weight");
/// # Ok::<(), mentor_model::ModelError>(())
/// ```
///
/// [`Model::custom`]: crate::Model::custom
pub trait Network: Module + Sync + 'static {
    /// Features and head of a batch of images `[B, C, H, W]`.
    fn forward(&self, images: Tensor<4>, pass: &Pass<'_>) -> Output;
}
