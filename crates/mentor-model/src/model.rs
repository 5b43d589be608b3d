//! The one type that the rest of mentor holds.

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

use crate::init::Init;
use crate::layers::{is_running_statistic, unit_norm};
use crate::network::erased::ErasedNetwork;
use crate::shapes::{begins_with, tensor_shapes};
use crate::{Architecture, Head, ModelError, ModelSpec, Network, Output, Pass};

/// More parameters than this (8 GiB of them) are taken for a typing error.
const MAX_PARAMS: u64 = 1 << 31;

/// A network with its weights.
///
/// A clone is a snapshot: training goes on without changing it, running statistics included. It is also a
/// Burn [`Module`]; the paths that its visitors see (`blocks.0.conv1.weight`) are those of the safetensors
/// file. In mentor's families the identities of the parameters are their positions in the network, the same
/// in every process. Two models therefore share identities: each needs an optimiser of its own.
///
/// For evaluation, [`Model::inference`] gives a copy without autodiff.
#[derive(Debug)]
pub struct Model {
    spec: ModelSpec,
    network: Box<dyn ErasedNetwork>,
}

impl Clone for Model {
    fn clone(&self) -> Self {
        Self { spec: self.spec.clone(), network: self.network.snapshot() }
    }
}

impl Model {
    /// The network of `spec` on `device`, with first values that depend on `seed` and the network alone. On a
    /// device with autodiff its parameters take part in gradients.
    ///
    /// The values are drawn at the first use, so a model that is only counted or loaded costs nothing.
    ///
    /// # Errors
    ///
    /// Those of [`ModelSpec::check`], and a network of more than 2³¹ parameters.
    pub fn new(spec: &ModelSpec, seed: u64, device: &Device) -> Result<Self, ModelError> {
        let architecture = spec.check()?;
        let mut init = Init::new(seed, device);
        let network = architecture.build(spec, &mut init);
        if init.num_values() > MAX_PARAMS {
            return Err(ModelError::TooLarge {
                architecture: spec.architecture.clone(),
                num_params: init.num_values(),
                limit: MAX_PARAMS,
            });
        }
        Ok(Self { spec: spec.clone(), network })
    }

    /// A model of a network of the caller's own, for images `input` (channels, height, width); `name` stands
    /// for its architecture in files.
    ///
    /// The network must give one value for each of the head's [`size`](Head::size); the model divides
    /// embeddings by their norm if the head says so.
    ///
    /// # Errors
    ///
    /// [`ModelError::InvalidArchitecture`] if the name is empty or means one of mentor's families;
    /// [`ModelError::InvalidParameter`] for a number outside its range.
    pub fn custom(
        name: impl Into<String>,
        input: [usize; 3],
        head: Head,
        network: impl Network,
    ) -> Result<Self, ModelError> {
        let spec = ModelSpec { architecture: name.into(), input, head, dropout: 0.0, stochastic_depth: 0.0 };
        let taken = match spec.architecture.parse::<Architecture>() {
            _ if spec.architecture.trim().is_empty() => Some("a network needs a name"),
            Ok(_) | Err(ModelError::InvalidArchitecture { .. }) => {
                Some("is the name of a family of mentor's; give the network another")
            }
            Err(_) => None,
        };
        if let Some(problem) = taken {
            let (name, problem) = (spec.architecture, problem.to_owned());
            return Err(ModelError::InvalidArchitecture { name, problem });
        }
        spec.check_numbers()?;
        Ok(Self { spec, network: Box::new(network) })
    }

    /// f(x, W), before any softmax, of a batch of images `[B, C, H, W]`: `[B, num_classes]`.
    ///
    /// # Panics
    ///
    /// If the model has no classifier; if the images have another shape than the specification's `input`, or
    /// the noise names another number of samples than there are images; if a network of the caller's own
    /// gives another number of values than its head has.
    pub fn scores(&self, images: Tensor<4>, pass: &Pass<'_>) -> Tensor<2> {
        assert!(matches!(self.spec.head, Head::Classifier { .. }), "an embedding model gives no scores");
        self.forward(images, pass).head
    }

    /// Embeddings of a batch of images `[B, C, H, W]`: what the embedding head gives, `[B, size]`; of a
    /// classifier, the features that its last layer sees.
    ///
    /// # Panics
    ///
    /// As [`Model::scores`], except for the first.
    pub fn embeddings(&self, images: Tensor<4>, pass: &Pass<'_>) -> Tensor<2> {
        let output = self.forward(images, pass);
        match self.spec.head {
            Head::Classifier { .. } => output.features,
            Head::Embedding { unit_norm: false, .. } => output.head,
            Head::Embedding { unit_norm: true, .. } => unit_norm(output.head),
        }
    }

    fn forward(&self, images: Tensor<4>, pass: &Pass<'_>) -> Output {
        let [batch, channels, height, width] = images.dims();
        let expected = self.spec.input;
        assert_eq!([channels, height, width], expected, "images of another shape than the model's input");
        if let Pass::Training(noise) = pass {
            assert_eq!(noise.samples.len(), batch, "noise for another number of samples than the batch has");
        }
        let output = self.network.forward(images, pass);
        assert_eq!(output.head.dims(), [batch, self.spec.head.size()], "values of the head of a batch");
        output
    }

    /// What the model was built from.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// Number of trainable values; running statistics are not counted.
    pub fn num_params(&self) -> usize {
        let trainable = tensor_shapes(self).into_iter().filter(|(path, _)| !is_running_statistic(path));
        trainable.map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// The model with the parameters whose paths begin with one of `prefixes` held fixed: they get no
    /// gradient, so that no optimiser changes them. Running statistics go on following the batches. An empty
    /// list changes nothing.
    ///
    /// # Errors
    ///
    /// [`ModelError::NothingFrozen`] for a prefix that no trainable parameter has, and
    /// [`ModelError::AllFrozen`] if none is left to be trained.
    pub fn freeze(self, prefixes: &[String]) -> Result<Self, ModelError> {
        if prefixes.is_empty() {
            return Ok(self);
        }
        let shapes = tensor_shapes(&self);
        let trainable = || shapes.iter().map(|(path, _)| path).filter(|path| !is_running_statistic(path));
        if let Some(prefix) =
            prefixes.iter().find(|&prefix| !trainable().any(|path| begins_with(path, prefix)))
        {
            let known = heads(trainable());
            return Err(ModelError::NothingFrozen { prefix: prefix.clone(), known });
        }
        if trainable().all(|path| prefixes.iter().any(|prefix| begins_with(path, prefix))) {
            return Err(ModelError::AllFrozen);
        }
        Ok(self.map(&mut Freeze { prefixes, path: Vec::new() }))
    }

    /// A snapshot without autodiff, for evaluation: operations record no graph. Call it with images on a
    /// device without autodiff and [`Pass::Inference`].
    pub fn inference(&self) -> Self {
        self.valid()
    }
}

/// The first name of each path, once.
fn heads<'a>(paths: impl Iterator<Item = &'a String>) -> String {
    let mut heads: Vec<&str> = paths.map(|path| path.split('.').next().unwrap_or(path)).collect();
    heads.dedup();
    heads.join(", ")
}

struct Freeze<'a> {
    prefixes: &'a [String],
    path: Vec<String>,
}

impl ModuleMapper for Freeze<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        match self.prefixes.iter().any(|prefix| begins_with(&path, prefix)) {
            // Values that are not drawn yet are shared with clones of the model, and so would this be.
            true => param.map(|values| values).set_require_grad(false),
            false => param,
        }
    }
}

impl Module for Model {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.network.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        Self { network: self.network.fork(device), spec: self.spec }
    }

    fn to_device(self, device: &Device) -> Self {
        Self { network: self.network.to_device(device), spec: self.spec }
    }

    fn train(self) -> Self {
        Self { network: self.network.train(), spec: self.spec }
    }

    fn valid(&self) -> Self {
        Self { network: self.network.valid(), spec: self.spec.clone() }
    }

    fn materialize(self) -> Self {
        Self { network: self.network.materialize(), spec: self.spec }
    }

    fn num_params(&self) -> usize {
        Model::num_params(self)
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.network.visit(visitor);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        Self { network: self.network.map(mapper), spec: self.spec }
    }
}
