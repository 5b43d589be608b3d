//! The network families, one file each.

pub(crate) mod cnn;
pub(crate) mod linear;
pub(crate) mod mlp;
pub(crate) mod resnet;
pub(crate) mod vit;
pub(crate) mod wide_resnet;
