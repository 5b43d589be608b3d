//! Networks of inverted residuals: MobileNetV2 and V3, EfficientNet and EfficientNet-Lite.

use mentor_simd::Level;

use super::inverted_names::{self as names, Place};
use super::layout::{Layout, ONE_BY_ONE};
use super::source::{Source, biased, folded, head};
use crate::architecture::{Expansion, Inverted, Last, Squeeze};
use crate::error::BackboneError;
use crate::network::convolution::{Activation, Convolution, DepthwiseConvolution};
use crate::network::kernels::columns::{Padding, Window};
use crate::network::layers::{Gate, Layer, Residual, SqueezeExcite};
use crate::network::{Body, Network};

/// Channels times `width`, rounded to a multiple of eight, but not to less than nine tenths.
fn scaled(channels: usize, width: f64) -> usize {
    let exact = channels as f64 * width;
    let rounded = ((exact + 4.0) as usize / 8 * 8).max(8);
    if (rounded as f64) < 0.9 * exact { rounded + 8 } else { rounded }
}

/// What its blocks are, one after the other.
pub(crate) struct Block {
    pub(crate) place: Place,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) input: usize,
    pub(crate) expanded: usize,
    pub(crate) output: usize,
    /// Channels between the two layers of squeeze-and-excitation.
    pub(crate) squeezed: Option<usize>,
    pub(crate) activation: Activation,
}

/// All blocks of a network.
pub(crate) fn blocks(network: &Inverted) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut input = network.stem;
    for (stage, spec) in network.stages.iter().enumerate() {
        let output = scaled(spec.channels, network.width);
        // MobileNetV3's last stage of blocks is not its last stage in timm, but its depth is 1 anyway.
        let is_end = stage == 0 || stage + 1 == network.stages.len();
        let depth = if is_end { 1.0 } else { network.depth };
        for within in 0..(spec.repeats as f64 * depth).ceil() as usize {
            let expanded = match spec.expansion {
                Expansion::Times(times) => input * times,
                Expansion::Channels(channels) => channels[within],
            };
            let squeezed = spec.squeezed.then(|| match network.squeeze {
                Squeeze::OfInput => (input / 4).max(1),
                Squeeze::OfExpanded => scaled(expanded, 0.25),
            });
            let place = Place { stage, within, index: blocks.len(), expands: expanded != input };
            let stride = if within == 0 { spec.stride } else { 1 };
            let (kernel, activation) = (spec.kernel, spec.activation);
            blocks.push(Block { place, kernel, stride, input, expanded, output, squeezed, activation });
            input = output;
        }
    }
    blocks
}

/// The network.
pub(crate) fn build(
    level: Level,
    source: &mut dyn Source,
    layout: Layout,
    network: &Inverted,
) -> Result<Network, BackboneError> {
    let builder = Builder { level, layout, network };
    let stem =
        builder.convolution(source, names::stem(layout), [network.stem, 3, 3, 2], network.stem_activation)?;
    let mut layers = vec![Layer::Convolution(stem)];
    let blocks = blocks(network);
    for block in &blocks {
        builder.block(source, block, &mut layers)?;
    }
    let channels = blocks.last().map_or(network.stem, |block| block.output);
    let num_blocks = blocks.len();
    match network.last {
        Last::Before(activation) => {
            let names = names::last(layout, num_blocks, false);
            layers.push(Layer::Convolution(builder.convolution(
                source,
                names,
                [1280, channels, 1, 1],
                activation,
            )?));
            layers.push(Layer::AveragePool);
        }
        Last::After => {
            let names = names::last(layout, num_blocks, true);
            let last = builder.convolution(source, names, [960, channels, 1, 1], Activation::HardSwish)?;
            layers.extend([Layer::Convolution(last), Layer::AveragePool]);
            let (name, is_convolution) = names::after_pool(layout);
            let filters = biased(source, name, [1280, 960, 1, 1], is_convolution)?;
            layers.push(Layer::Convolution(Convolution::new(
                level,
                &filters,
                ONE_BY_ONE,
                Activation::HardSwish,
            )));
        }
    }
    let head = head(source, names::head(layout, network.last == Last::After), 1280)?;
    let dense = |filters| Convolution::new(level, &filters, ONE_BY_ONE, Activation::None);
    Ok(Network::new(level, Body::Layers(layers), 1280, head.map(dense)))
}

struct Builder<'a> {
    level: Level,
    layout: Layout,
    network: &'a Inverted,
}

impl Builder<'_> {
    /// TensorFlow's networks have 1e-3, and so has torchvision's MobileNetV3.
    fn epsilon(&self) -> f64 {
        let is_v3 = self.network.last == Last::After;
        if self.network.tensorflow || (is_v3 && self.layout == Layout::Torchvision) { 1e-3 } else { 1e-5 }
    }

    fn window(&self, kernel: usize, stride: usize) -> Window {
        let padding = if self.network.tensorflow { Padding::Same } else { Padding::Each(kernel / 2) };
        Window { kernel, stride, padding }
    }

    fn convolution(
        &self,
        source: &mut dyn Source,
        (name, norm): (String, String),
        [out, input, kernel, stride]: [usize; 4],
        activation: Activation,
    ) -> Result<Convolution, BackboneError> {
        let filters = folded(source, &name, &norm, [out, input, kernel, kernel], self.epsilon())?;
        Ok(Convolution::new(self.level, &filters, self.window(kernel, stride), activation))
    }

    fn block(
        &self,
        source: &mut dyn Source,
        block: &Block,
        layers: &mut Vec<Layer>,
    ) -> Result<(), BackboneError> {
        let Block { place, kernel, stride, input, expanded, output, activation, .. } = *block;
        let mut body = Vec::new();
        if place.expands {
            let names = names::expand(self.layout, place);
            body.push(Layer::Convolution(self.convolution(
                source,
                names,
                [expanded, input, 1, 1],
                activation,
            )?));
        }
        let (name, norm) = names::depthwise(self.layout, place);
        let filters = folded(source, &name, &norm, [expanded, 1, kernel, kernel], self.epsilon())?;
        let window = self.window(kernel, stride);
        body.push(Layer::Depthwise(DepthwiseConvolution::new(&filters, window, activation)));
        if let Some(squeezed) = block.squeezed {
            body.push(Layer::SqueezeExcite(self.squeeze(source, block, squeezed)?));
        }
        let names = names::project(self.layout, place, block.squeezed.is_some());
        let last = self.convolution(source, names, [output, expanded, 1, 1], Activation::None)?;
        if stride == 1 && input == output {
            layers.push(Layer::Residual(Residual { body, last, shortcut: None }));
        } else {
            layers.extend(body);
            layers.push(Layer::Convolution(last));
        }
        Ok(())
    }

    fn squeeze(
        &self,
        source: &mut dyn Source,
        block: &Block,
        squeezed: usize,
    ) -> Result<SqueezeExcite, BackboneError> {
        let [reduce, expand] = names::squeeze(self.layout, block.place);
        let (activation, gate) = match self.network.squeeze {
            Squeeze::OfInput => (Activation::Silu, Gate::Sigmoid),
            Squeeze::OfExpanded => (Activation::Relu, Gate::HardSigmoid),
        };
        let reduce = biased(source, &reduce, [squeezed, block.expanded, 1, 1], true)?;
        let expand = biased(source, &expand, [block.expanded, squeezed, 1, 1], true)?;
        Ok(SqueezeExcite {
            reduce: Convolution::new(self.level, &reduce, ONE_BY_ONE, activation),
            expand: Convolution::new(self.level, &expand, ONE_BY_ONE, Activation::None),
            gate,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::{Architecture, Family};

    #[test]
    fn scaled_networks_have_the_published_widths_and_depths() {
        let widths = |name: &str| match &Architecture::find(name).unwrap().family {
            Family::Inverted(network) => blocks(network).iter().map(|block| block.output).collect::<Vec<_>>(),
            _ => unreachable!(),
        };
        assert_eq!(
            widths("efficientnet-lite0"),
            [16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320]
        );
        let lite3 = widths("efficientnet-lite3");
        assert_eq!((lite3.len(), lite3[0], lite3[lite3.len() - 1]), (24, 24, 384));
        assert_eq!(scaled(72, 0.25), 24);
    }
}
