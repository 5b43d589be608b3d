//! Named tensors on the host.

use std::collections::BTreeMap;

use crate::error::BackboneError;

/// The most values that a file's tensors may have together: ten times the largest network.
pub(crate) const MAX_VALUES: usize = 1 << 28;

/// Values of one type, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    /// Empty for whole numbers, which count batches or name positions and are no weights.
    pub(crate) values: Vec<f32>,
    pub(crate) is_float: bool,
}

/// Tensors by name.
pub(crate) type Tensors = BTreeMap<String, Tensor>;

/// Types of values that files hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    F64,
    F32,
    F16,
    Bf16,
    /// Whole numbers and truth values, of so many bytes.
    Whole(usize),
}

impl Scalar {
    /// Bytes of a value.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Whole(size) => size,
        }
    }

    /// The values of little-endian bytes; none of whole numbers.
    pub(crate) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F64 => bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect(),
            Self::F32 => bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Self::F16 => {
                bytes.as_chunks().0.iter().map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()).collect()
            }
            Self::Bf16 => {
                bytes.as_chunks().0.iter().map(|bytes| half::bf16::from_le_bytes(*bytes).to_f32()).collect()
            }
            Self::Whole(_) => Vec::new(),
        }
    }
}

/// Refuses values that are not finite.
pub(crate) fn check_finite(tensors: &Tensors) -> Result<(), BackboneError> {
    for (name, tensor) in tensors {
        if !tensor.values.iter().all(|value| value.is_finite()) {
            return Err(BackboneError::BadValue { name: name.clone(), what: "a value that is not finite" });
        }
    }
    Ok(())
}
