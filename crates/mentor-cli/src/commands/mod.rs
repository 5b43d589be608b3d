//! The commands, one file each, with their flags.

mod backbone_features;
pub(crate) mod backbones;
pub(crate) mod calibrate;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod demo;
pub(crate) mod distill;
pub(crate) mod embed;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod label;
pub(crate) mod loss;
pub(crate) mod models;
pub(crate) mod part;
pub(crate) mod path;
pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod search;
pub(crate) mod self_train;
#[cfg(feature = "serve")]
pub(crate) mod serve;
mod sharding;
mod summary;
pub(crate) mod train;
