//! How images are cut into tiles, and where everything is.

use std::ops::Range;

use crate::kernels::conv::plan::Source;
use crate::simd::Level;

/// Elements of a transformed tile.
pub(crate) const ELEMENTS: usize = 16;

/// What follows from a [`Geometry`](super::Geometry).
#[derive(Debug)]
pub(crate) struct Tiling {
    /// The level of the transforms, which work on one row of tiles after the other.
    pub(crate) transforms: Level,
    pub(crate) source: Source,
    pub(crate) source_len: usize,
    /// Rows and columns of tiles.
    pub(crate) tiles: [usize; 2],
    /// Images of a group, which is a task.
    pub(crate) group: usize,
    /// Rows of tiles that are whole vectors, or 1 if those are too many for a band.
    pub(super) unit: usize,
    /// Rows of tiles of a band, at most; whole units. The rows of a group are cut into bands, which may reach
    /// over images.
    pub(crate) band: usize,
    /// The distance between channels of transformed values: the tiles of a band and room for a vector.
    pub(crate) pitch: usize,
    /// The distance between elements.
    pub(crate) element: usize,
    /// Where each channel starts.
    pub(crate) channel_starts: Vec<u32>,
    /// Where each tile of a band is.
    pub(crate) tile_starts: Vec<u32>,
    /// Where each vector of tiles starts.
    pub(super) vector_starts: Vec<u32>,
    /// Outputs of a block.
    pub(super) block: usize,
    pub(super) block_element: usize,
}

impl Tiling {
    /// The rows of tiles of `images` images, one after the other, in bands of nearly equal size: whole units
    /// except for the last.
    pub(crate) fn bands(&self, images: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let (rows, unit) = (images * self.tiles[0], self.unit);
        let (units, count) = (rows.div_ceil(unit), rows.div_ceil(self.band));
        (0..count).map(move |band| band * units / count * unit..((band + 1) * units / count * unit).min(rows))
    }

    /// The images of a band, each with its rows of tiles.
    pub(crate) fn segments(&self, band: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
        let rows = self.tiles[0];
        (band.start / rows..band.end.div_ceil(rows)).map(move |image| {
            let first = image * rows;
            (image, band.start.saturating_sub(first)..(band.end - first).min(rows))
        })
    }
}
