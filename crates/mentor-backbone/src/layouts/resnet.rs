//! Residual networks (He et al. 2016), with the stride of a bottleneck in its 3×3 convolution.

use mentor_simd::Level;

use super::layout::Layout;
use super::source::{Source, folded, head};
use crate::error::BackboneError;
use crate::network::convolution::{Activation, Convolution};
use crate::network::kernels::columns::{Padding, Window};
use crate::network::layers::{Layer, Residual};
use crate::network::{Body, Network};

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

/// The network of these blocks.
pub(crate) fn build(
    level: Level,
    source: &mut dyn Source,
    layout: Layout,
    blocks: [usize; 4],
    bottleneck: bool,
) -> Result<Network, BackboneError> {
    let mut convolution = |(name, norm): Names, [out, input, kernel, stride]: [usize; 4], activation| {
        let filters = folded(source, &name, &norm, [out, input, kernel, kernel], EPSILON)?;
        let window = Window { kernel, stride, padding: Padding::Each(kernel / 2) };
        Ok::<_, BackboneError>(Convolution::new(level, &filters, window, activation))
    };
    let mut layers = vec![
        Layer::Convolution(convolution(stem_names(layout), [64, 3, 7, 2], Activation::Relu)?),
        Layer::MaxPool(Window { kernel: 3, stride: 2, padding: Padding::Each(1) }),
    ];
    let mut channels = 64;
    for (stage, &count) in blocks.iter().enumerate() {
        let width = 64 << stage;
        let out = if bottleneck { 4 * width } else { width };
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
                Some(convolution(shortcut_names(layout, stage), size, Activation::None)?)
            } else {
                None
            };
            if let Some(last) = body.pop() {
                let body = body.into_iter().map(Layer::Convolution).collect();
                layers.push(Layer::Residual(Residual { body, last, shortcut }));
            }
            channels = out;
        }
    }
    layers.push(Layer::AveragePool);
    let head = head(source, if layout == Layout::HuggingFace { "classifier.1" } else { "fc" }, channels)?;
    let dense = |filters| Convolution::new(level, &filters, super::layout::ONE_BY_ONE, Activation::None);
    Ok(Network::new(level, Body::Layers(layers), channels, head.map(dense)))
}
