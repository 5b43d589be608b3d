//! Backbones as a caller sees them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod files;
mod golden;
mod made_weights;
