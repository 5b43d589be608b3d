//! The network families as graphs, from their tensors alone: strides, widths and depths follow from shapes.

mod plain;
mod residual;
mod transformer;

use crate::error::ExportError;
use crate::graph::Value;
use crate::layers::{Builder, Features};

/// Builds a network over the images `[N, C, H, W]`.
type Build = fn(&mut Builder<'_>, &Value) -> Result<Features, ExportError>;

/// What names of a family begin with, and how it is built. Of two that fit, the first is taken.
const FAMILIES: [(&str, Build); 6] = [
    ("linear", plain::linear),
    ("mlp", plain::mlp),
    ("cnn", plain::cnn),
    ("resnet", residual::resnet),
    ("wrn", residual::wide_resnet),
    ("vit", transformer::vit),
];

/// How the network of this name is built.
pub(crate) fn build_of(architecture: &str) -> Result<Build, ExportError> {
    let family = architecture.split([':', '-']).next().unwrap_or_default();
    let found = FAMILIES.iter().find(|(name, _)| *name == family);
    let unknown = || ExportError::UnknownArchitecture { architecture: architecture.to_owned() };
    found.map(|&(_, build)| build).ok_or_else(unknown)
}
