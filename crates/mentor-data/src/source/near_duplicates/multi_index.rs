//! All 64-bit hashes within a Hamming distance, without looking at every hash.
//!
//! A hash is cut into four parts of 16 bits. If two hashes differ in at most 7 bits, one of their four parts differs in at
//! most 1, so it is enough to look up each part and its 16 neighbours (Norouzi, Punjani, Fleet. Fast Search in Hamming
//! Space with Multi-Index Hashing. CVPR 2012).

const PARTS: usize = 4;
const PART_BITS: usize = 16;
/// The largest distance that four parts with one changed bit each can promise.
pub const MAX_DISTANCE: u32 = 7;

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
            let neighbours = std::iter::once(own).chain((0..PART_BITS).map(|bit| own ^ (1 << bit)));
            for &position in neighbours.flat_map(|part| table.bucket(part)) {
                let difference = hash ^ self.hashes[position as usize];
                // Reported by the first of the tables that finds it.
                let known = (0..index).any(|earlier| part(difference, earlier).count_ones() <= 1);
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
            .map(|i| (0..i % 12).fold(centre, |hash, _| hash ^ (1 << stream.below(64))))
            .chain((0..500_u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect();
        let index = MultiIndex::new(hashes.clone());
        for query in hashes.iter().step_by(17) {
            for max_distance in [0, 3, 6, MAX_DISTANCE] {
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
