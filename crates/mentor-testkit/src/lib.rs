//! Helpers for the tests of all crates. Nothing here is shipped.
//!
//! - [`gradient`]: automatic differentiation of a tensor loss in `f32` against central differences of a plain
//!   `f64` function;
//! - [`oracle`]: the losses once more, as nested loops in `f64` that a reader can check against the
//!   definition line by line;
//! - [`ranking`]: ranking losses in the same way, every triplet one by one;
//! - [`distillation`]: the same for the losses of students and teachers;
//! - [`strategies`]: proptest inputs, scores with their targets;
//! - [`tiny`]: the smallest real data set, written as a folder of PNG files.

pub mod distillation;
pub mod gradient;
pub mod oracle;
pub mod ranking;
pub mod strategies;
pub mod tiny;
