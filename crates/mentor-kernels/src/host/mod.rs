//! What kernels share on the host: tensors as slices, memory, loops in lanes.

pub(crate) mod buffer;
pub(crate) mod channels;
pub(crate) mod exponential;
pub(crate) mod lanes;
pub(crate) mod matrices;
pub(crate) mod outputs;
pub(crate) mod pointwise;
pub(crate) mod scratch;
pub(crate) mod slices;
