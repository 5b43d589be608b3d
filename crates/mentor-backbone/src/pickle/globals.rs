//! The names that weights need. Everything else is refused.

use super::value::{Arena, TensorView, Value};
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

    /// What a call of it with these arguments builds.
    pub(crate) fn call(self, arguments: &[Value], arena: &mut Arena) -> Result<Value, BackboneError> {
        match (self, arguments) {
            (Self::OrderedDict, []) => {
                arena.dicts.push(Vec::new());
                Ok(Value::Dict(arena.dicts.len() - 1))
            }
            // Python 2 wrote the pairs as an argument.
            (Self::OrderedDict, [pairs]) => {
                let pair = |&pair: &Value| match arena.items(pair) {
                    Some([key, value]) => Some((*key, *value)),
                    _ => None,
                };
                let pairs = arena.items(*pairs).and_then(|pairs| pairs.iter().map(pair).collect());
                let pairs =
                    pairs.ok_or_else(|| unsupported("an ordered dictionary of something else than pairs"))?;
                arena.dicts.push(pairs);
                Ok(Value::Dict(arena.dicts.len() - 1))
            }
            (Self::RebuildTensor, [Value::Storage(storage), Value::Int(offset), shape, strides, ..]) => {
                let offset = usize::try_from(*offset).ok();
                let (Some(offset), Some(shape), Some(strides)) =
                    (offset, arena.sizes(*shape), arena.sizes(*strides))
                else {
                    return Err(unsupported("a tensor with a negative size, stride or offset"));
                };
                arena.tensors.push(TensorView { storage: *storage, offset, shape, strides });
                Ok(Value::Tensor(arena.tensors.len() - 1))
            }
            (Self::RebuildParameter, [tensor @ Value::Tensor(_), ..]) => Ok(*tensor),
            (Self::Size, [sizes @ (Value::Tuple(_) | Value::List(_))]) => Ok(*sizes),
            _ => Err(unsupported("a call with other arguments")),
        }
    }
}

fn refused(module: &str, name: &str) -> Result<Global, BackboneError> {
    Err(BackboneError::Refused { name: format!("{module}.{name}") })
}

pub(crate) fn unsupported(what: impl Into<String>) -> BackboneError {
    BackboneError::Unsupported { what: what.into() }
}
