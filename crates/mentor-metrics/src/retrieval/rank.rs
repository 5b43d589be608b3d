//! One query against the whole gallery: where the samples of its class stand among the nearest.
//!
//! What the metrics need is how many others are nearer than each sample of the class. So the nearest are
//! chosen without sorting the rest, and of a good embedding most samples of the class are nearer than every
//! other, and need no order.

use std::cmp::Reverse;

use crate::stratified_subsample;

/// Places of the sample from which the threshold of the candidates is guessed.
const SAMPLE: usize = 2048;
/// Keys that are compared with the threshold before the next memory is touched.
const CHUNK: usize = 512;

/// What the nearest neighbours of one query are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ranked {
    /// How many samples are nearer than the first one of the query's class; a large number where none is
    /// near.
    pub(super) first_hit: usize,
    pub(super) r_precision: f64,
    pub(super) map_at_r: f64,
    /// Whether the k nearest vote for the query's class.
    pub(super) knn_right: bool,
}

/// What all queries share.
pub(super) struct Ranking<'a> {
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

/// Samples of a gallery from whose keys a threshold is guessed; none of a small gallery.
pub(super) fn sampled(num_samples: usize) -> Vec<usize> {
    match num_samples.div_ceil(SAMPLE) {
        0 | 1 => Vec::new(),
        stride => stratified_subsample(num_samples, stride),
    }
}

/// Memory that one thread uses again for each query.
#[derive(Default)]
pub(super) struct Scratch {
    /// Those of the queries of a tile.
    pub(super) keys: Vec<f64>,
    sample: Vec<f64>,
    /// The samples below the threshold.
    in_reach: Vec<u32>,
    /// Those of the query's class, in no order.
    hits: Vec<Neighbour>,
    /// The others, sorted.
    others: Vec<Neighbour>,
    /// Hits that are not nearer than all others, sorted.
    later: Vec<Neighbour>,
    /// For each hit, how many others are nearer; ascending.
    places: Vec<usize>,
    votes: Vec<(u32, usize, usize)>,
}

/// A key that is not negative, and the index that breaks ties, as one integer of the same order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Neighbour(u128);

impl Neighbour {
    fn new(key: f64, index: u32) -> Self {
        Self(u128::from(key.to_bits()) << 32 | u128::from(index))
    }

    fn index(self) -> usize {
        self.0 as u32 as usize
    }
}

impl Ranking<'_> {
    /// Ranks the gallery for `query` of class `label`, of which the gallery holds `num_relevant` ≥ 1 (the
    /// query itself left out). `keys` are those of every gallery sample; the query's own one is overwritten.
    pub(super) fn rank(
        &self,
        query: usize,
        label: u32,
        num_relevant: usize,
        keys: &mut [f64],
        scratch: &mut Scratch,
    ) -> Ranked {
        if self.same {
            keys[query] = f64::INFINITY; // beyond every threshold
        }
        let available = keys.len() - usize::from(self.same);
        let needed = num_relevant.max(self.depth).min(available);
        self.select(label, needed, keys, scratch);
        place_hits(scratch);

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
            knn_right: self.vote(self.k.min(available), scratch) == Some(label),
        }
    }

    /// Fills `hits` and `others` with at least the `needed` nearest samples and with all that are as near as
    /// one of them.
    fn select(&self, label: u32, needed: usize, keys: &[f64], scratch: &mut Scratch) {
        let Scratch { sample, in_reach, hits, others, .. } = scratch;
        sample.clear();
        sample.extend(self.sampled.iter().map(|&sample| keys[sample]));
        let expected = needed as f64 / keys.len() as f64 * sample.len() as f64;
        // Above the expected place by some standard deviations; a guess that fails costs a second pass only.
        let mut place = (expected + 2.5 * expected.sqrt() + 3.0) as usize;
        loop {
            let threshold = if place < sample.len() {
                sample.select_nth_unstable_by(place, f64::total_cmp).1.min(f64::MAX)
            } else {
                f64::MAX
            };
            in_reach.clear();
            for (first, keys) in (0..).step_by(CHUNK).zip(keys.chunks(CHUNK)) {
                // Without a branch for each key: written always, and kept where it is in reach.
                let mut kept = [0; CHUNK];
                let mut count = 0;
                for (index, &key) in (first..).zip(keys) {
                    kept[count] = index;
                    count += usize::from(key <= threshold);
                }
                in_reach.extend_from_slice(&kept[..count]);
            }
            if threshold == f64::MAX || in_reach.len() >= needed {
                break;
            }
            place = place * 2 + 8;
        }
        hits.clear();
        others.clear();
        for &index in &*in_reach {
            let side = if self.labels[index as usize] == label { &mut *hits } else { &mut *others };
            side.push(Neighbour::new(keys[index as usize], index));
        }
        others.sort_unstable();
    }

    /// The class that the `k` nearest vote for; among equals the one with the nearest neighbour.
    fn vote(&self, k: usize, scratch: &mut Scratch) -> Option<u32> {
        let Scratch { hits, others, votes, .. } = scratch;
        let last = k.checked_sub(1)?;
        if k < hits.len() {
            hits.select_nth_unstable(last);
        }
        let mut nearest: Vec<Neighbour> = hits.iter().take(k).chain(others.iter().take(k)).copied().collect();
        nearest.sort_unstable();
        votes.clear();
        for (place, neighbour) in nearest.iter().take(k).enumerate() {
            let class = self.labels[neighbour.index()];
            match votes.iter_mut().find(|(voted, ..)| *voted == class) {
                Some((_, count, _)) => *count += 1,
                None => votes.push((class, 1, place)),
            }
        }
        let best = votes.iter().max_by_key(|&&(_, count, place)| (count, Reverse(place)));
        best.map(|&(class, ..)| class)
    }
}

/// Fills `places`.
fn place_hits(scratch: &mut Scratch) {
    let Scratch { hits, others, later, places, .. } = scratch;
    later.clear();
    if let Some(first) = others.first() {
        later.extend(hits.iter().filter(|&hit| hit > first));
    }
    later.sort_unstable();
    places.clear();
    places.resize(hits.len() - later.len(), 0);
    let mut nearer = 0;
    for hit in later.iter() {
        nearer += others[nearer..].iter().take_while(|&other| other < hit).count();
        places.push(nearer);
    }
}
