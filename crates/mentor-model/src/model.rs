//! The one type that the rest of mentor holds.

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor};
use burn::tensor::{Device, Tensor};

use crate::families::cnn::Cnn;
use crate::families::linear::Linear;
use crate::families::mlp::Mlp;
use crate::families::resnet::ResNet;
use crate::families::vit::{VisionTransformer, VitShape};
use crate::families::wide_resnet::WideResNet;
use crate::init::Init;
use crate::layers::{is_running_statistic, unit_norm};
use crate::pass::Output;
use crate::shapes::tensor_shapes;
use crate::{Architecture, Head, ModelError, ModelSpec, Pass};

/// More parameters than this (8 GiB of them) are taken for a typing error.
const MAX_PARAMS: u64 = 1 << 31;

/// A network with its weights.
///
/// A clone is a snapshot: training goes on without changing it, running statistics included. It is also
/// a Burn [`Module`]; the paths that its visitors see (`blocks.0.conv1.weight`) are those of the safetensors
/// file, and the identities of its parameters are their positions in the network, the same in every process.
/// Two models therefore share identities: each needs an optimiser of its own.
///
/// For evaluation, [`Model::inference`] gives a copy without autodiff.
#[derive(Clone, Debug)]
pub struct Model {
    spec: ModelSpec,
    network: Network,
}

#[derive(Clone, Debug)]
enum Network {
    Linear(Linear),
    Mlp(Mlp),
    Cnn(Cnn),
    ResNet(ResNet),
    WideResNet(WideResNet),
    Vit(VisionTransformer),
}

/// Calls the same function of whichever network it is.
macro_rules! each {
    ($network:expr, $inner:ident => $call:expr) => {
        match $network {
            Network::Linear($inner) => $call,
            Network::Mlp($inner) => $call,
            Network::Cnn($inner) => $call,
            Network::ResNet($inner) => $call,
            Network::WideResNet($inner) => $call,
            Network::Vit($inner) => $call,
        }
    };
}

/// The same, and wraps the result as the same network.
macro_rules! each_again {
    ($network:expr, $inner:ident => $call:expr) => {
        match $network {
            Network::Linear($inner) => Network::Linear($call),
            Network::Mlp($inner) => Network::Mlp($call),
            Network::Cnn($inner) => Network::Cnn($call),
            Network::ResNet($inner) => Network::ResNet($call),
            Network::WideResNet($inner) => Network::WideResNet($call),
            Network::Vit($inner) => Network::Vit($call),
        }
    };
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
        let network = match &architecture {
            Architecture::Linear => Network::Linear(Linear::new(spec, &mut init)),
            Architecture::Mlp { hidden } => Network::Mlp(Mlp::new(spec, hidden, &mut init)),
            Architecture::Cnn { wide } => Network::Cnn(Cnn::new(spec, *wide, &mut init)),
            Architecture::ResNet { depth } => Network::ResNet(ResNet::new(spec, *depth, &mut init)),
            Architecture::WideResNet { depth, width } => {
                Network::WideResNet(WideResNet::new(spec, *depth, *width, &mut init))
            }
            &Architecture::Vit { patch, width, depth } => {
                Network::Vit(VisionTransformer::new(spec, VitShape { patch, width, depth }, &mut init))
            }
        };
        if init.num_values() > MAX_PARAMS {
            return Err(ModelError::TooLarge {
                architecture: spec.architecture.clone(),
                num_params: init.num_values(),
                limit: MAX_PARAMS,
            });
        }
        Ok(Self { spec: spec.clone(), network })
    }

    /// f(x, W), before any softmax, of a batch of images `[B, C, H, W]`: `[B, num_classes]`.
    ///
    /// # Panics
    ///
    /// If the model has no classifier; if the images have another shape than the specification's `input`, or
    /// the noise names another number of samples than there are images.
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
        match &self.network {
            Network::Linear(network) => network.forward(images),
            Network::Mlp(network) => network.forward(images, pass),
            Network::Cnn(network) => network.forward(images, pass),
            Network::ResNet(network) => network.forward(images, pass),
            Network::WideResNet(network) => network.forward(images, pass),
            Network::Vit(network) => network.forward(images, pass),
        }
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

    /// A snapshot without autodiff, for evaluation: operations record no graph. Call it with images on a device
    /// without autodiff and [`Pass::Inference`].
    pub fn inference(&self) -> Self {
        self.valid()
    }
}

impl Module for Model {
    fn collect_devices(&self, devices: Devices) -> Devices {
        each!(&self.network, network => network.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        Self { network: each_again!(self.network, network => network.fork(device)), spec: self.spec }
    }

    fn to_device(self, device: &Device) -> Self {
        Self { network: each_again!(self.network, network => network.to_device(device)), spec: self.spec }
    }

    fn train(self) -> Self {
        Self { network: each_again!(self.network, network => network.train()), spec: self.spec }
    }

    fn valid(&self) -> Self {
        Self { network: each_again!(&self.network, network => network.valid()), spec: self.spec.clone() }
    }

    fn materialize(self) -> Self {
        Self { network: each_again!(self.network, network => network.materialize()), spec: self.spec }
    }

    fn num_params(&self) -> usize {
        Model::num_params(self)
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        each!(&self.network, network => network.visit(visitor));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        Self { network: each_again!(self.network, network => network.map(mapper)), spec: self.spec }
    }
}
