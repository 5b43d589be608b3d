//! All 64-bit hashes within a Hamming distance, without looking at every hash.
//!
//! A hash is cut into four parts of 16 bits. If two hashes differ in at most 15 bits, one of their four parts
//! differs in at most 3, so it is enough to look up each part and its 696 neighbours (Norouzi, Punjani,
//! Fleet. Fast Search in Hamming Space with Multi-Index Hashing. CVPR 2012).

use std::sync::LazyLock;

const PARTS: usize = 4;
const PART_BITS: usize = 16;
/// Bits that are changed in a part to look for neighbours.
const PART_DISTANCE: u32 = 3;
/// The largest distance that four parts with three changed bits each can promise.
pub const MAX_DISTANCE: u32 = PARTS as u32 * (PART_DISTANCE + 1) - 1;

/// Every change of at most [`PART_DISTANCE`] bits of a part.
static CHANGES: LazyLock<Vec<u16>> =
    LazyLock::new(|| (0..=u16::MAX).filter(|change| change.count_ones() <= PART_DISTANCE).collect());

fn part(hash: u64, index: usize) -> u16 {
    (hash >> (index * PART_BITS)) as u16
}

#[derive(Clone, Debug)]
pub(super) struct MultiIndex {
    hashes: Vec<u64>,
    tables: [Table; PARTS],
}

/// Positions of the hashes, grouped by the value of one part.
#[derive(Clone, Debug)]
struct Table {
    /// Positions with part p are at `starts[p]..starts[p + 1]`.
    starts: Vec<u32>,
    positions: Vec<u32>,
}

impl Table {
    fn new(hashes: &[u64], index: usize) -> Self {
        let mut starts = vec![0_u32; (1 << PART_BITS) + 1];
        for &hash in hashes {
            starts[usize::from(part(hash, index)) + 1] += 1;
        }
        for bucket in 0..1 << PART_BITS {
            starts[bucket + 1] += starts[bucket];
        }
        let mut next = starts.clone();
        let mut positions = vec![0; hashes.len()];
        for (position, &hash) in (0..).zip(hashes) {
            let slot = &mut next[usize::from(part(hash, index))];
            positions[*slot as usize] = position;
            *slot += 1;
        }
        Self { starts, positions }
    }

    fn bucket(&self, part: u16) -> &[u32] {
        let bucket = usize::from(part);
        &self.positions[self.starts[bucket] as usize..self.starts[bucket + 1] as usize]
    }
}

impl MultiIndex {
    pub(super) fn new(hashes: Vec<u64>) -> Self {
        assert!(u32::try_from(hashes.len()).is_ok(), "{} hashes are more than 2^32 - 1", hashes.len());
        let tables = std::array::from_fn(|index| Table::new(&hashes, index));
        Self { hashes, tables }
    }

    /// Calls `visit(position, distance)` once for each hash within `max_distance`, in no promised order.
    pub(super) fn visit(&self, hash: u64, max_distance: u32, mut visit: impl FnMut(usize, u32)) {
        debug_assert!(max_distance <= MAX_DISTANCE);
        for (index, table) in self.tables.iter().enumerate() {
            let own = part(hash, index);
            for &position in CHANGES.iter().flat_map(|change| table.bucket(own ^ change)) {
                let difference = hash ^ self.hashes[position as usize];
                // Reported by the first of the tables that finds it.
                let known = (0..index).any(|earlier| part(difference, earlier).count_ones() <= PART_DISTANCE);
                if !known && difference.count_ones() <= max_distance {
                    visit(position as usize, difference.count_ones());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mentor_random::{Purpose, Stream};

    #[test]
    fn the_search_finds_what_a_scan_finds() {
        let mut stream = Stream::new(0, Purpose::Order, &[]);
        let centre = stream.next_u64();
        // Hashes at all distances from the centre, many of them within reach.
        let hashes: Vec<u64> = (0..3000)
            .map(|i| (0..i % 20).fold(centre, |hash, _| hash ^ (1 << stream.below(64))))
            .chain((0..500_u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect();
        let index = MultiIndex::new(hashes.clone());
        for query in hashes.iter().step_by(17) {
            for max_distance in [0, 3, 9, MAX_DISTANCE] {
                let mut found = Vec::new();
                index.visit(*query, max_distance, |position, distance| found.push((position, distance)));
                found.sort_unstable();
                let distances = hashes.iter().map(|hash| (hash ^ query).count_ones()).enumerate();
                let scanned: Vec<(usize, u32)> =
                    distances.filter(|&(_, distance)| distance <= max_distance).collect();
                assert_eq!(found, scanned);
            }
        }
    }
}
