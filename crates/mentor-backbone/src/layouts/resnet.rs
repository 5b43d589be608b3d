//! Residual networks (He et al. 2016), with the stride of a bottleneck in its 3×3 convolution.

use super::layout::Layout;
use super::source::{Source, folded, head};
use crate::error::BackboneError;
use crate::network::blocks::{Block, ConvLayer, ConvNet, Shortcut};
use crate::network::convolution::{Activation, Filters};
use crate::network::kernels::columns::{Padding, Window};

const EPSILON: f64 = 1e-5;

/// Names of a convolution and of the normalisation after it.
type Names = (String, String);

fn stem_names(layout: Layout) -> Names {
    match layout {
        Layout::HuggingFace => {
            ("embedder.embedder.convolution".to_owned(), "embedder.embedder.normalization".to_owned())
        }
        _ => ("conv1".to_owned(), "bn1".to_owned()),
    }
}

fn inner_names(layout: Layout, stage: usize, block: usize, at: usize) -> Names {
    match layout {
        Layout::HuggingFace => {
            let layer = format!("encoder.stages.{stage}.layers.{block}.layer.{at}");
            (format!("{layer}.convolution"), format!("{layer}.normalization"))
        }
        _ => {
            let block = format!("layer{}.{block}", stage + 1);
            (format!("{block}.conv{}", at + 1), format!("{block}.bn{}", at + 1))
        }
    }
}

fn shortcut_names(layout: Layout, stage: usize) -> Names {
    match layout {
        Layout::HuggingFace => {
            let shortcut = format!("encoder.stages.{stage}.layers.0.shortcut");
            (format!("{shortcut}.convolution"), format!("{shortcut}.normalization"))
        }
        _ => {
            let shortcut = format!("layer{}.0.downsample", stage + 1);
            (format!("{shortcut}.0"), format!("{shortcut}.1"))
        }
    }
}

/// The network of these blocks, and its head.
pub(crate) fn build(
    source: &mut dyn Source,
    layout: Layout,
    blocks: [usize; 4],
    bottleneck: bool,
) -> Result<(ConvNet, Option<Filters>), BackboneError> {
    let mut convolution = |(name, norm): Names, [out, input, kernel, stride]: [usize; 4], activation| {
        let filters = folded(source, &name, &norm, [out, input, kernel, kernel], EPSILON)?;
        let window = Window { kernel, stride, padding: Padding::Each(kernel / 2) };
        Ok::<_, BackboneError>(ConvLayer::new(filters, window, activation))
    };
    let stem = Block {
        pool: Some(Window { kernel: 3, stride: 2, padding: Padding::Each(1) }),
        ..Block::sequence(vec![convolution(stem_names(layout), [64, 3, 7, 2], Activation::Relu)?])
    };
    let mut stages = Vec::new();
    let mut channels = 64;
    for (stage, &count) in blocks.iter().enumerate() {
        let width = 64 << stage;
        let out = if bottleneck { 4 * width } else { width };
        let mut of_stage = Vec::new();
        for block in 0..count {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let sizes: &[[usize; 4]] = if bottleneck {
                &[[width, channels, 1, 1], [width, width, 3, stride], [out, width, 1, 1]]
            } else {
                &[[width, channels, 3, stride], [width, width, 3, 1]]
            };
            let mut body = Vec::new();
            for (at, &size) in sizes.iter().enumerate() {
                body.push(convolution(inner_names(layout, stage, block, at), size, Activation::Relu)?);
            }
            let shortcut = if stride > 1 || channels != out {
                let size = [out, channels, 1, stride];
                Shortcut::Convolution(convolution(shortcut_names(layout, stage), size, Activation::None)?)
            } else {
                Shortcut::Identity
            };
            of_stage.push(Block { shortcut, ..Block::sequence(body) });
            channels = out;
        }
        stages.push(of_stage);
    }
    let head = head(source, if layout == Layout::HuggingFace { "classifier.1" } else { "fc" }, channels)?;
    let net = ConvNet { stem, stages, last: Vec::new(), after_pool: Vec::new(), num_features: channels };
    Ok((net, head))
}
