//! Convolutional networks as plain data: layers with their weights, normalisation folded in. What computes is
//! made of it, here or in another crate.

use mentor_simd::Level;

use super::convolution::{Activation, Convolution, DepthwiseConvolution, Filters};
use super::kernels::columns::Window;
use super::layers::{Gate, Layer, Residual, SqueezeExcite};

/// A convolutional network with its weights.
///
/// Its features are the means of the planes that [`ConvNet::last`] gives, and what [`ConvNet::after_pool`]
/// makes of them.
#[derive(Clone, Debug)]
pub struct ConvNet {
    /// What sees the pixels.
    pub stem: Block,
    /// Blocks of equal size of the image, from the largest.
    pub stages: Vec<Vec<Block>>,
    /// Layers between the stages and the mean over the image.
    pub last: Vec<ConvLayer>,
    /// Layers behind it, 1×1.
    pub after_pool: Vec<ConvLayer>,
    /// Values of a feature vector.
    pub num_features: usize,
}

/// A sequence of layers, perhaps with a way around it.
#[derive(Clone, Debug)]
pub struct Block {
    /// One after the other, at least one.
    pub body: Vec<ConvLayer>,
    /// Squeeze-and-excitation before the last of them.
    pub squeeze: Option<Squeeze>,
    /// What is added to the result of the last, before its activation.
    pub shortcut: Shortcut,
    /// The maximum over windows of the result.
    pub pool: Option<Window>,
}

/// What is added to the result of a block's layers.
#[derive(Clone, Debug)]
pub enum Shortcut {
    /// Nothing.
    None,
    /// What the block was given.
    Identity,
    /// A convolution of it.
    Convolution(ConvLayer),
}

/// A convolution with its bias and activation.
#[derive(Clone, Debug)]
pub struct ConvLayer {
    /// The weights; of a depthwise layer `[channels, 1, k, k]`.
    pub filters: Filters,
    /// Where they go.
    pub window: Window,
    /// Whether each channel has a window of its own.
    pub depthwise: bool,
    /// What becomes of each result.
    pub activation: Activation,
}

/// Factors of channels from what the whole image holds (Hu et al. 2018).
#[derive(Clone, Debug)]
pub struct Squeeze {
    /// From the mean of each channel to a few values.
    pub reduce: ConvLayer,
    /// From these to a value a channel.
    pub expand: ConvLayer,
    /// What brings these to [0, 1].
    pub gate: Gate,
}

impl ConvLayer {
    /// Over all channels.
    pub(crate) fn new(filters: Filters, window: Window, activation: Activation) -> Self {
        Self { filters, window, depthwise: false, activation }
    }

    pub(crate) fn packed(&self, level: Level) -> Convolution {
        Convolution::new(level, &self.filters, self.window, self.activation)
    }

    fn layer(&self, level: Level) -> Layer {
        if self.depthwise {
            Layer::Depthwise(DepthwiseConvolution::new(&self.filters, self.window, self.activation))
        } else {
            Layer::Convolution(self.packed(level))
        }
    }
}

impl Squeeze {
    fn layer(&self, level: Level) -> Layer {
        let (reduce, expand) = (self.reduce.packed(level), self.expand.packed(level));
        Layer::SqueezeExcite(SqueezeExcite { reduce, expand, gate: self.gate })
    }
}

impl Block {
    /// Layers without a way around them.
    pub(crate) fn sequence(body: Vec<ConvLayer>) -> Self {
        Self { body, squeeze: None, shortcut: Shortcut::None, pool: None }
    }

    fn add_layers(&self, level: Level, layers: &mut Vec<Layer>) {
        let Some((last, before)) = self.body.split_last() else { return };
        let mut body: Vec<Layer> = before.iter().map(|layer| layer.layer(level)).collect();
        body.extend(self.squeeze.iter().map(|squeeze| squeeze.layer(level)));
        let shortcut = match &self.shortcut {
            Shortcut::None => {
                layers.extend(body);
                layers.push(last.layer(level));
                return layers.extend(self.pool.map(Layer::MaxPool));
            }
            Shortcut::Identity => None,
            Shortcut::Convolution(shortcut) => Some(shortcut.packed(level)),
        };
        layers.push(Layer::Residual(Residual { body, last: last.packed(level), shortcut }));
        layers.extend(self.pool.map(Layer::MaxPool));
    }
}

impl ConvNet {
    /// The layers that compute.
    pub(crate) fn layers(&self, level: Level) -> Vec<Layer> {
        let mut layers = Vec::new();
        let blocks = std::iter::once(&self.stem).chain(self.stages.iter().flatten());
        blocks.for_each(|block| block.add_layers(level, &mut layers));
        layers.extend(self.last.iter().map(|layer| layer.layer(level)));
        layers.push(Layer::AveragePool);
        layers.extend(self.after_pool.iter().map(|layer| layer.layer(level)));
        layers
    }
}
