//! One query against the whole gallery: where the samples of its class stand among the nearest.
//!
//! The keys come from a product in `f32` and may err by a known bound. What the metrics need is the order of samples of
//! the class against the others; only where such a pair lies within the bound are their keys computed again in `f64`.
//! So the result is that of a full sort by exact distances, at the price of the product and of a short sort.

use std::cmp::{Ordering, Reverse};

use mentor_random::{Purpose, Stream};

use super::embeddings::{Embeddings, Metric, Prepared, exact_key};

/// Places of the sample from which the threshold of the candidates is guessed.
const SAMPLE: usize = 2048;
/// Above every approximate key.
const ALL: f32 = f32::MAX;
/// Keys that are compared with the threshold before the next memory is touched.
const CHUNK: usize = 512;

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
    /// Samples from whose keys the threshold of the candidates is guessed; none of a small gallery.
    pub(super) sampled: Vec<usize>,
}

/// One sample of each stretch of a gallery, in a place drawn by chance: samples at equal steps would all be of one class
/// where classes come in turn.
pub(super) fn sampled(num_samples: usize) -> Vec<usize> {
    let stride = num_samples.div_ceil(SAMPLE).max(1);
    if stride == 1 {
        return Vec::new();
    }
    let mut stream = Stream::new(0, Purpose::Analysis, &[2]);
    let starts = (0..num_samples).step_by(stride);
    starts.map(|start| start + stream.below(stride.min(num_samples - start) as u64) as usize).collect()
}

/// Memory that one thread uses again for each query.
#[derive(Default)]
pub(super) struct Scratch {
    sample: Vec<f32>,
    /// Key and index of each sample below the threshold, packed so that integers sort like pairs.
    in_reach: Vec<u64>,
    /// Those of the query's class, in no order.
    hits: Vec<u64>,
    /// The others, sorted.
    others: Vec<u64>,
    /// Exact keys of the others, where they matter.
    exact: Vec<(f64, usize)>,
    stretch: Vec<i64>,
    /// Hits that are not nearer than all others for sure, sorted, and the others about each.
    later: Vec<u64>,
    unsure: Vec<(usize, usize)>,
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

/// By exact key, then by index.
fn order(a: &(f64, usize), b: &(f64, usize)) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

impl Ranking<'_> {
    /// Ranks the gallery for `query` of class `label`, of which the gallery holds `num_relevant` ≥ 1 (the query itself
    /// left out). `products` are those of the query with every gallery sample.
    pub(super) fn rank(
        &self,
        query: usize,
        label: u32,
        num_relevant: usize,
        products: &[f32],
        scratch: &mut Scratch,
    ) -> Ranked {
        let available = products.len() - usize::from(self.same);
        let needed = num_relevant.max(self.depth).min(available);
        let bound = self.select(query, label, needed, products, scratch);
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

    /// Fills `hits` and `others` with every sample that can be among the `needed` nearest, `others` sorted by approximate
    /// key, and returns the bound of the keys' errors.
    fn select(
        &self,
        query: usize,
        label: u32,
        needed: usize,
        products: &[f32],
        scratch: &mut Scratch,
    ) -> f32 {
        let base = self.prepared.query_base(query);
        let bases = &self.prepared.gallery_bases;
        let key_of = |product: f32, sample_base: f32| (base + sample_base - 2.0 * product).max(0.0);
        scratch.sample.clear();
        scratch.sample.extend(self.sampled.iter().map(|&sample| key_of(products[sample], bases[sample])));
        let num_sampled = scratch.sample.len();
        let expected = needed as f64 / products.len() as f64 * num_sampled as f64;
        // Above the expected place by some standard deviations; a guess that fails costs a second pass only.
        let mut place = (expected + 2.5 * expected.sqrt() + 3.0) as usize;
        loop {
            let threshold = if place < num_sampled {
                *scratch.sample.select_nth_unstable_by(place, f32::total_cmp).1
            } else {
                ALL
            };
            let (mut in_reach, mut largest) = (Vec::new(), 0.0_f32);
            std::mem::swap(&mut in_reach, &mut scratch.in_reach);
            in_reach.clear();
            for (number, (products, bases)) in products.chunks(CHUNK).zip(bases.chunks(CHUNK)).enumerate() {
                // Without a branch for each key: written always, and kept where it is in reach.
                let mut kept = [0; CHUNK];
                let mut count = 0;
                for (place, (&product, &sample_base)) in products.iter().zip(bases).enumerate() {
                    let key = key_of(product, sample_base);
                    kept[count] = pack(key, number * CHUNK + place);
                    count += usize::from(key <= threshold);
                }
                in_reach.extend_from_slice(&kept[..count]);
            }
            scratch.hits.clear();
            scratch.others.clear();
            for &packed in &in_reach {
                let sample = index(packed);
                if self.same && sample == query {
                    continue;
                }
                largest = largest.max(key(packed));
                let side = if self.labels[sample] == label { &mut scratch.hits } else { &mut scratch.others };
                side.push(packed);
            }
            scratch.in_reach = in_reach;
            let bound = self.prepared.error_bound(query, f64::from(largest.min(threshold))) as f32;
            // A sample that is truly among the needed has a key of at most that of the last of them and two errors.
            let limit = threshold - 2.0 * bound;
            let sure =
                scratch.hits.iter().chain(&scratch.others).filter(|&&packed| key(packed) <= limit).count();
            if threshold == ALL || sure >= needed {
                scratch.others.sort_unstable();
                return bound;
            }
            place = place * 2 + 8;
        }
    }

    /// Fills `places`: for each sample of the class, how many of the others are truly nearer; ascending.
    ///
    /// The others within two bounds of a hit are unsure. Stretches of them are sorted by exact keys, once for all hits.
    fn place_hits(&self, query: usize, bound: f32, scratch: &mut Scratch) {
        let Scratch { hits, others, exact, stretch, later, unsure, places, .. } = scratch;
        let row = self.queries.row(query);
        let exactly =
            |packed: u64| (exact_key(self.metric, row, self.gallery.row(index(packed))), index(packed));

        // Most hits of a good embedding are nearer than every other, and need no order.
        let first = others.first().map_or(f32::INFINITY, |&other| key(other)) - 2.0 * bound;
        later.clear();
        later.extend(hits.iter().filter(|&&hit| key(hit) >= first));
        later.sort_unstable();
        places.clear();
        places.resize(hits.len() - later.len(), 0);

        // +1 where an unsure range begins and -1 where it ends, then the sum: above 0 inside of any.
        unsure.clear();
        stretch.clear();
        stretch.resize(others.len() + 1, 0);
        let (mut low, mut high) = (0, 0);
        for &hit in later.iter() {
            while low < others.len() && key(others[low]) < key(hit) - 2.0 * bound {
                low += 1;
            }
            high = high.max(low);
            while high < others.len() && key(others[high]) <= key(hit) + 2.0 * bound {
                high += 1;
            }
            stretch[low] += 1;
            stretch[high] -= 1;
            unsure.push((low, high));
        }
        exact.clear();
        exact.resize(others.len(), (0.0, 0));
        let (mut open, mut start) = (0, 0);
        for place in 0..=others.len() {
            let was_open = open > 0;
            open += stretch[place];
            if open > 0 {
                if !was_open {
                    start = place;
                }
                exact[place] = exactly(others[place]);
            } else if was_open {
                exact[start..place].sort_unstable_by(order);
                // From here on each place knows its stretch: the first one its end, the others its start.
                stretch[start..place].fill(start as i64);
                stretch[start] = place as i64;
            }
        }
        for (&hit, &(low, high)) in later.iter().zip(unsure.iter()) {
            if low == high {
                places.push(low);
                continue;
            }
            let found = stretch[low] as usize;
            let start = if found > low { low } else { found };
            let end = stretch[start] as usize;
            let own = exactly(hit);
            places.push(start + exact[start..end].partition_point(|other| order(other, &own).is_lt()));
        }
        places.sort_unstable();
    }

    /// The class that the `k` truly nearest vote for; among equals the one with the nearest neighbour.
    fn vote(&self, query: usize, bound: f32, k: usize, scratch: &mut Scratch) -> Option<u32> {
        let row = self.queries.row(query);
        let Scratch { hits, others, votes, .. } = scratch;
        let last = k.checked_sub(1)?;
        if k < hits.len() {
            hits.select_nth_unstable(last);
        }
        // The k-th key of both lists together; no more than k of each can be before it.
        let mut first: Vec<u64> = hits.iter().take(k).chain(others.iter().take(k)).copied().collect();
        first.sort_unstable();
        let limit = key(*first.get(last)?) + 2.0 * bound;
        let near_others = others.iter().take_while(|&&packed| key(packed) <= limit);
        let mut nearest: Vec<(f64, usize)> = hits
            .iter()
            .filter(|&&packed| key(packed) <= limit)
            .chain(near_others)
            .map(|&packed| (exact_key(self.metric, row, self.gallery.row(index(packed))), index(packed)))
            .collect();
        nearest.sort_unstable_by(order);
        votes.clear();
        for (place, &(_, sample)) in nearest.iter().take(k).enumerate() {
            let class = self.labels[sample];
            match votes.iter_mut().find(|(voted, ..)| *voted == class) {
                Some((_, count, _)) => *count += 1,
                None => votes.push((class, 1, place)),
            }
        }
        let best = votes.iter().max_by_key(|&&(_, count, place)| (count, Reverse(place)));
        best.map(|&(class, ..)| class)
    }
}
