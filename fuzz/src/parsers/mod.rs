//! One function for each form of what a stranger may have written. It takes any bytes, and what comes of them
//! must be a value or an error: no panic, no unbounded memory, no unbounded time.
//!
//! The file is a module of the fuzz crate and of a test of `mentor-cli`, so it names crates alone.

mod arrays;
#[cfg(feature = "engine")]
mod labels;
#[cfg(feature = "engine")]
mod models;
mod pictures;
mod place;
mod runs;
mod tables;

pub use arrays::{idx, npy, npz};
#[cfg(feature = "engine")]
pub use labels::{labels, labels_manifest, teacher_cache};
#[cfg(feature = "engine")]
pub use models::{checkpoint, model_json, plan, weights};
pub use pictures::image;
pub use runs::{config, metrics, record, report};
pub use tables::{manifest, triplets};
