//! What the few callable names build: values of a pickle, and nothing else.

use super::globals::{Global, unsupported};
use super::value::{Arena, TensorView, Value};
use crate::error::BackboneError;

/// What a call of a global with these arguments builds.
pub(crate) fn call(global: Global, arguments: &[Value], arena: &mut Arena) -> Result<Value, BackboneError> {
    match (global, arguments) {
        (Global::OrderedDict, []) => {
            arena.dicts.push(Vec::new());
            Ok(Value::Dict(arena.dicts.len() - 1))
        }
        // Python 2 wrote the pairs as an argument.
        (Global::OrderedDict, [pairs]) => {
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
        (Global::RebuildTensor, [Value::Storage(storage), Value::Int(offset), shape, strides, ..]) => {
            let offset = usize::try_from(*offset).ok();
            let (Some(offset), Some(shape), Some(strides)) =
                (offset, arena.sizes(*shape), arena.sizes(*strides))
            else {
                return Err(unsupported("a tensor with a negative size, stride or offset"));
            };
            arena.tensors.push(TensorView { storage: *storage, offset, shape, strides });
            Ok(Value::Tensor(arena.tensors.len() - 1))
        }
        (Global::RebuildParameter, [tensor @ Value::Tensor(_), ..]) => Ok(*tensor),
        (Global::Size, [sizes @ (Value::Tuple(_) | Value::List(_))]) => Ok(*sizes),
        _ => Err(unsupported("a call with other arguments")),
    }
}
