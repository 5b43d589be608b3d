//! The place of each negative among the keys of an anchor, in constant time.
//!
//! The range of the keys is divided into cells of equal width, a few for each key. A cell knows its first key; its
//! few keys are compared with the distance. Where many keys share a cell, a binary search takes over,
//! so that the worst case is that of sorting.

use pulp::{Simd, WithSimd};

use super::simd::dispatch;

/// Cells for each key: most then hold none or one.
const CELLS_PER_KEY: usize = 3;
/// Negatives that are looked up together.
const CHUNK: usize = 256;
/// Added to a number from 0 to 2^32, it leaves the nearest integer in the low bits.
const ROUND: f64 = (1_u64 << 52) as f64;

/// The keys of an anchor, sorted, with a table from distances to places. See `Counter` for the two kinds.
#[derive(Default)]
pub(super) struct Table {
    /// Both kinds, sorted, and two infinities.
    keys: Vec<f64>,
    /// One more than there are keys: distances below the first, …, from the last on.
    places: Vec<Place>,
    /// The number of hard keys from each place on.
    hard_from: Vec<u32>,
    /// The first key of each cell, and the number of keys.
    first: Vec<u32>,
    /// The cell of distance v is `(v − low) · scale`, rounded, within the table: it never falls as v grows.
    low: f64,
    scale: f64,
    /// The keys of each kind as bits, which sort like positive numbers, only faster.
    sorted: [Vec<u64>; 2],
}

/// Between two neighbouring keys.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Negatives that fall here; after the count, those below.
    num_negatives: u32,
    /// Active keys from here on.
    num_active: u32,
}

impl Table {
    /// `active` keys and `hard` ones, as many, none of them negative.
    pub(super) fn build(&mut self, active: &[f64], hard: &[f64]) {
        for (sorted, keys) in self.sorted.iter_mut().zip([active, hard]) {
            sorted.clear();
            sorted.extend(keys.iter().map(|key| key.to_bits()));
            sorted.sort_unstable();
        }
        self.merge();
        let num_keys = self.hard_from.len() - 1;
        let num_cells = CELLS_PER_KEY * num_keys;
        let (low, high) = (self.keys[0], self.keys[num_keys - 1]);
        self.low = low;
        self.scale = (num_cells - 1) as f64 / (high - low);
        if !self.scale.is_finite() {
            self.scale = 0.0; // equal keys: one cell, in which a binary search finds the place
        }
        // Counts first, then their prefix sum.
        self.first.clear();
        self.first.resize(num_cells + 1, 0);
        for chunk in self.keys[..num_keys].chunks(CHUNK) {
            let mut cells = [0.0; CHUNK];
            dispatch(Cells { table: (low, self.scale, num_cells), distances: chunk, cells: &mut cells });
            cells[..chunk.len()].iter().for_each(|cell| self.first[cell.to_bits() as u32 as usize] += 1);
        }
        let mut keys = 0;
        for first in &mut self.first {
            keys += std::mem::replace(first, keys);
        }
    }

    /// Merges the sorted keys. Of equal ones it does not matter which is first: no negative is between them.
    fn merge(&mut self) {
        let [active, hard] = &self.sorted;
        let num_keys = active.len() + hard.len();
        self.keys.clear();
        self.keys.resize(num_keys + 2, f64::INFINITY);
        self.places.clear();
        self.places.resize(num_keys + 1, Place::default());
        self.hard_from.clear();
        self.hard_from.resize(num_keys + 1, 0);
        let (mut a, mut h) = (0, 0);
        let out = self.keys.iter_mut().zip(&mut self.places).zip(&mut self.hard_from).take(num_keys);
        for ((key, place), hard_from) in out {
            place.num_active = (active.len() - a) as u32;
            *hard_from = (hard.len() - h) as u32;
            let next = [active.get(a), hard.get(h)].map(|key| key.copied().unwrap_or(u64::MAX));
            let take_hard = next[1] <= next[0];
            *key = f64::from_bits(next[usize::from(take_hard)]);
            a += usize::from(!take_hard);
            h += usize::from(take_hard);
        }
    }

    /// Finds the place of each distance and writes minus the number of active keys above it.
    pub(super) fn look_up(&mut self, distances: &[f64], coefficients: &mut [f64]) {
        let table = (self.low, self.scale, self.first.len() - 1);
        let mut cells = [0.0; CHUNK];
        let mut firsts = [0; CHUNK];
        for (distances, coefficients) in distances.chunks(CHUNK).zip(coefficients.chunks_mut(CHUNK)) {
            dispatch(Cells { table, distances, cells: &mut cells });
            // Loads that wait for nothing, before comparisons that may be predicted wrongly.
            for (first, cell) in firsts.iter_mut().zip(&cells[..distances.len()]) {
                *first = self.first[cell.to_bits() as u32 as usize];
            }
            for (((&distance, &cell), &first), coefficient) in
                distances.iter().zip(&cells).zip(&firsts).zip(coefficients)
            {
                let place = &mut self.places[place(&self.keys, &self.first, distance, cell, first)];
                place.num_negatives += 1;
                *coefficient = -f64::from(place.num_active);
            }
        }
    }

    /// How many triplets are active and how many hard; `num_below` gets the negatives below each active key.
    pub(super) fn totals(&mut self, active: &[f64], num_below: &mut [f64]) -> (u64, u64) {
        let (mut num_active, mut num_hard, mut below) = (0, 0, 0);
        for (place, &hard) in self.places.iter_mut().zip(&self.hard_from) {
            let here = place.num_negatives;
            num_active += u64::from(here) * u64::from(place.num_active);
            num_hard += u64::from(here) * u64::from(hard);
            place.num_negatives = below;
            below += here;
        }
        let table = (self.low, self.scale, self.first.len() - 1);
        let mut cells = [0.0; CHUNK];
        for (keys, num_below) in active.chunks(CHUNK).zip(num_below.chunks_mut(CHUNK)) {
            dispatch(Cells { table, distances: keys, cells: &mut cells });
            for ((&key, &cell), num_below) in keys.iter().zip(&cells).zip(num_below) {
                let first = self.first[cell.to_bits() as u32 as usize];
                // Negatives below the place after the key are below the key: none is between equal keys.
                let place = place(&self.keys, &self.first, key, cell, first);
                *num_below = f64::from(self.places[place].num_negatives);
            }
        }
        (num_active, num_hard)
    }
}

/// The number of `keys` that are not above `distance`, of whose cell `first` is the first key.
#[inline(always)]
fn place(keys: &[f64], firsts: &[u32], distance: f64, cell: f64, first: u32) -> usize {
    let first = first as usize;
    // Keys of later cells are above the distance: these comparisons need not know where the cell ends.
    if keys[first + 1] <= distance {
        let end = firsts[cell.to_bits() as u32 as usize + 1] as usize;
        return first + 2 + keys[first + 2..end].partition_point(|&key| key <= distance);
    }
    first + usize::from(keys[first] <= distance)
}

/// The cells of distances, as integers in the low bits of floating-point numbers.
struct Cells<'a> {
    /// Lowest key, cells a unit, number of cells.
    table: (f64, f64, usize),
    distances: &'a [f64],
    cells: &'a mut [f64; CHUNK],
}

impl WithSimd for Cells<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (low, scale, num_cells) = self.table;
        let last = (num_cells - 1) as f64;
        let (distances, rest) = S::as_simd_f64s(self.distances);
        let (cells, _) = self.cells.split_at_mut(self.distances.len());
        let (cells, cells_of_rest) = S::as_mut_simd_f64s(cells);
        for (cell, &distance) in cells.iter_mut().zip(distances) {
            let position = simd.sub_f64s(distance, simd.splat_f64s(low));
            let position = simd.mul_f64s(position, simd.splat_f64s(scale));
            let position = simd.max_f64s(position, simd.splat_f64s(0.0));
            let position = simd.min_f64s(position, simd.splat_f64s(last));
            *cell = simd.add_f64s(position, simd.splat_f64s(ROUND));
        }
        for (cell, distance) in cells_of_rest.iter_mut().zip(rest) {
            *cell = ((distance - low) * scale).clamp(0.0, last) + ROUND;
        }
    }
}
