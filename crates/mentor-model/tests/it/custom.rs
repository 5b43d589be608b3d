//! A network of the caller's own, and parameters that are held fixed.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use mentor_model::{
    Head, Model, ModelError, ModelSpec, NamedTensor, Network, Output, Pass, load_safetensors, parameters,
    to_safetensors, weights_blake3, with_parameters,
};

use crate::{build, host, images};

const INPUT: [usize; 3] = [1, 8, 8];

/// Two layers without biases, and a scale for each image: parameters of one, two and four axes.
#[derive(Module, Debug)]
struct Own {
    scale: Param<Tensor<4>>,
    layers: Vec<Param<Tensor<2>>>,
    shift: Param<Tensor<1>>,
}

impl Own {
    fn new(device: &Device) -> Self {
        let weight = |from: f32, shape: [usize; 2]| {
            let values: Vec<f32> = (0..shape[0] * shape[1]).map(|i| (from + i as f32).sin()).collect();
            Param::from_tensor(Tensor::<1>::from_floats(values.as_slice(), device).reshape(shape))
        };
        Self {
            scale: Param::from_tensor(Tensor::ones([1, 1, 8, 8], device)),
            layers: vec![weight(1.0, [64, 5]), weight(2.0, [5, 3])],
            shift: Param::from_tensor(Tensor::zeros([3], device)),
        }
    }
}

impl Network for Own {
    fn forward(&self, images: Tensor<4>, _: &Pass<'_>) -> Output {
        let features = (images * self.scale.val()).flatten::<2>(1, 3).matmul(self.layers[0].val()).tanh();
        let head = features.clone().matmul(self.layers[1].val()) + self.shift.val().unsqueeze();
        Output { features, head }
    }
}

fn own(device: &Device) -> Model {
    Model::custom("own", INPUT, Head::Classifier { num_classes: 3 }, Own::new(device)).unwrap()
}

fn values<'a>(tensors: &'a [NamedTensor], path: &str) -> &'a [f32] {
    &tensors.iter().find(|tensor| tensor.path == path).unwrap().values
}

#[test]
fn its_weights_go_out_and_in_by_name() {
    let device = Device::flex();
    let model = own(&device);
    let paths: Vec<String> = parameters(&model).into_iter().map(|tensor| tensor.path).collect();
    assert_eq!(paths, ["scale", "layers.0", "layers.1", "shift"]);
    assert_eq!(model.num_params(), 64 + 320 + 15 + 3);
    let mut changed = parameters(&model);
    changed[3].values = vec![1.0, 2.0, 3.0];
    let changed = with_parameters(model.clone(), changed).unwrap();
    assert_ne!(weights_blake3(&changed), weights_blake3(&model));
    let loaded = load_safetensors(model, &to_safetensors(&changed).unwrap()).unwrap();
    assert_eq!(weights_blake3(&loaded), weights_blake3(&changed));
    let scores = |model: &Model| host(model.scores(images(&[0, 1], INPUT, &device), &Pass::Inference));
    assert_eq!(scores(&loaded), scores(&changed));
    assert_eq!(loaded.embeddings(images(&[0], INPUT, &device), &Pass::Inference).dims(), [1, 5]);
}

#[test]
fn a_snapshot_without_autodiff_gives_the_same_and_keeps_its_values() {
    let device = Device::flex().autodiff();
    let model = own(&device);
    let scores = model.scores(images(&[0, 1], INPUT, &device), &Pass::Inference);
    assert!(scores.is_autodiff(), "its parameters take part in gradients");
    let plain = Device::flex();
    let snapshot = model.inference().scores(images(&[0, 1], INPUT, &plain), &Pass::Inference);
    assert_eq!(host(snapshot), host(scores.inner()));
}

#[test]
fn names_that_are_taken_and_numbers_that_cannot_be_are_refused() {
    let head = Head::Classifier { num_classes: 3 };
    for (name, input, head, expected) in [
        ("cnn", INPUT, head, "another"),
        ("resnet-19", INPUT, head, "another"),
        (" ", INPUT, head, "needs a name"),
        ("own", [0, 8, 8], head, "channels"),
        ("own", INPUT, Head::Classifier { num_classes: 1 }, "num_classes"),
    ] {
        let error = Model::custom(name, input, head, Own::new(&Device::flex())).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
#[should_panic(expected = "values of the head")]
fn a_head_of_another_size_than_promised_is_noticed_at_the_first_batch() {
    let device = Device::flex();
    let head = Head::Classifier { num_classes: 4 };
    let model = Model::custom("own", INPUT, head, Own::new(&device)).unwrap();
    model.scores(images(&[0], INPUT, &device), &Pass::Inference);
}

#[test]
fn frozen_parameters_get_no_gradient_and_others_the_same_as_before() {
    let device = Device::flex().autodiff();
    let spec = ModelSpec::new("resnet-8", INPUT, 10);
    let model = Model::new(&spec, 3, &device).unwrap();
    let frozen = model.clone().freeze(&["stem".to_owned(), "blocks.0".to_owned()]).unwrap();
    // Also after its values were set, as a run that goes on does.
    let frozen = with_parameters(frozen, parameters(&model)).unwrap();
    let gradients = |model: &Model| {
        let scores = model.scores(images(&[0, 1], INPUT, &device), &Pass::Inference);
        let gradients = scores.powi_scalar(2).sum().backward();
        let mut found = Gradients { gradients: &gradients, path: Vec::new(), found: Vec::new() };
        model.visit(&mut found);
        found.found
    };
    let (all, some) = (gradients(&model), gradients(&frozen));
    let left: Vec<_> = all
        .iter()
        .filter(|tensor| !tensor.path.starts_with("stem.") && !tensor.path.starts_with("blocks.0."))
        .cloned()
        .collect();
    assert!(left.len() < all.len());
    assert_eq!(some, left);
    assert!(!values(&all, "stem.weight").is_empty());

    let error = model.clone().freeze(&["block".to_owned()]).unwrap_err();
    assert!(matches!(error, ModelError::NothingFrozen { .. }), "{error}");
    assert!(error.to_string().contains("stem, norm, blocks, head"), "{error}");
    let running = model.clone().freeze(&["norm.running_mean".to_owned()]);
    assert!(running.is_err(), "no optimiser changes it anyway");
    let all = ["stem", "norm", "blocks", "head"].map(str::to_owned);
    assert!(matches!(model.freeze(&all), Err(ModelError::AllFrozen)));
}

struct Gradients<'a> {
    gradients: &'a burn::tensor::Gradients,
    path: Vec<String>,
    found: Vec<NamedTensor>,
}

impl burn::module::ModuleVisitor for Gradients<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        if let Some(gradient) = param.val().grad(self.gradients) {
            let shape = gradient.dims().to_vec();
            let values = gradient.into_data().iter::<f32>().collect();
            self.found.push(NamedTensor::new(self.path.join("."), shape, values));
        }
    }
}

#[test]
fn every_family_can_be_erased_and_visited_in_the_order_of_its_layers() {
    let device = Device::flex();
    for name in crate::SMALL {
        let model = build(name, [3, 32, 32], &device);
        let moved = model.clone().to_device(&device).fork(&device).train().valid().materialize();
        assert_eq!(weights_blake3(&moved), weights_blake3(&model), "{name}");
        assert_eq!(model.devices(), vec![device.clone()], "{name}");
    }
}
