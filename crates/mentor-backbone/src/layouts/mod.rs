//! Whose names a file's tensors have, and which network they are of.
//!
//! Recognition is strict: every tensor of the network must be there in its shape, and every tensor of the
//! file must have a place in the network, or be one of the few that are skipped by name.

mod inverted;
mod inverted_names;
mod layout;
pub(crate) mod preprocessing;
mod recognise;
mod resnet;
pub(crate) mod source;
mod vit;

pub use layout::Layout;
pub(crate) use recognise::{Recognised, without_prefix};

use mentor_simd::Level;

use self::source::{Recorder, Source};
use crate::architecture::{Architecture, Family};
use crate::error::BackboneError;
use crate::network::blocks::{ConvLayer, ConvNet};
use crate::network::convolution::{Activation, Filters};
use crate::network::{Body, Network};

/// Reads a network's tensors.
pub(crate) fn build(
    level: Level,
    source: &mut dyn Source,
    layout: Layout,
    architecture: &Architecture,
) -> Result<Network, BackboneError> {
    if let Family::Vit(network) = &architecture.family {
        return vit::build(level, source, layout, network);
    }
    let (net, head) = conv_net(source, layout, architecture)?;
    let dense = |filters| ConvLayer::new(filters, layout::ONE_BY_ONE, Activation::None).packed(level);
    Ok(Network::new(level, Body::Layers(net.layers(level)), net.num_features, head.map(dense)))
}

/// Reads the tensors of a convolutional network, and of its head.
pub(crate) fn conv_net(
    source: &mut dyn Source,
    layout: Layout,
    architecture: &Architecture,
) -> Result<(ConvNet, Option<Filters>), BackboneError> {
    match &architecture.family {
        Family::ResNet { blocks, bottleneck } => resnet::build(source, layout, *blocks, *bottleneck),
        Family::Inverted(network) => inverted::build(source, layout, network),
        Family::Vit(_) => Err(BackboneError::NoConvNet { architecture: architecture.name }),
    }
}

/// The tensors that a file of this network and layout has, with a head of ten classes where the head can be
/// used: what the network asks for, in its order. Counters and other skipped tensors are not among them.
///
/// ```
/// use mentor_backbone::{Architecture, Layout, tensor_shapes};
/// let network = Architecture::find("resnet-18").unwrap();
/// let shapes = tensor_shapes(network, Layout::Timm);
/// assert_eq!(shapes[0], ("conv1.weight".to_owned(), vec![64, 3, 7, 7]));
/// assert_eq!(shapes.len(), 102);
/// ```
pub fn tensor_shapes(architecture: &'static Architecture, layout: Layout) -> Vec<(String, Vec<usize>)> {
    let mut recorder = Recorder::default();
    // A recorder has every tensor in every shape.
    let built = build(Level::Portable, &mut recorder, layout, architecture);
    debug_assert!(built.is_ok());
    recorder.shapes
}
