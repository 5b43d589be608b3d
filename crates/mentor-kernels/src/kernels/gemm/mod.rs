//! The register-tiled products that dense layers, attention and convolutions are made of.
//!
//! ```text
//! tiles:  into[m, n]     = Σ_k left[m, k] · right[k, n]                     two matrices in memory
//! rows:   results[m, v]  = Σ_k left[m, k] · source[offset_k + read_v …]     vectors along v (positions)
//! outer:  sums[k, n]    += Σ_p source[offset_k + position_p] · right[p, n]  vectors along n (channels)
//! ```
//!
//! Those of the convolutions read one factor through a table of offsets, so that it need not be a matrix in
//! memory.
//!
//! A tile of results stays in registers over the whole sum; each step of the sum needs one load for each
//! vector of the tile's width and one broadcast for each of its rows, and has width · rows multiply-adds.

pub(crate) mod outer;
pub(crate) mod rows;
pub(crate) mod tiles;

/// Vectors in the width of a full panel or tile: with six rows, the sums fill the registers except for what a
/// step loads.
pub(crate) const fn panel_vectors(lanes: usize) -> usize {
    if lanes == 16 { 4 } else { 2 }
}
