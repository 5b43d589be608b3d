//! Passes over memory that two operations share.

use burn::backend::TensorMetadata;
use rayon::prelude::*;

use crate::host::buffer::{CpuTensor, contiguous, to_tensor, values};

/// Values of a task; below two of them one thread does the work.
pub(crate) const TASK: usize = 1 << 15;

/// `y` `[…, C]` plus `bias` `[C]`, and the positive part of it if `relu`; in place where `y` is not shared.
pub(crate) fn add_bias_relu(y: CpuTensor, bias: &[f32], relu: bool) -> CpuTensor {
    let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
    let outputs = bias.len();
    update(y, (TASK / outputs.max(1)).max(1) * outputs, |_, part| {
        for row in part.chunks_exact_mut(outputs) {
            // A NaN must stay one: `max` would hide it behind the floor.
            row.iter_mut().zip(bias).for_each(|(y, bias)| *y = floor_at(*y + bias, floor));
        }
    })
}

/// The gradient before a ReLU with this output; in place where `gradient` is not shared.
pub(crate) fn mask_by(gradient: CpuTensor, output: &CpuTensor) -> CpuTensor {
    let output = contiguous(output.clone());
    let output = values(&output);
    update(gradient, TASK, |start, part| {
        let output = &output[start..][..part.len()];
        part.iter_mut().zip(output).for_each(|(g, y)| *g = masked(*g, *y));
    })
}

/// Each row of `matrix` `[N, C]` times its factor of `[N]`; in place where the matrix is not shared.
pub(crate) fn scale_rows(matrix: CpuTensor, factors: &[f32]) -> CpuTensor {
    let columns = matrix.shape()[1];
    let rows = (TASK / columns.max(1)).max(1);
    update(matrix, rows * columns, |start, part| {
        let factors = &factors[start / columns..];
        for (row, factor) in part.chunks_exact_mut(columns).zip(factors) {
            row.iter_mut().for_each(|value| *value *= factor);
        }
    })
}

/// The gradient before a ReLU from the one after it, and the ReLU's output. A NaN lets the gradient pass.
#[inline(always)]
pub(crate) fn masked(gradient: f32, output: f32) -> f32 {
    if output <= 0.0 { 0.0 } else { gradient }
}

/// The larger of the two, and NaN for NaN.
#[inline(always)]
pub(crate) fn floor_at(value: f32, floor: f32) -> f32 {
    if value < floor { floor } else { value }
}

/// Changes the values of a tensor, in chunks of `chunk`, by `change(start, values)`.
pub(crate) fn update(
    tensor: CpuTensor,
    chunk: usize,
    change: impl Fn(usize, &mut [f32]) + Sync,
) -> CpuTensor {
    with_values(tensor, |all| {
        if all.len() > chunk && chunk > 0 {
            all.par_chunks_mut(chunk).enumerate().for_each(|(index, part)| change(index * chunk, part));
        } else {
            change(0, all);
        }
    })
}

/// Lets `change` have the values of a tensor: its own where nobody else holds them, or a copy.
pub(crate) fn with_values(tensor: CpuTensor, change: impl FnOnce(&mut [f32])) -> CpuTensor {
    let shape = tensor.shape().to_vec();
    let mut tensor = contiguous(tensor);
    let whole = tensor.as_slice::<f32>().map(<[f32]>::len) == tensor.bytes().len().checked_div(4);
    if whole && let Some(all) = tensor.try_storage_mut::<f32>() {
        change(all);
        return tensor;
    }
    let mut copy = values(&tensor).to_vec();
    change(&mut copy);
    to_tensor(copy, &shape)
}
