//! The network families, one file each.

pub(crate) mod cnn;
pub(crate) mod family;
pub(crate) mod linear;
pub(crate) mod mlp;
pub(crate) mod resnet;
pub(crate) mod vit;
pub(crate) mod wide_resnet;

use self::family::Family;

/// All families, the simplest first.
pub(crate) static FAMILIES: &[Family] = &[
    linear::FAMILY,
    mlp::FAMILY,
    cnn::FAMILY,
    resnet::SMALL_IMAGES,
    resnet::LARGE_IMAGES,
    wide_resnet::FAMILY,
    vit::FAMILY,
];
