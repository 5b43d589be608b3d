//! The place of each negative among the sorted keys of an anchor, in constant time.
//!
//! The range of the keys is divided into cells of equal width, a few for each key. A cell knows its first
//! key; its few keys are compared with the distance. Where many keys share a cell, a binary search takes
//! over, so that the worst case is that of sorting.

use mentor_simd::dispatch;
use pulp::{Simd, WithSimd};

use super::keys::{CHUNK, Keys};

/// Cells for each key: most then hold none or one.
const CELLS_PER_KEY: usize = 3;
/// Keys in a cell that are sorted one by one.
const FEW_IN_A_CELL: u32 = 16;
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
    cells: Cells,
    /// While sorting: the cell of each key, as it comes, and the keys by cell.
    cell_of: Vec<u32>,
    sorted: Vec<u64>,
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
    /// Takes `active` keys and as many `hard` ones, none of them negative; nothing is counted yet.
    pub(super) fn start(&mut self, active: &[f64], hard: &[f64], lowest: f64, largest: f64) {
        let num_keys = active.len() + hard.len();
        let num_cells = CELLS_PER_KEY * num_keys;
        self.cells = Cells::new(lowest, largest, num_cells);
        self.cell_of.clear();
        self.cell_of.resize(num_keys, 0);
        // The number of keys of cell c is counted at c + 2, …
        self.first.clear();
        self.first.resize(num_cells + 2, 0);
        let (of_active, of_hard) = self.cell_of.split_at_mut(active.len());
        for (keys, cell_of) in [(active, of_active), (hard, of_hard)] {
            for (keys, cell_of) in keys.chunks(CHUNK).zip(cell_of.chunks_mut(CHUNK)) {
                let mut cells = [0.0; CHUNK];
                dispatch(FindCells { cells: self.cells, distances: keys, out: &mut cells });
                for (cell_of, cell) in cell_of.iter_mut().zip(cells) {
                    *cell_of = index(cell) as u32;
                    self.first[index(cell) + 2] += 1;
                }
            }
        }
        // … so that after the sum each key has its place at c + 1, and that moves on to the next cell's
        // first.
        let (mut sum, mut most) = (0, 0);
        for first in &mut self.first {
            most = most.max(*first);
            sum += *first;
            *first = sum;
        }
        self.sorted.clear();
        self.sorted.resize(num_keys, 0);
        let keys = active
            .iter()
            .map(|key| key.to_bits() << 1)
            .chain(hard.iter().map(|key| key.to_bits() << 1 | HARD));
        for (key, &cell) in keys.zip(&self.cell_of) {
            let place = &mut self.first[cell as usize + 1];
            self.sorted[*place as usize] = key;
            *place += 1;
        }
        if most <= FEW_IN_A_CELL {
            sort_by_insertion(&mut self.sorted);
        } else {
            self.sorted.sort_unstable();
        }
        self.spread(active.len() as u32, hard.len() as u32);
    }

    /// Keys and places from the sorted keys of both kinds. Of equal ones it does not matter which is first:
    /// no negative is between them.
    fn spread(&mut self, mut num_active: u32, mut num_hard: u32) {
        let num_keys = self.sorted.len();
        self.keys.clear();
        self.keys.resize(num_keys + 2, f64::INFINITY);
        self.places.clear();
        self.places.resize(num_keys + 1, Place::default());
        self.hard_from.clear();
        self.hard_from.resize(num_keys + 1, 0);
        let out = self.keys.iter_mut().zip(&mut self.places).zip(&mut self.hard_from);
        for (((key, place), hard_from), &sorted) in out.zip(&self.sorted) {
            *key = f64::from_bits(sorted >> 1);
            place.num_active = num_active;
            *hard_from = num_hard;
            let hard = (sorted & HARD) as u32;
            num_hard -= hard;
            num_active -= 1 - hard;
        }
    }

    /// The number of keys that are not above `distance`, of whose cell `first` is the first key.
    #[inline(always)]
    fn place(&self, distance: f64, cell: usize, first: u32) -> usize {
        let first = first as usize;
        // Keys of later cells are above the distance: these comparisons need not know where the cell ends.
        if self.keys[first + 1] <= distance {
            let end = self.first[cell + 1] as usize;
            return first + 2 + self.keys[first + 2..end].partition_point(|&key| key <= distance);
        }
        first + usize::from(self.keys[first] <= distance)
    }
}

/// The lowest bit of a key while it is sorted: its sign, which is always 0, has made room.
const HARD: u64 = 1;

/// Sorts what is nearly sorted.
fn sort_by_insertion(keys: &mut [u64]) {
    for end in 1..keys.len() {
        let key = keys[end];
        let mut place = end;
        while place > 0 && keys[place - 1] > key {
            keys[place] = keys[place - 1];
            place -= 1;
        }
        keys[place] = key;
    }
}

impl Keys for Table {
    #[inline(always)]
    fn count<S: Simd>(&mut self, simd: S, distances: &[f64], coefficients: &mut [f64]) {
        let mut cells = [0.0; CHUNK];
        let mut firsts = [0; CHUNK];
        FindCells { cells: self.cells, distances, out: &mut cells }.with_simd(simd);
        // Loads that wait for nothing, before comparisons that may be predicted wrongly.
        for (first, &cell) in firsts.iter_mut().zip(&cells[..distances.len()]) {
            *first = self.first[index(cell)];
        }
        for (((&distance, &cell), &first), coefficient) in
            distances.iter().zip(&cells).zip(&firsts).zip(coefficients)
        {
            let place = self.place(distance, index(cell), first);
            let place = &mut self.places[place];
            place.num_negatives += 1;
            *coefficient = -f64::from(place.num_active);
        }
    }

    fn totals(&mut self, active: &[f64], num_below: &mut [f64]) -> (u64, u64) {
        let (mut num_active, mut num_hard, mut below) = (0, 0, 0);
        for (place, &hard) in self.places.iter_mut().zip(&self.hard_from) {
            let here = place.num_negatives;
            num_active += u64::from(here) * u64::from(place.num_active);
            num_hard += u64::from(here) * u64::from(hard);
            place.num_negatives = below;
            below += here;
        }
        for ((&key, &cell), num_below) in active.iter().zip(&self.cell_of).zip(num_below) {
            // Negatives below the place after the key are below the key: none is between equal keys.
            let place = self.place(key, cell as usize, self.first[cell as usize]);
            *num_below = f64::from(self.places[place].num_negatives);
        }
        (num_active, num_hard)
    }
}

/// The cell of distance v is `(v − lowest) · scale`, rounded, within the table: it never falls as v grows.
#[derive(Clone, Copy, Default)]
struct Cells {
    lowest: f64,
    scale: f64,
    last: f64,
}

impl Cells {
    fn new(lowest: f64, largest: f64, num_cells: usize) -> Self {
        let last = (num_cells - 1) as f64;
        let scale = last / (largest - lowest);
        // Equal keys: one cell, in which a binary search finds the place.
        Self { lowest, scale: if scale.is_finite() { scale } else { 0.0 }, last }
    }
}

/// The integer in the low bits of a number.
#[inline(always)]
fn index(cell: f64) -> usize {
    cell.to_bits() as u32 as usize
}

/// Writes the cells of distances, as integers in the low bits of floating-point numbers.
struct FindCells<'a> {
    cells: Cells,
    distances: &'a [f64],
    out: &'a mut [f64; CHUNK],
}

impl WithSimd for FindCells<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Cells { lowest, scale, last } = self.cells;
        let (distances, rest) = S::as_simd_f64s(self.distances);
        let (out, _) = self.out.split_at_mut(self.distances.len());
        let (out, out_of_rest) = S::as_mut_simd_f64s(out);
        for (cell, &distance) in out.iter_mut().zip(distances) {
            let position = simd.sub_f64s(distance, simd.splat_f64s(lowest));
            let position = simd.mul_f64s(position, simd.splat_f64s(scale));
            let position = simd.max_f64s(position, simd.splat_f64s(0.0));
            let position = simd.min_f64s(position, simd.splat_f64s(last));
            *cell = simd.add_f64s(position, simd.splat_f64s(ROUND));
        }
        for (cell, distance) in out_of_rest.iter_mut().zip(rest) {
            *cell = ((distance - lowest) * scale).clamp(0.0, last) + ROUND;
        }
    }
}
