//! Models in whole numbers of eight bits.
//!
//! Weights are integers from −127 to 127 with a step for each output channel, and activations are integers
//! from 0 to 255 with a step and a zero for each tensor, fixed by what pictures have shown: Jacob et al.,
//! "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (2018),
//! equation 1, and Krishnamoorthi, "Quantizing deep convolutional networks" (2018), section 3.1.
//!
//! The file has the operators of the float model, with a pair of `QuantizeLinear` and `DequantizeLinear` at
//! each rounded value. An engine may join such pairs to operators on integers, as ONNX Runtime does, or
//! compute them as they stand, as rten does. The sizes are the same in both.
//!
//! `rounded` says which values are rounded, `ranges` measures them, `steps` has the arithmetic, and `rewrite`
//! makes the graph.

mod ranges;
mod rewrite;
mod rounded;
mod steps;

pub use ranges::{Calibrator, Ranges};
pub use rewrite::to_onnx_int8;
