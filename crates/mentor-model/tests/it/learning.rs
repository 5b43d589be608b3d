//! Gradients and learning.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Gradients, Int, Tensor};
use mentor_model::{Model, ModelSpec, Noise, Pass, parameters};

use crate::{SMALL, assert_close, build, host, images};

const INPUT: [usize; 3] = [1, 8, 8];

/// Mean cross-entropy of `samples`, whose targets are their indices modulo 10.
fn loss(model: &Model, samples: &[u32], noise: &Noise<'_>, device: &Device) -> Tensor<1> {
    let targets: Vec<i32> = samples.iter().map(|&sample| (sample % 10) as i32).collect();
    let targets = Tensor::<1, Int>::from_ints(targets.as_slice(), device).reshape([samples.len(), 1]);
    let scores = model.scores(images(samples, INPUT, device), &Pass::Training(noise));
    -log_softmax(scores, 1).gather(1, targets).mean()
}

/// The gradient of every parameter that has one, by path.
struct Collect<'a> {
    grads: &'a Gradients,
    path: Vec<String>,
    found: Vec<(String, Vec<f32>)>,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(self.grads) {
            self.found.push((self.path.join("."), host(gradient)));
        }
    }
}

fn gradients(model: &Model, grads: &Gradients) -> Vec<(String, Vec<f32>)> {
    let mut collect = Collect { grads, path: Vec::new(), found: Vec::new() };
    model.visit(&mut collect);
    collect.found
}

/// One step of plain gradient descent.
struct Descend<'a> {
    grads: &'a Gradients,
    learning_rate: f64,
}

impl ModuleMapper for Descend<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = param.val().grad(self.grads) else { return param };
        param.map(|value| {
            let updated = value.inner() - gradient.inner() * self.learning_rate;
            Tensor::from_inner(updated).require_grad()
        })
    }
}

#[test]
fn the_gradient_reaches_every_trainable_parameter() {
    let device = Device::flex().autodiff();
    let samples: Vec<u32> = (0..12).collect();
    let noise = Noise { seed: 0, draw: 0, samples: &samples };
    for name in SMALL.into_iter().chain(["resnet-14", "wrn-16-1"]) {
        let model = build(name, INPUT, &device);
        let grads = loss(&model, &samples, &noise, &device).backward();
        let found = gradients(&model, &grads);
        let expected: Vec<String> = parameters(&model)
            .into_iter()
            .filter(|tensor| tensor.trainable)
            .map(|tensor| tensor.path)
            .collect();
        let paths: Vec<&String> = found.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, expected.iter().collect::<Vec<_>>(), "{name}");
        for (path, values) in &found {
            assert!(values.iter().all(|value| value.is_finite()), "{name} {path}");
            assert!(values.iter().any(|&value| value != 0.0), "{name} {path}");
        }
    }
}

#[test]
fn branches_that_noise_scales_by_one_have_the_gradients_of_branches_without_noise() {
    let device = Device::flex().autodiff();
    let samples: Vec<u32> = (0..12).collect();
    let noise = Noise { seed: 0, draw: 0, samples: &samples };
    for name in ["resnet-8", "resnet-14", "resnet-18", "wrn-10-2", "wrn-16-1"] {
        let found = [0.0, 1e-9].map(|stochastic_depth| {
            let mut spec = ModelSpec::new(name, INPUT, 10);
            spec.stochastic_depth = stochastic_depth;
            let model = Model::new(&spec, 0, &device).unwrap();
            gradients(&model, &loss(&model, &samples, &noise, &device).backward())
        });
        for ((path, found), (same, expected)) in found[0].iter().zip(&found[1]) {
            assert_eq!(path, same, "{name}");
            assert_close(found, expected, 1e-4);
        }
    }
}

#[test]
fn gradients_of_chunks_add_up_where_no_batch_statistics_are_used() {
    let device = Device::flex().autodiff();
    let samples: Vec<u32> = (0..8).collect();
    for name in ["mlp:24,12", "cnn", "vit-4-64-1"] {
        let mut spec = ModelSpec::new(name, INPUT, 10);
        spec.dropout = 0.3;
        let model = Model::new(&spec, 0, &device).unwrap();
        let of = |samples: &[u32]| {
            let noise = Noise { seed: 0, draw: 0, samples };
            let grads = (loss(&model, samples, &noise, &device) * samples.len() as f64).backward();
            gradients(&model, &grads)
        };
        let (whole, first, second) = (of(&samples), of(&samples[..3]), of(&samples[3..]));
        for ((whole, first), second) in whole.iter().zip(&first).zip(&second) {
            let sum: Vec<f32> = first.1.iter().zip(&second.1).map(|(first, second)| first + second).collect();
            assert_close(&sum, &whole.1, 1e-4);
        }
    }
}

#[test]
fn every_family_overfits_eight_images() {
    let device = Device::flex().autodiff();
    let samples: Vec<u32> = (0..8).collect();
    for (name, learning_rate, steps) in [
        ("linear", 0.1, 60),
        ("mlp:24,12", 0.2, 80),
        ("cnn", 0.05, 60),
        ("resnet-8", 0.1, 60),
        ("resnet-18", 0.02, 12),
        ("wrn-10-2", 0.1, 40),
        ("vit-4-64-1", 0.1, 80),
    ] {
        let mut model = build(name, INPUT, &device);
        let mut losses = Vec::new();
        for epoch in 0..steps {
            let noise = Noise { seed: 0, draw: epoch, samples: &samples };
            let loss = loss(&model, &samples, &noise, &device);
            let grads = loss.backward();
            losses.push(host(loss)[0]);
            model = model.map(&mut Descend { grads: &grads, learning_rate });
        }
        let last = losses[losses.len() - 1];
        assert!(last < 0.1, "{name}: {losses:?}");
        if name == "linear" {
            assert!((losses[0] - 10f32.ln()).abs() < 1e-5, "the first loss is ln C");
        }
    }
}
