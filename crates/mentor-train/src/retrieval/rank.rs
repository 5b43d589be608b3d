//! One query against the whole gallery: where the samples of its class stand among the nearest.
//!
//! The keys come from a product in `f32` and may err by a known bound. What the metrics need is the order of samples of
//! the class against the others; only where such a pair lies within the bound are their keys computed again in `f64`.
//! So the result is that of a full sort by exact distances, at the price of the product and of a short sort.

use super::embeddings::{Embeddings, Metric, Prepared, exact_key};

/// Places of the sample from which the threshold of the candidates is guessed.
const SAMPLE: usize = 1024;
/// Above every approximate key.
const ALL: f32 = f32::MAX;

/// What the nearest neighbours of one query are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ranked {
    /// How many samples are nearer than the first one of the query's class; a large number where none is near.
    pub(super) first_hit: usize,
    pub(super) r_precision: f64,
    pub(super) map_at_r: f64,
    /// Whether the k nearest vote for the query's class.
    pub(super) knn_right: bool,
}

/// What all queries share.
pub(super) struct Ranking<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) metric: Metric,
    pub(super) queries: Embeddings<'a>,
    pub(super) gallery: Embeddings<'a>,
    pub(super) labels: &'a [u32],
    /// Whether query i is gallery sample i, which is then not its own neighbour.
    pub(super) same: bool,
    /// Neighbours that vote.
    pub(super) k: usize,
    /// Places beyond R that must be right: recall at 10, and the voters.
    pub(super) depth: usize,
}

/// Memory that one thread uses again for each query.
#[derive(Default)]
pub(super) struct Scratch {
    sample: Vec<f32>,
    /// Key and index of each candidate, packed so that integers sort like pairs.
    hits: Vec<u64>,
    others: Vec<u64>,
    exact_others: Vec<f64>,
    places: Vec<usize>,
    votes: Vec<(u32, usize, usize)>,
}

/// A key that is not negative, and the index that breaks ties, as one integer of the same order.
fn pack(key: f32, index: usize) -> u64 {
    u64::from(key.to_bits()) << 32 | index as u64
}

fn key(packed: u64) -> f32 {
    f32::from_bits((packed >> 32) as u32)
}

fn index(packed: u64) -> usize {
    (packed & u64::from(u32::MAX)) as usize
}

impl Ranking<'_> {
    /// Ranks the gallery for `query` of class `label`, of which the gallery holds `num_relevant` ≥ 1 (the query itself
    /// left out). `row` holds the products of the query with every gallery sample; it is overwritten.
    pub(super) fn rank(
        &self,
        query: usize,
        label: u32,
        num_relevant: usize,
        row: &mut [f32],
        scratch: &mut Scratch,
    ) -> Ranked {
        let base = self.prepared.query_base(query);
        for (product, sample_base) in row.iter_mut().zip(&self.prepared.gallery_bases) {
            *product = (base + sample_base - 2.0 * *product).max(0.0);
        }
        if self.same {
            row[query] = f32::INFINITY;
        }
        let available = row.len() - usize::from(self.same);
        let needed = num_relevant.max(self.depth).min(available);
        let bound = self.select(query, label, needed, row, scratch);
        self.place_hits(query, bound, scratch);

        let mut precisions = 0.0;
        let mut found = 0;
        for (number, &nearer) in scratch.places.iter().enumerate() {
            // `nearer` others and `number` of the class stand before this one.
            if nearer + number >= num_relevant {
                break;
            }
            found += 1;
            precisions += (number + 1) as f64 / (nearer + number + 1) as f64;
        }
        Ranked {
            first_hit: scratch.places.first().copied().unwrap_or(usize::MAX),
            r_precision: f64::from(found) / num_relevant as f64,
            map_at_r: precisions / num_relevant as f64,
            knn_right: self.vote(query, bound, self.k.min(available), scratch) == Some(label),
        }
    }

    /// Fills `hits` and `others` with every sample that can be among the `needed` nearest, each sorted by approximate
    /// key, and returns the bound of the keys' errors.
    fn select(&self, query: usize, label: u32, needed: usize, row: &[f32], scratch: &mut Scratch) -> f32 {
        let stride = row.len().div_ceil(SAMPLE).max(1);
        scratch.sample.clear();
        if stride > 1 {
            scratch.sample.extend(row.iter().step_by(stride));
        }
        let sampled = scratch.sample.len();
        let expected = needed as f64 / row.len() as f64 * sampled as f64;
        // Three standard deviations above the expected place; a guess that fails costs a second pass only.
        let mut place = (expected + 3.0 * expected.sqrt() + 3.0) as usize;
        loop {
            let threshold = if place < sampled {
                *scratch.sample.select_nth_unstable_by(place, f32::total_cmp).1
            } else {
                ALL
            };
            // The query itself is at infinity, which may be the guess where all others are sampled.
            let threshold = threshold.min(ALL);
            scratch.hits.clear();
            scratch.others.clear();
            for (index, &key) in row.iter().enumerate() {
                if key <= threshold {
                    let side =
                        if self.labels[index] == label { &mut scratch.hits } else { &mut scratch.others };
                    side.push(pack(key, index));
                }
            }
            let all = scratch.hits.iter().chain(&scratch.others);
            let largest = if threshold < ALL {
                threshold
            } else {
                all.clone().map(|&packed| key(packed)).fold(0.0, f32::max)
            };
            let bound = self.prepared.error_bound(query, f64::from(largest)) as f32;
            // A sample that is truly among the needed has a key of at most that of the last of them and two errors.
            let sure = all.filter(|&&packed| key(packed) <= threshold - 2.0 * bound).count();
            if threshold == ALL || sure >= needed {
                scratch.hits.sort_unstable();
                scratch.others.sort_unstable();
                return bound;
            }
            place = place * 2 + 8;
        }
    }

    /// Fills `places`: for each sample of the class, how many of the others are truly nearer; ascending.
    fn place_hits(&self, query: usize, bound: f32, scratch: &mut Scratch) {
        let Scratch { hits, others, exact_others, places, .. } = scratch;
        let row = self.queries.row(query);
        let exact = |index| exact_key(self.metric, row, self.gallery.row(index));
        places.clear();
        exact_others.clear();
        exact_others.resize(others.len(), f64::NAN);
        let (mut low, mut high) = (0, 0);
        for &hit in hits.iter() {
            while low < others.len() && key(others[low]) < key(hit) - 2.0 * bound {
                low += 1;
            }
            high = high.max(low);
            while high < others.len() && key(others[high]) <= key(hit) + 2.0 * bound {
                high += 1;
            }
            let mut nearer = low;
            if low < high {
                let own = (exact(index(hit)), index(hit));
                for place in low..high {
                    if exact_others[place].is_nan() {
                        exact_others[place] = exact(index(others[place]));
                    }
                    nearer += usize::from((exact_others[place], index(others[place])) < own);
                }
            }
            places.push(nearer);
        }
        places.sort_unstable();
    }

    /// The class that the `k` truly nearest vote for; among equals the one with the nearest neighbour.
    fn vote(&self, query: usize, bound: f32, k: usize, scratch: &mut Scratch) -> Option<u32> {
        let row = self.queries.row(query);
        let Scratch { hits, others, votes, .. } = scratch;
        // The k-th key of both lists together; no more than k of each can be before it.
        let mut first: Vec<u64> = hits.iter().take(k).chain(others.iter().take(k)).copied().collect();
        first.sort_unstable();
        let limit = key(*first.get(k.checked_sub(1)?)?) + 2.0 * bound;
        let near = |list: &[u64]| list.partition_point(|&packed| key(packed) <= limit);
        let mut nearest: Vec<(f64, usize)> = hits[..near(hits)]
            .iter()
            .chain(&others[..near(others)])
            .map(|&packed| (exact_key(self.metric, row, self.gallery.row(index(packed))), index(packed)))
            .collect();
        nearest.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        votes.clear();
        for (place, &(_, sample)) in nearest.iter().take(k).enumerate() {
            let class = self.labels[sample];
            match votes.iter_mut().find(|(voted, ..)| *voted == class) {
                Some((_, count, _)) => *count += 1,
                None => votes.push((class, 1, place)),
            }
        }
        votes
            .iter()
            .max_by_key(|&&(_, count, place)| (count, std::cmp::Reverse(place)))
            .map(|&(class, ..)| class)
    }
}
