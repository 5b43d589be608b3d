//! Vector instructions, chosen at run time, and sums over all pairs of rows.
//!
//! On plain slices, without tensors and without unsafe code. `mentor-kernels` and `mentor-loss` compute at a
//! [`Level`]; [`Panels`] holds the distances of all pairs, which losses on embeddings and retrieval both
//! begin with.

mod level;
mod pairs;
mod vectors;

pub use level::{Level, with_level};
pub use pairs::{PairTerm, Panels};
pub use vectors::{WIDTH, dispatch};
