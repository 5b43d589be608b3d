//! Views of storages to tensors of their own.

use super::value::{StorageName, TensorView};
use crate::error::BackboneError;
use crate::tensor::{MAX_VALUES, Scalar, Tensor};

/// Values that are left to be taken from a file.
pub(crate) struct Allowance(usize);

impl Allowance {
    pub(crate) fn new() -> Self {
        Self(MAX_VALUES)
    }

    /// Takes that many, or refuses.
    pub(crate) fn take(&mut self, count: usize) -> Result<(), BackboneError> {
        let left =
            self.0.checked_sub(count).ok_or_else(|| damaged("more values than any of the networks"))?;
        self.0 = left;
        Ok(())
    }
}

/// The bytes that a storage takes.
pub(crate) fn num_bytes(storage: &StorageName) -> Result<usize, BackboneError> {
    storage.len.checked_mul(storage.scalar.size()).ok_or_else(|| damaged("a storage of impossible length"))
}

/// The values of a view, row-major.
pub(crate) fn materialise(
    name: &str,
    view: &TensorView,
    storage: &StorageName,
    bytes: &[u8],
    allowance: &mut Allowance,
) -> Result<Tensor, BackboneError> {
    let outside = || damaged(&format!("{name} reaches beyond its storage"));
    let TensorView { offset, shape, strides, .. } = view;
    if shape.len() != strides.len() || shape.len() > 8 {
        return Err(damaged(&format!("{name} has {} sizes and {} strides", shape.len(), strides.len())));
    }
    let count = shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size)).ok_or_else(outside)?;
    if count > 0 {
        let reach = |reach: usize, (&size, &stride): (&usize, &usize)| {
            (size - 1).checked_mul(stride).and_then(|step| reach.checked_add(step))
        };
        let last = shape.iter().zip(strides).try_fold(*offset, reach).ok_or_else(outside)?;
        if last >= storage.len {
            return Err(outside());
        }
    }
    if let Scalar::Whole(_) = storage.scalar {
        return Ok(Tensor { shape: shape.clone(), values: Vec::new(), is_float: false });
    }
    allowance.take(count)?;
    let size = storage.scalar.size();
    let contiguous = shape
        .iter()
        .zip(strides)
        .rev()
        .try_fold(1, |step, (&size, &stride)| (size == 1 || stride == step).then_some(step * size));
    let values = if count == 0 {
        Vec::new()
    } else if contiguous.is_some() {
        storage.scalar.decode(&bytes[offset * size..(offset + count) * size])
    } else {
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0; shape.len()];
        for _ in 0..count {
            let at = offset + index.iter().zip(strides).map(|(at, stride)| at * stride).sum::<usize>();
            values.extend(storage.scalar.decode(&bytes[at * size..(at + 1) * size]));
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        values
    };
    Ok(Tensor { shape: shape.clone(), values, is_float: true })
}

pub(crate) fn damaged(reason: &str) -> BackboneError {
    BackboneError::Damaged { reason: reason.to_owned() }
}
