//! The names that weights need. Everything else is refused.

use crate::error::BackboneError;
use crate::tensor::Scalar;

/// A name that a pickle may call, or have as a type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Size,
    Storage(Scalar),
}

impl Global {
    /// The global of this module and name.
    pub(crate) fn find(module: &str, name: &str) -> Result<Self, BackboneError> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "Size") => Self::Size,
            ("torch" | "torch.cuda", storage) => match storage {
                "DoubleStorage" => Self::Storage(Scalar::F64),
                "FloatStorage" => Self::Storage(Scalar::F32),
                "HalfStorage" => Self::Storage(Scalar::F16),
                "BFloat16Storage" => Self::Storage(Scalar::Bf16),
                "LongStorage" => Self::Storage(Scalar::Whole(8)),
                "IntStorage" => Self::Storage(Scalar::Whole(4)),
                "ShortStorage" => Self::Storage(Scalar::Whole(2)),
                "CharStorage" | "ByteStorage" | "BoolStorage" => Self::Storage(Scalar::Whole(1)),
                _ => return refused(module, name),
            },
            _ => return refused(module, name),
        })
    }
}

fn refused(module: &str, name: &str) -> Result<Global, BackboneError> {
    Err(BackboneError::Refused { name: format!("{module}.{name}") })
}

pub(crate) fn unsupported(what: impl Into<String>) -> BackboneError {
    BackboneError::Unsupported { what: what.into() }
}
