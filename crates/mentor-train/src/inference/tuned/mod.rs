//! The model of a pretrained convolutional network whose weights are all parameters, with a linear head.
//!
//! Batch normalisation is folded into the weights, as where features are computed: its statistics stay those
//! of the data that the network was trained on, which few images would only disturb, and the network begins
//! as the function that it was.

mod layer;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use mentor_backbone::{Architecture, BackboneError, ConvNet};
use mentor_kernels::{add, add_relu, fork, global_average, max_pool2d};
use mentor_model::{Head, Model, ModelError, Network, Output, Pass};

use self::layer::{Layer, Squeeze};
use crate::inference::frozen::LinearHead;

/// What the name of the network follows in `model.json`.
pub(crate) const PREFIX: &str = "fine-tuned:";

/// A network of [`ConvNet`]'s layers.
#[derive(Module, Debug)]
struct Tuned {
    stem: Block,
    stages: Vec<Vec<Block>>,
    last: Vec<Layer>,
    after_pool: Vec<Layer>,
    head: LinearHead,
}

/// A sequence of layers, perhaps with a way around it.
#[derive(Module, Debug)]
struct Block {
    body: Vec<Layer>,
    squeeze: Option<Squeeze>,
    shortcut: Option<Layer>,
    /// Whether the input, or the shortcut of it, is added to the result.
    #[module(skip)]
    is_residual: bool,
    /// Side, stride and padding.
    #[module(skip)]
    pool: Option<[usize; 3]>,
}

impl Tuned {
    fn new(net: &ConvNet, head: LinearHead, device: &Device) -> Self {
        let layers = |layers: &[mentor_backbone::ConvLayer]| {
            layers.iter().map(|layer| Layer::new(layer, device)).collect()
        };
        let blocks =
            |blocks: &Vec<mentor_backbone::Block>| blocks.iter().map(|it| Block::new(it, device)).collect();
        Self {
            stem: Block::new(&net.stem, device),
            stages: net.stages.iter().map(blocks).collect(),
            last: layers(&net.last),
            after_pool: layers(&net.after_pool),
            head,
        }
    }
}

impl Block {
    fn new(block: &mentor_backbone::Block, device: &Device) -> Self {
        use mentor_backbone::{Padding, Shortcut};
        let shortcut = match &block.shortcut {
            Shortcut::Convolution(layer) => Some(Layer::new(layer, device)),
            Shortcut::None | Shortcut::Identity => None,
        };
        let padding = |padding| match padding {
            Padding::Each(padding) => padding,
            Padding::Same => unreachable!("the pools of residual networks pad evenly"),
        };
        Self {
            body: block.body.iter().map(|layer| Layer::new(layer, device)).collect(),
            squeeze: block.squeeze.as_ref().map(|squeeze| Squeeze::new(squeeze, device)),
            shortcut,
            is_residual: !matches!(block.shortcut, Shortcut::None),
            pool: block.pool.map(|window| [window.kernel, window.stride, padding(window.padding)]),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (mut x, around) = match self.is_residual {
            false => (x, None),
            true => {
                let [x, around] = fork(x);
                (x, Some(around))
            }
        };
        let last = self.body.len() - 1;
        for (at, layer) in self.body.iter().enumerate() {
            if let (true, Some(squeeze)) = (at == last, &self.squeeze) {
                x = squeeze.forward(x);
            }
            x = if at == last && self.is_residual { layer.linear(x) } else { layer.forward(x) };
        }
        if let Some(around) = around {
            let around = match &self.shortcut {
                Some(shortcut) => shortcut.forward(around),
                None => around,
            };
            x = if self.body[last].is_relu() { add_relu(x, around) } else { add(x, around) };
        }
        match self.pool {
            Some([side, stride, padding]) => max_pool2d(x, side, stride, padding),
            None => x,
        }
    }
}

/// Images that are inferred at once: those that a program or an evaluation gives may be hundreds, whose maps
/// would fill the memory.
const INFERRED: usize = 16;

impl Network for Tuned {
    fn forward(&self, images: Tensor<4>, pass: &Pass<'_>) -> Output {
        let batch = images.dims()[0];
        if !matches!(pass, Pass::Inference) || batch <= INFERRED {
            return self.outputs(images);
        }
        let part = |start| self.outputs(images.clone().narrow(0, start, INFERRED.min(batch - start)));
        let parts: Vec<Output> = (0..batch).step_by(INFERRED).map(part).collect();
        let (features, heads) = parts.into_iter().map(|output| (output.features, output.head)).unzip();
        Output { features: Tensor::cat(features, 0), head: Tensor::cat(heads, 0) }
    }
}

impl Tuned {
    fn outputs(&self, images: Tensor<4>) -> Output {
        let x = self.stages.iter().flatten().fold(self.stem.forward(images), |x, block| block.forward(x));
        let x = self.last.iter().fold(x, |x, layer| layer.forward(x)); // [B, C, H, W]
        let features = self.after_pool.iter().fold(global_average(x), |x, layer| layer.forward_rows(x));
        let LinearHead { weight, bias } = &self.head;
        Output { head: mentor_kernels::linear(features.clone(), weight.val(), bias.val()), features }
    }
}

/// The model of `net`, which is of this architecture, for square images of `side`, with a head `weight`
/// `[D, C]` and `bias` `[C]`.
pub(crate) fn tuned_model(
    architecture: &Architecture,
    net: &ConvNet,
    side: usize,
    (weight, bias): (Vec<f32>, Vec<f32>),
    device: &Device,
) -> Result<Model, ModelError> {
    let num_classes = bias.len();
    let weight = TensorData::new(weight, [net.num_features, num_classes]);
    let head = LinearHead {
        weight: Param::from_tensor(Tensor::from_data(weight, device)),
        bias: Param::from_tensor(Tensor::from_data(TensorData::new(bias, [num_classes]), device)),
    };
    let name = format!("{PREFIX}{}", architecture.name);
    let network = Tuned::new(net, head, device);
    Model::custom(name, [3, side, side], Head::Classifier { num_classes }, network)
}

/// The model that a file describes, its weights 0; `None` if its name is not of such a model.
///
/// # Errors
///
/// A sentence that says why there is no such network.
pub(crate) fn described_tuned(
    name: &str,
    [_, height, width]: [usize; 3],
    head: Head,
    device: &Device,
) -> Option<Result<Model, String>> {
    let name = name.strip_prefix(PREFIX)?;
    let Some(architecture) = Architecture::find(name) else {
        return Some(Err(format!("no pretrained network is called {name:?}")));
    };
    let Head::Classifier { num_classes } = head else {
        return Some(Err("a fine-tuned network is a classifier".to_owned()));
    };
    if height != width || !architecture.takes(height) {
        return Some(Err(format!("{name} takes no images of {height}x{width}")));
    }
    let model =
        ConvNet::zeros(architecture).map_err(|error: BackboneError| error.to_string()).and_then(|net| {
            let head = (vec![0.0; net.num_features * num_classes], vec![0.0; num_classes]);
            tuned_model(architecture, &net, height, head, device).map_err(|error| error.to_string())
        });
    Some(model)
}

/// The beginnings of names of parameters for what the user calls `stem`, `last`, and stages by number from 1.
///
/// # Errors
///
/// A sentence that says which stages there are.
pub(crate) fn frozen_prefixes(names: &[String], num_stages: usize) -> Result<Vec<String>, String> {
    let prefix = |name: &String| match name.parse::<usize>() {
        Ok(stage) if (1..=num_stages).contains(&stage) => Ok(format!("stages.{}", stage - 1)),
        Ok(stage) => Err(format!("freeze names stage {stage}, and the stages are 1 to {num_stages}")),
        Err(_) => Ok(name.clone()),
    };
    names.iter().map(prefix).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;
    use mentor_backbone::{Backbone, Layout, tensor_shapes};
    use mentor_model::tensor_shapes as shapes_of_model;
    use mentor_random::{Purpose, Stream};
    use safetensors::{Dtype, tensor::TensorView};

    use super::*;
    use crate::engine::ParameterTensors;
    use crate::inference::device::to_host;

    /// A file of the network with made-up weights, of sizes that keep activations in range.
    fn file(architecture: &'static Architecture) -> Vec<u8> {
        let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = tensor_shapes(architecture, Layout::Timm)
            .into_iter()
            .enumerate()
            .map(|(index, (name, shape))| {
                let mut stream = Stream::new(5, Purpose::Weights, &[index as u64]);
                let (middle, reach) = match &shape[..] {
                    [_] if name.ends_with("running_var") => (1.0, 0.5),
                    [_] if name.ends_with("weight") => (1.0, 0.25),
                    [_] => (0.0, 0.125),
                    [_, rest @ ..] => (0.0, (4.5 / rest.iter().product::<usize>() as f32).sqrt()),
                    [] => (0.0, 0.0),
                };
                let count = shape.iter().product::<usize>();
                let values =
                    (0..count).flat_map(|_| stream.uniform_in(middle - reach, middle + reach).to_le_bytes());
                (name, shape, values.collect())
            })
            .collect();
        let views = tensors
            .iter()
            .map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
        safetensors::serialize(views, None).unwrap()
    }

    /// Images `[B, 3, side, side]`, and the same with channels last.
    fn images(side: usize, device: &Device) -> (Tensor<4>, Vec<f32>) {
        let mut stream = Stream::new(6, Purpose::Weights, &[]);
        let values: Vec<f32> = (0..2 * 3 * side * side).map(|_| stream.normal()).collect();
        let images = Tensor::<4>::from_data(TensorData::new(values, [2, 3, side, side]), device);
        (images.clone(), to_host(images.permute([0, 2, 3, 1])))
    }

    #[test]
    fn features_are_those_of_the_frozen_network_and_every_weight_has_a_gradient() {
        let device = Device::flex().autodiff();
        for name in
            ["resnet-18", "mobilenetv2", "tf-efficientnet-lite0", "tf-mobilenetv3-large", "efficientnet-b0"]
        {
            let architecture = Architecture::find(name).unwrap();
            let bytes = file(architecture);
            let frozen = Backbone::from_bytes(&bytes, Some(name)).unwrap();
            let net = ConvNet::from_bytes(&bytes, architecture).unwrap();
            let head = (vec![0.01; net.num_features * 2], vec![0.5, -0.5]);
            let side = 42;
            let model = tuned_model(architecture, &net, side, head, &device).unwrap();
            let (images, pixels) = images(side, &device);
            let features = model.embeddings(images, &Pass::Inference);
            let expected = frozen.network.features(&pixels, [side, side]);
            let found = to_host(features.clone().inner());
            let size = (expected.iter().map(|x| x * x).sum::<f32>() / expected.len() as f32).sqrt();
            let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(size > 1e-3 && apart < 1e-4 * size.max(1.0), "{name}: {apart} of {size}");
            let gradients = ParameterTensors::of_gradients(features.square().sum().backward(), &model);
            let counted = CountGradients::of(&gradients, &model);
            // All but the two of the head.
            assert_eq!(counted, shapes_of_model(&model).len() - 2, "{name}");
        }
    }

    struct CountGradients<'a>(&'a ParameterTensors, usize);

    impl CountGradients<'_> {
        fn of(gradients: &ParameterTensors, model: &Model) -> usize {
            let mut count = CountGradients(gradients, 0);
            model.visit(&mut count);
            count.1
        }
    }

    impl burn::module::ModuleVisitor for CountGradients<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                let values = to_host(gradient);
                assert!(values.iter().all(|value| value.is_finite()));
                self.1 += usize::from(values.iter().any(|&value| value != 0.0));
            }
        }
    }

    #[test]
    fn numbers_are_stages_and_transformers_are_refused_by_name() {
        let names = ["stem".to_owned(), "2".to_owned()];
        assert_eq!(frozen_prefixes(&names, 2).unwrap(), ["stem", "stages.1"]);
        assert!(frozen_prefixes(&names, 1).unwrap_err().contains("stage 2"));
        let named = |name: &str| {
            described_tuned(name, [3, 224, 224], Head::Classifier { num_classes: 2 }, &Device::flex())
        };
        assert!(named("resnet-18").is_none());
        assert!(named("fine-tuned:vit-tiny").unwrap().unwrap_err().contains("vit-tiny, a transformer"));
        assert!(named("fine-tuned:nothing").unwrap().unwrap_err().contains("\"nothing\""));
        let model = named("fine-tuned:resnet-18").unwrap().unwrap();
        assert_eq!(shapes_of_model(&model)[0].0, "stem.body.0.weight");
    }
}
