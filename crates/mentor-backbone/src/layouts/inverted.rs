//! Networks of inverted residuals: MobileNetV2 and V3, EfficientNet and EfficientNet-Lite.

use super::inverted_names::{self as names, Place};
use super::layout::{Layout, ONE_BY_ONE};
use super::source::{Source, biased, folded, head};
use crate::architecture::{Expansion, Inverted, Last, Squeeze};
use crate::error::BackboneError;
use crate::network::blocks::{self as net, ConvLayer, ConvNet, Shortcut};
use crate::network::convolution::{Activation, Filters};
use crate::network::kernels::columns::{Padding, Window};
use crate::network::layers::Gate;

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

/// The network, and its head.
pub(crate) fn build(
    source: &mut dyn Source,
    layout: Layout,
    network: &Inverted,
) -> Result<(ConvNet, Option<Filters>), BackboneError> {
    let builder = Builder { layout, network };
    let stem =
        builder.convolution(source, names::stem(layout), [network.stem, 3, 3, 2], network.stem_activation)?;
    let mut stages: Vec<Vec<net::Block>> = network.stages.iter().map(|_| Vec::new()).collect();
    let blocks = blocks(network);
    for block in &blocks {
        stages[block.place.stage].push(builder.block(source, block)?);
    }
    let channels = blocks.last().map_or(network.stem, |block| block.output);
    let (outputs, activation) = match network.last {
        Last::Before(activation) => (1280, activation),
        Last::After => (960, Activation::HardSwish),
    };
    let is_v3 = network.last == Last::After;
    let names = names::last(layout, blocks.len(), is_v3);
    let last = vec![builder.convolution(source, names, [outputs, channels, 1, 1], activation)?];
    let mut after_pool = Vec::new();
    if is_v3 {
        let (name, is_convolution) = names::after_pool(layout);
        let filters = biased(source, name, [1280, 960, 1, 1], is_convolution)?;
        after_pool.push(ConvLayer::new(filters, ONE_BY_ONE, Activation::HardSwish));
    }
    let head = head(source, names::head(layout, is_v3), 1280)?;
    let stem = net::Block::sequence(vec![stem]);
    Ok((ConvNet { stem, stages, last, after_pool, num_features: 1280 }, head))
}

struct Builder<'a> {
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
    ) -> Result<ConvLayer, BackboneError> {
        let filters = folded(source, &name, &norm, [out, input, kernel, kernel], self.epsilon())?;
        Ok(ConvLayer::new(filters, self.window(kernel, stride), activation))
    }

    fn block(&self, source: &mut dyn Source, block: &Block) -> Result<net::Block, BackboneError> {
        let Block { place, kernel, stride, input, expanded, output, activation, .. } = *block;
        let mut body = Vec::new();
        if place.expands {
            let names = names::expand(self.layout, place);
            body.push(self.convolution(source, names, [expanded, input, 1, 1], activation)?);
        }
        let names = names::depthwise(self.layout, place);
        let depthwise = self.convolution(source, names, [expanded, 1, kernel, stride], activation)?;
        body.push(ConvLayer { depthwise: true, ..depthwise });
        let squeeze = match block.squeezed {
            Some(squeezed) => Some(self.squeeze(source, block, squeezed)?),
            None => None,
        };
        let names = names::project(self.layout, place, block.squeezed.is_some());
        body.push(self.convolution(source, names, [output, expanded, 1, 1], Activation::None)?);
        let is_residual = stride == 1 && input == output;
        let shortcut = if is_residual { Shortcut::Identity } else { Shortcut::None };
        Ok(net::Block { body, squeeze, shortcut, pool: None })
    }

    fn squeeze(
        &self,
        source: &mut dyn Source,
        block: &Block,
        squeezed: usize,
    ) -> Result<net::Squeeze, BackboneError> {
        let [reduce, expand] = names::squeeze(self.layout, block.place);
        let (activation, gate) = match self.network.squeeze {
            Squeeze::OfInput => (Activation::Silu, Gate::Sigmoid),
            Squeeze::OfExpanded => (Activation::Relu, Gate::HardSigmoid),
        };
        let reduce = biased(source, &reduce, [squeezed, block.expanded, 1, 1], true)?;
        let expand = biased(source, &expand, [block.expanded, squeezed, 1, 1], true)?;
        Ok(net::Squeeze {
            reduce: ConvLayer::new(reduce, ONE_BY_ONE, activation),
            expand: ConvLayer::new(expand, ONE_BY_ONE, Activation::None),
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
