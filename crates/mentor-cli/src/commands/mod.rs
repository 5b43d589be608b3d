//! The commands, one file each, with their flags.

pub(crate) mod annotate;
mod backbone_features;
pub(crate) mod backbones;
pub(crate) mod calibrate;
pub(crate) mod check_labels;
pub(crate) mod completions;
mod confidence;
pub(crate) mod data;
pub(crate) mod demo;
pub(crate) mod distill;
pub(crate) mod embed;
pub(crate) mod eval;
pub(crate) mod export;
mod featured;
pub(crate) mod label;
pub(crate) mod loss;
pub(crate) mod models;
pub(crate) mod next;
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
