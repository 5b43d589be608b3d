//! `linear`, `mlp` and `cnn`: one layer after the other.

use crate::error::ExportError;
use crate::graph::Value;
use crate::layers::{Builder, Features};

/// The features are the image itself.
pub(super) fn linear(builder: &mut Builder<'_>, images: &Value) -> Result<Features, ExportError> {
    let features = builder.flatten("features", images);
    builder.head(features)
}

pub(super) fn mlp(builder: &mut Builder<'_>, images: &Value) -> Result<Features, ExportError> {
    let mut features = builder.flatten("flat", images);
    let mut layer = 0;
    while builder.tensors.contains(&format!("hidden.{layer}.weight")) {
        let (hidden, _) = builder.dense(&format!("hidden.{layer}"), &features)?;
        features = builder.relu(&hidden);
        layer += 1;
    }
    builder.head(features)
}

pub(super) fn cnn(builder: &mut Builder<'_>, images: &Value) -> Result<Features, ExportError> {
    let x = builder.conv("conv1", images)?;
    let x = builder.relu(&x);
    let x = builder.conv("conv2", &x)?;
    let x = builder.relu(&x);
    let x = builder.max_pool(&x, 2, 2, 0);
    let x = builder.conv("conv3", &x)?;
    let x = builder.relu(&x);
    let x = builder.max_pool(&x, 2, 2, 0);
    let x = builder.flatten("flat", &x);
    let (hidden, _) = builder.dense("hidden", &x)?;
    let features = builder.relu(&hidden);
    builder.head(features)
}
