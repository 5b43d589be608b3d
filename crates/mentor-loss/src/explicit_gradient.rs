//! A loss whose value and gradient are computed by formulas of their own. This module reads tensors back:
//! losses on pairs and triplets are computed on the host.

use burn::tensor::{Tensor, TensorData};

/// The per-sample losses `values` `[N]`, with `gradient` `[N, D]` as their derivative with respect to
/// `inputs` `[N, D]`.
///
/// Row i of the gradient is the derivative of loss i, so losses must not depend on other rows; a loss of a
/// whole batch is a `values` of shape `[1]` with the derivative of that number. Neither `values` nor
/// `gradient` may carry a graph.
pub(crate) fn with_gradient(values: Tensor<1>, inputs: Tensor<2>, gradient: Tensor<2>) -> Tensor<1> {
    let num_losses = values.dims()[0];
    // Exactly 0 in value for finite inputs, and the identity in the graph.
    let zeros = inputs.clone().sub(inputs.detach());
    let carrier = zeros.mul(gradient);
    let carrier =
        if num_losses == carrier.dims()[0] { carrier.sum_dim(1) } else { carrier.sum().reshape([1, 1]) };
    values.add(carrier.reshape([num_losses]))
}

/// The values of embeddings `[N, D]`, row-major: the device sync of the losses on the host.
pub(crate) fn on_host(embeddings: &Tensor<2>) -> Vec<f32> {
    let data = embeddings.clone().detach().into_data().convert::<f32>();
    data.as_slice::<f32>().map(<[f32]>::to_vec).unwrap_or_default()
}

/// A loss of the host `[1]`, with its gradient `[N, D]` with respect to `embeddings`.
pub(crate) fn attach(embeddings: Tensor<2>, loss: f64, gradient: &[f64]) -> Tensor<1> {
    let device = embeddings.device();
    let gradient: Vec<f32> = gradient.iter().map(|&value| value as f32).collect();
    let gradient = Tensor::<2>::from_data(TensorData::new(gradient, embeddings.dims()), &device);
    with_gradient(Tensor::from_floats([loss as f32], &device), embeddings, gradient)
}
