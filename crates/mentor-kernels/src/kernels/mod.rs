//! Kernels on slices that several operations share: convolutions, and the products below them.

pub mod conv;
pub(crate) mod gemm;
