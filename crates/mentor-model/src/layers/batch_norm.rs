//! Batch normalisation (Ioffe and Szegedy 2015).

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use mentor_kernels::{Normalisation, Normalised, Running, batch_norm, batch_norm_of_sum, batch_norm_plus};

use super::running::RunningTensor;
use crate::Pass;
use crate::init::{Fill, Init};

const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// y = γ (x − μ) / √(σ² + 1e-5) + β for each channel.
///
/// In training μ and σ² are those of the batch over its n = B·H·W values (σ² divided by n), the gradient goes
/// through both, and the running statistics move by a tenth: r ← 0.9 r + 0.1 · batch. The running variance
/// takes the unbiased estimate, σ²·n/(n − 1), as in PyTorch (Burn's layer takes the biased one); for n = 1
/// there is none, and 0 is taken. In inference μ and σ² are the running statistics.
#[derive(Module, Debug)]
pub(crate) struct BatchNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    running_mean: RunningTensor,
    running_var: RunningTensor,
}

/// Whether `path` is that of a running statistic, which no optimiser may touch.
pub fn is_running_statistic(path: &str) -> bool {
    path.ends_with(".running_mean") || is_running_variance(path)
}

/// Whether `path` is that of a running variance, which is never negative.
pub(crate) fn is_running_variance(path: &str) -> bool {
    path.ends_with(".running_var")
}

impl BatchNorm {
    pub(crate) fn new(init: &mut Init<'_>, channels: usize) -> Self {
        let device = init.device();
        Self {
            gamma: init.parameter([channels], Fill::Ones),
            beta: init.parameter([channels], Fill::Zeros),
            running_mean: RunningTensor::new(init.next_id(), Tensor::zeros([channels], device)),
            running_var: RunningTensor::new(init.next_id(), Tensor::ones([channels], device)),
        }
    }

    /// `[B, C, H, W]`, unchanged in shape.
    pub(crate) fn forward(&self, input: Tensor<4>, pass: &Pass<'_>) -> Tensor<4> {
        self.apply(pass, false, |by| batch_norm(input, by)).output
    }

    /// [`forward`](Self::forward) and a ReLU.
    pub(crate) fn forward_relu(&self, input: Tensor<4>, pass: &Pass<'_>) -> Tensor<4> {
        self.apply(pass, true, |by| batch_norm(input, by)).output
    }

    /// [`forward_relu`](Self::forward_relu) of a sum, which the same pass computes: it is the `input` of what
    /// is returned.
    pub(crate) fn forward_relu_of(&self, sum: Sum, pass: &Pass<'_>) -> Normalised {
        self.apply(pass, true, |by| match sum.branch {
            Some(branch) => batch_norm_of_sum(branch, sum.shortcut, by),
            None => batch_norm(sum.shortcut, by),
        })
    }

    /// relu(shortcut + norm(input)), in one pass.
    pub(crate) fn forward_plus_relu(
        &self,
        input: Tensor<4>,
        shortcut: Tensor<4>,
        pass: &Pass<'_>,
    ) -> Normalised {
        self.apply(pass, true, |by| batch_norm_plus(input, shortcut, by))
    }

    fn apply(
        &self,
        pass: &Pass<'_>,
        relu: bool,
        call: impl FnOnce(Normalisation) -> Normalised,
    ) -> Normalised {
        let running = match pass {
            Pass::Inference => {
                Some(Running { mean: self.running_mean.value(), variance: self.running_var.value() })
            }
            Pass::Training(_) => None,
        };
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        let normalised = call(Normalisation { gamma, beta, running, epsilon: EPSILON, relu });
        if let Pass::Training(_) = pass {
            let [batch, _, height, width] = normalised.output.dims();
            let count = (batch * height * width) as f64;
            let unbiased = count / (count - 1.0).max(1.0);
            let mean = normalised.mean.clone().without_autodiff();
            let variance = normalised.variance.clone().without_autodiff();
            self.running_mean.update(|running| running * (1.0 - MOMENTUM) + mean * MOMENTUM);
            self.running_var.update(|running| running * (1.0 - MOMENTUM) + variance * (MOMENTUM * unbiased));
        }
        normalised
    }
}

/// shortcut + branch, for a normalisation to compute; the shortcut alone where no branch has come yet.
#[derive(Clone, Debug)]
pub(crate) struct Sum {
    pub(crate) shortcut: Tensor<4>,
    pub(crate) branch: Option<Tensor<4>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Noise;
    use burn::tensor::{Device, TensorData};
    use mentor_random::{Purpose, Stream};

    const SHAPE: [usize; 4] = [3, 2, 2, 5];
    const COUNT: f64 = 30.0;

    fn random(stream: u64, shift: f32) -> Vec<f32> {
        let mut stream = Stream::new(11, Purpose::Weights, &[stream]);
        (0..60).map(|_| stream.normal() * 2.0 + shift).collect()
    }

    /// The values of one channel, in f64.
    fn channel(values: &[f32], channel: usize) -> Vec<f64> {
        let planes = values.chunks(10).skip(channel).step_by(2);
        planes.flatten().map(|&value| f64::from(value)).collect()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    fn variance(values: &[f64]) -> f64 {
        let centre = mean(values);
        values.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / values.len() as f64
    }

    fn layer(device: &Device) -> BatchNorm {
        let mut layer = BatchNorm::new(&mut Init::new(0, device), 2);
        let parameter = |values: [f32; 2]| Param::from_data(TensorData::from(values), device);
        (layer.gamma, layer.beta) = (parameter([1.5, -0.5]), parameter([0.25, 2.0]));
        layer
    }

    fn close(found: &[f32], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (&found, expected) in found.iter().zip(expected) {
            assert!(
                (f64::from(found) - expected).abs() < 2e-5 * (1.0 + expected.abs()),
                "{found} {expected}"
            );
        }
    }

    #[test]
    fn training_pass_gradient_and_statistics_are_those_of_a_plain_oracle() {
        let device = Device::flex().autodiff();
        let (input, weight) = (random(1, 3.0), random(2, 0.0));
        let x = Tensor::<4>::from_data(TensorData::new(input.clone(), SHAPE), &device).require_grad();
        let layer = layer(&device);
        let noise = Noise { seed: 0, draw: 0, samples: &[0, 1, 2] };
        let output = layer.forward(x.clone(), &Pass::Training(&noise));
        let loss = output.clone() * Tensor::<4>::from_data(TensorData::new(weight.clone(), SHAPE), &device);
        let grads = loss.sum().backward();
        let output: Vec<f32> = output.into_data().try_to_vec().unwrap();
        let gradient: Vec<f32> = x.grad(&grads).unwrap().into_data().try_to_vec().unwrap();
        let grad_of =
            |param: &Param<Tensor<1>>| param.val().grad(&grads).unwrap().into_data().try_to_vec::<f32>();
        let (grad_gamma, grad_beta) = (grad_of(&layer.gamma).unwrap(), grad_of(&layer.beta).unwrap());
        let running_mean: Vec<f32> = layer.running_mean.value().into_data().try_to_vec().unwrap();
        let running_var: Vec<f32> = layer.running_var.value().into_data().try_to_vec().unwrap();

        for (c, (gamma, beta)) in [(1.5, 0.25), (-0.5, 2.0)].into_iter().enumerate() {
            let (x, g) = (channel(&input, c), channel(&weight, c));
            let deviation = (variance(&x) + 1e-5).sqrt();
            let centre = mean(&x);
            let normal: Vec<f64> = x.iter().map(|x| (x - centre) / deviation).collect();
            let expected: Vec<f64> = normal.iter().map(|n| gamma * n + beta).collect();
            let products: Vec<f64> = g.iter().zip(&normal).map(|(g, n)| g * n).collect();
            let slope: Vec<f64> = g
                .iter()
                .zip(&normal)
                .map(|(g_i, n)| gamma / deviation * (g_i - mean(&g) - n * mean(&products)))
                .collect();
            let found = |values: &[f32]| -> Vec<f32> {
                channel(values, c).into_iter().map(|value| value as f32).collect()
            };
            close(&found(&output), &expected);
            close(&found(&gradient), &slope);
            close(&[grad_gamma[c], grad_beta[c]], &[products.iter().sum(), g.iter().sum()]);
            let unbiased = variance(&x) * COUNT / (COUNT - 1.0);
            close(&[running_mean[c], running_var[c]], &[0.1 * centre, 0.9 + 0.1 * unbiased]);
        }
    }

    #[test]
    fn inference_uses_the_running_statistics_and_leaves_them() {
        let device = Device::flex();
        let layer = layer(&device);
        layer.running_mean.update(|_| Tensor::from_floats([1.0, -1.0], &device));
        layer.running_var.update(|_| Tensor::from_floats([4.0, 0.25], &device));
        let input = random(3, 0.0);
        let x = Tensor::<4>::from_data(TensorData::new(input.clone(), SHAPE), &device);
        let output: Vec<f32> = layer.forward(x, &Pass::Inference).into_data().try_to_vec().unwrap();
        let statistics = [(1.5, 0.25, 1.0, 4.0), (-0.5, 2.0, -1.0, 0.25)];
        for (c, (gamma, beta, mean, var)) in statistics.into_iter().enumerate() {
            let scale = |x: &f64| gamma * (x - mean) / (var + 1e-5f64).sqrt() + beta;
            let expected: Vec<f64> = channel(&input, c).iter().map(scale).collect();
            let found: Vec<f32> = channel(&output, c).into_iter().map(|value| value as f32).collect();
            close(&found, &expected);
        }
        assert_eq!(layer.running_mean.value().into_data().try_to_vec::<f32>().unwrap(), [1.0, -1.0]);
    }

    #[test]
    fn one_value_a_channel_stays_finite() {
        let device = Device::flex();
        let layer = layer(&device);
        let noise = Noise { seed: 0, draw: 0, samples: &[0] };
        let x = Tensor::<4>::from_data(TensorData::new(vec![5.0f32, 7.0], [1, 2, 1, 1]), &device);
        let output: Vec<f32> = layer.forward(x, &Pass::Training(&noise)).into_data().try_to_vec().unwrap();
        assert_eq!(output, [0.25, 2.0]);
        let variance: Vec<f32> = layer.running_var.value().into_data().try_to_vec().unwrap();
        close(&variance, &[0.9, 0.9]);
    }
}
