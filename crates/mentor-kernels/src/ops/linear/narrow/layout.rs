//! The sizes of a narrow product, how it is cut, and its weights in columns.

use rayon::prelude::*;

use crate::host::scratch::Scratch;
use crate::simd::Level;

/// Outputs up to which these kernels are faster than a blocked matrix product.
pub(crate) const MAX_OUTPUTS: usize = 32;
/// Rows of a task, and of a block of the weight gradient, whose part of x stays in the first-level cache.
pub(super) const ROWS: usize = 64;
/// Inputs of a task of the weight gradient.
pub(super) const STRIP: usize = 64;
/// Lanes of the widest level.
pub(super) const MAX_LANES: usize = 16;
/// Outputs of a tile, at most.
const MAX_TILE: usize = 5;
/// Multiply-adds below which a task is not worth handing to another thread.
const PARALLEL_FROM: usize = 1 << 18;

/// Sizes of the product: `x` is `[rows, inputs]`, `w` `[inputs, outputs]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) rows: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

impl Sizes {
    pub(super) fn is_empty(&self) -> bool {
        self.rows * self.inputs * self.outputs == 0
    }

    /// Runs `task(index, part)` for each part of `results`, in parallel where it is worth it.
    pub(super) fn for_each_part(
        &self,
        results: &mut [f32],
        part: usize,
        task: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        if self.rows * self.inputs * self.outputs >= PARALLEL_FROM {
            results.par_chunks_mut(part).enumerate().for_each(|(index, part)| task(index, part));
        } else {
            results.chunks_mut(part).enumerate().for_each(|(index, part)| task(index, part));
        }
    }
}

/// The weights, one output after the other, each filled up with zeros to whole vectors.
pub(super) struct Columns {
    pub(super) level: Level,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Values of an output.
    pub(super) stride: usize,
    pub(super) values: Scratch,
}

impl Columns {
    pub(super) fn of(w: &[f32], Sizes { inputs, outputs, .. }: Sizes) -> Self {
        let level = Level::current();
        let stride = inputs.next_multiple_of(level.lanes());
        let mut values = Scratch::take(outputs * stride);
        for (c, column) in values.chunks_exact_mut(stride).enumerate() {
            column.iter_mut().zip(w[c..].iter().step_by(outputs)).for_each(|(to, from)| *to = *from);
            column[inputs..].fill(0.0);
        }
        Self { level, inputs, outputs, stride, values }
    }
}

/// Splits `outputs` into tiles of at most [`MAX_TILE`] of nearly equal size: where each starts, and how many
/// it has.
pub(super) fn tiles(outputs: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = outputs.div_ceil(MAX_TILE);
    (0..count).map(move |tile| {
        let start = tile * outputs / count;
        (start, (tile + 1) * outputs / count - start)
    })
}

/// Runs `$kernel::<$generic…, C>` for a run-time `$count` of 1 to [`MAX_TILE`].
macro_rules! by_columns {
    ($count:expr, $kernel:ident::<$($generic:tt),*>($($arg:expr),* $(,)?)) => {
        match $count {
            1 => $kernel::<$($generic,)* 1>($($arg),*),
            2 => $kernel::<$($generic,)* 2>($($arg),*),
            3 => $kernel::<$($generic,)* 3>($($arg),*),
            4 => $kernel::<$($generic,)* 4>($($arg),*),
            _ => $kernel::<$($generic,)* 5>($($arg),*),
        }
    };
}
pub(super) use by_columns;
