//! Arithmetic on slices, in vectors as wide as the processor has, without unsafe code.
//!
//! Images lie as `[image, row, column, channel]`. A pixel takes [`padded`] values, the last of them zeros, so
//! that no kernel has a remainder of channels; the zeros stay zeros through every layer.

pub(crate) mod columns;
pub(crate) mod depthwise;
pub(crate) mod elementwise;
pub(crate) mod packed;
pub(crate) mod product;

use mentor_simd::{Level, dispatch, with_level};
use pulp::WithSimd;

/// What channels are padded to: the longest vector.
pub(crate) const LANES: usize = 16;

/// Values of a pixel of so many channels.
pub(crate) const fn padded(channels: usize) -> usize {
    channels.next_multiple_of(LANES)
}

/// Runs `operation` in the vectors of `level`, whatever thread this is.
#[inline(always)]
pub(crate) fn run<Op: WithSimd>(level: Level, operation: Op) -> Op::Output {
    with_level(level, || dispatch(operation))
}
