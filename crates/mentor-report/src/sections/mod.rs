//! The parts of the document, one file each: what it shows, drawn.

pub(crate) mod calibration;
pub(crate) mod classes;
pub(crate) mod compare;
pub(crate) mod config;
pub(crate) mod confusion;
pub(crate) mod curves;
pub(crate) mod distances;
pub(crate) mod embeddings;
pub(crate) mod fidelity;
pub(crate) mod hardest;
pub(crate) mod header;
pub(crate) mod health;
pub(crate) mod landscape;
pub(crate) mod map;
pub(crate) mod neighbours;
pub(crate) mod optimum;
pub(crate) mod path;
pub(crate) mod self_training;
pub(crate) mod weights;
