//! Gradients and running statistics as one vector, which can be summed over shards and sent.
//!
//! ```text
//! [values of the gradient, for each trainable parameter in the order of the network
//! | 1 for each of these that has a gradient, else 0
//! | weight · running statistics]
//! ```

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use mentor_model::{Model, is_running_statistic};

use crate::engine::update::gradients::ParameterTensors;
use crate::inference::device::to_host;

/// Gradients, and running statistics times `weight`, of a model. Reads them from the device.
pub(crate) fn flatten(gradients: ParameterTensors, model: &Model, weight: f32) -> Vec<f32> {
    let (values, present, running) = (Vec::new(), Vec::new(), Vec::new());
    let mut flatten = Flatten { gradients, weight, path: Vec::new(), values, present, running };
    model.visit(&mut flatten);
    [flatten.values, flatten.present, flatten.running].concat()
}

/// The gradients of a vector that was summed over shards, divided by `denominator`, and the model with its
/// running statistics divided by `weight`.
pub(crate) fn unflatten(
    sum: &[f32],
    model: Model,
    denominator: f32,
    weight: f32,
    device: &Device,
) -> (ParameterTensors, Model) {
    let mut lengths = Lengths::default();
    model.visit(&mut lengths);
    let (values, rest) = sum.split_at(lengths.values);
    let (present, running) = rest.split_at(lengths.parameters);
    let gradients = ParameterTensors::new();
    let mut unflatten = Unflatten { values, present, denominator, device, gradients };
    model.visit(&mut unflatten);
    let gradients = unflatten.gradients;
    let model = if running.is_empty() {
        model
    } else {
        model.map(&mut SetRunning { running, weight, path: Vec::new() })
    };
    (gradients, model)
}

struct Flatten {
    gradients: ParameterTensors,
    weight: f32,
    path: Vec<String>,
    values: Vec<f32>,
    present: Vec<f32>,
    running: Vec<f32>,
}

impl ModuleVisitor for Flatten {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if is_running_statistic(&self.path.join(".")) {
            let values = to_host(param.val().inner());
            self.running.extend(values.into_iter().map(|value| self.weight * value));
        } else if param.is_require_grad() {
            let gradient = self.gradients.remove::<D>(param.id);
            self.present.push(if gradient.is_some() { 1.0 } else { 0.0 });
            match gradient {
                Some(gradient) => self.values.extend(to_host(gradient)),
                None => self.values.resize(self.values.len() + param.shape().num_elements(), 0.0),
            }
        }
    }
}

/// Of the first two parts of the vector.
#[derive(Default)]
struct Lengths {
    values: usize,
    parameters: usize,
}

impl ModuleVisitor for Lengths {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // Running statistics take no part in gradients.
        if param.is_require_grad() {
            self.values += param.shape().num_elements();
            self.parameters += 1;
        }
    }
}

struct Unflatten<'a> {
    values: &'a [f32],
    present: &'a [f32],
    denominator: f32,
    device: &'a Device,
    gradients: ParameterTensors,
}

impl ModuleVisitor for Unflatten<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let shape = param.shape();
        let (own, rest) = self.values.split_at(shape.num_elements());
        self.values = rest;
        let (present, rest) = self.present.split_at(1);
        self.present = rest;
        if present[0] > 0.0 {
            let values: Vec<f32> = own.iter().map(|value| value / self.denominator).collect();
            let gradient = Tensor::<D>::from_data(TensorData::new(values, shape), self.device);
            self.gradients.register(param.id, gradient);
        }
    }
}

struct SetRunning<'a> {
    running: &'a [f32],
    weight: f32,
    path: Vec<String>,
}

impl ModuleMapper for SetRunning<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !is_running_statistic(&self.path.join(".")) {
            return param;
        }
        let (own, rest) = self.running.split_at(param.shape().num_elements());
        self.running = rest;
        let values: Vec<f32> = own.iter().map(|value| value / self.weight).collect();
        let device = param.val().device();
        let shape = param.shape();
        Param::initialized(param.id, Tensor::from_data(TensorData::new(values, shape), &device))
    }
}
