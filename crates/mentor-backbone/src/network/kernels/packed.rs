//! The right factor of a product, in the order in which a tile reads it.

use mentor_simd::Level;

use super::padded;

/// Vectors and rows of a full tile at a level: its sums, the vectors of a step and one broadcast fill the
/// registers.
pub(crate) const fn tile(lanes: usize) -> (usize, usize) {
    match lanes {
        16 => (2, 12),
        8 => (2, 6),
        4 => (4, 6),
        _ => (8, 2),
    }
}

/// Values of a vector at a level; without vector instructions a vector is one value.
pub(crate) const fn lanes(level: Level) -> usize {
    match level {
        Level::Avx512 => 16,
        Level::Avx2 => 8,
        Level::Portable if cfg!(target_arch = "aarch64") => 4,
        Level::Portable => 1,
    }
}

/// A matrix `[depth, columns]`, padded by columns of zeros, in panels `[depth, values of a tile's row]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed {
    pub(crate) values: Vec<f32>,
    pub(crate) depth: usize,
    /// Padded.
    pub(crate) columns: usize,
}

impl Packed {
    /// Packs what `at(term, column)` gives.
    pub(crate) fn new(level: Level, depth: usize, columns: usize, at: impl Fn(usize, usize) -> f32) -> Self {
        let mut packed = Self::default();
        packed.fill(level, depth, columns, at);
        packed
    }

    /// As [`Packed::new`], in the memory that is there.
    pub(crate) fn fill(
        &mut self,
        level: Level,
        depth: usize,
        columns: usize,
        at: impl Fn(usize, usize) -> f32,
    ) {
        let full = padded(columns);
        (self.depth, self.columns) = (depth, full);
        self.values.clear();
        self.values.reserve(depth * full);
        let width = tile(lanes(level)).0 * lanes(level);
        for start in (0..full).step_by(width) {
            let panel = start..full.min(start + width);
            for term in 0..depth {
                let value = |column| if column < columns { at(term, column) } else { 0.0 };
                self.values.extend(panel.clone().map(value));
            }
        }
    }
}
