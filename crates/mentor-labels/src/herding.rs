//! A choice that covers a pool: herding with a kernel, the same for few labels and for many.

use std::collections::BinaryHeap;

use mentor_random::{Purpose, Stream};
use mentor_simd::{PairTerm, Panels};
use rayon::prelude::*;

use crate::rows::{Rows, to_length_1};

/// Rows that are chosen among and covered, at most: memory holds the similarity of every two of them.
const MOST_ROWS: usize = 8192;
/// Width σ of the kernel, of rows of length 1.
const SIGMA: f64 = 1.0;

/// A row, and what of the whole weight it covers that those before it do not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Covering {
    pub(crate) row: u32,
    pub(crate) gain: f64,
}

/// Goes through the rows without a label, always to the one that adds most to what is covered, until `take`
/// has accepted `budget` of them. A row that is not accepted covers nothing.
///
/// **Definition.** Of directions x of rows, of which S have labels or are chosen, Σ w(x) max_{s ∈ S}
/// exp(−‖x − s‖²/(2σ²)) / Σ w(x) is covered, σ being 1. Of more than 8,192 rows so many are drawn by the
/// seed.
///
/// **Source.** W. Bae, J. Noh, D. J. Sutherland. Generalized Coverage for More Robust Low-Budget Active
/// Learning. ECCV 2024, algorithm 1 (MaxHerding). With weights: W. Bae, D. J. Sutherland, G. L. Oliveira.
/// Uncertainty Herding. ICLR 2025, equation 4.
pub(crate) fn herd(
    rows: &Rows<'_>,
    labelled: &[bool],
    weight: impl Fn(u32) -> f64,
    budget: usize,
    seed: u64,
    mut take: impl FnMut(Covering) -> bool,
) {
    let open = drawn(labelled, seed);
    if open.is_empty() || budget == 0 {
        return;
    }
    let weights = normalised(open.iter().map(|&row| weight(row)).collect());
    let values = directions(rows, &open);
    let directed = Rows::new(&values, rows.width());
    let similarity = similarities(&directed, &values);
    let mut covered = covered_by_labels(rows, labelled, &directed);
    let gain = |place: usize, covered: &[f32]| -> f64 {
        let own = &similarity[place * open.len()..][..open.len()];
        let more = own.iter().zip(covered).zip(&weights);
        more.map(|((new, old), weight)| weight * f64::from((new - old).max(0.0))).sum()
    };
    let first: Vec<f64> = (0..open.len()).into_par_iter().map(|place| gain(place, &covered)).collect();
    // What a row adds only shrinks, so that an old number is a bound: the first of them whose number is of
    // now is the best.
    let mut queue: BinaryHeap<Bound> =
        first.into_iter().enumerate().map(|(place, gain)| Bound { gain, place, round: 0 }).collect();
    let mut round = 0;
    while round < budget {
        let Some(Bound { gain: bound, place, round: of_round }) = queue.pop() else { return };
        if of_round < round {
            queue.push(Bound { gain: gain(place, &covered), place, round });
            continue;
        }
        if take(Covering { row: open[place], gain: bound }) {
            let own = &similarity[place * open.len()..][..open.len()];
            covered.iter_mut().zip(own).for_each(|(old, new)| *old = old.max(*new));
            round += 1;
        }
    }
}

/// What a row adds at most, as of a round.
#[derive(Clone, Copy, Debug)]
struct Bound {
    gain: f64,
    place: usize,
    round: usize,
}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.gain.total_cmp(&other.gain).then(other.place.cmp(&self.place))
    }
}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Bound {}

/// The rows without a label, ascending; some of them, if there are many.
fn drawn(labelled: &[bool], seed: u64) -> Vec<u32> {
    let mut open: Vec<u32> = (0..labelled.len() as u32).filter(|&row| !labelled[row as usize]).collect();
    if open.len() > MOST_ROWS {
        let mut order = Stream::new(seed, Purpose::Clusters, &[2]).permutation(open.len() as u32);
        order.truncate(MOST_ROWS);
        open = order.into_iter().map(|place| open[place as usize]).collect();
        open.sort_unstable();
    }
    open
}

/// Weights of sum 1; equal ones where all are 0.
fn normalised(mut weights: Vec<f64>) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    let equal = 1.0 / weights.len() as f64;
    weights.iter_mut().for_each(|weight| *weight = if sum > 0.0 { *weight / sum } else { equal });
    weights
}

/// Some rows, each of length 1; a row of zeros stays.
fn directions(rows: &Rows<'_>, some: &[u32]) -> Vec<f32> {
    let mut values = rows.gather(some);
    to_length_1(&mut values, rows.width());
    values
}

/// `[N, M]`: of each row with each of `others`.
fn similarities(rows: &Rows<'_>, others: &[f32]) -> Vec<f32> {
    let panels = Panels::new(others, rows.width());
    let kernel = |_: usize, distances: &mut [f64]| -> Vec<f32> { distances.iter().map(similarity).collect() };
    rows.map_pairs(PairTerm::SquaredDistance, &panels, others.len() / rows.width(), kernel).concat()
}

fn similarity(squared_distance: &f64) -> f32 {
    (-squared_distance / (2.0 * SIGMA * SIGMA)).exp() as f32
}

/// The similarity of each row to the nearest label.
fn covered_by_labels(rows: &Rows<'_>, labelled: &[bool], directed: &Rows<'_>) -> Vec<f32> {
    let known: Vec<u32> = (0..labelled.len() as u32).filter(|&row| labelled[row as usize]).collect();
    if known.is_empty() {
        return vec![0.0; directed.len()];
    }
    let panels = Panels::new(&directions(rows, &known), rows.width());
    directed.map_pairs(PairTerm::SquaredDistance, &panels, known.len(), |_, distances| {
        similarity(&distances.iter().copied().fold(f64::INFINITY, f64::min))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn herded(values: &[f32], width: usize, labelled: &[bool], weight: impl Fn(u32) -> f64) -> Vec<Covering> {
        let mut found = Vec::new();
        herd(&Rows::new(values, width), labelled, weight, usize::MAX, 0, |covering| {
            found.push(covering);
            true
        });
        found
    }

    #[test]
    fn each_row_is_the_one_that_adds_most() {
        let mut stream = Stream::new(3, Purpose::Weights, &[0]);
        let values: Vec<f32> = (0..60 * 4).map(|_| stream.normal()).collect();
        let rows = Rows::new(&values, 4);
        let all: Vec<u32> = (0..60).collect();
        let unit = directions(&rows, &all);
        let unit = Rows::new(&unit, 4);
        let kernel = |a: u32, b: u32| {
            let pairs = unit.row(a as usize).iter().zip(unit.row(b as usize));
            (-pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / 2.0).exp()
        };
        let mut labelled = [false; 60];
        labelled[11] = true;
        let weight = |row: u32| f64::from(row % 3);
        let found = herded(&values, 4, &labelled, weight);
        assert_eq!(found.len(), 59);
        let mut known = vec![11];
        for Covering { row, gain } in found.into_iter().take(20) {
            let covered = |known: &[u32]| -> f64 {
                let best = |x: u32| known.iter().map(|&s| kernel(x, s)).fold(0.0, f64::max);
                all.iter().filter(|&&x| x != 11).map(|&x| weight(x) * best(x)).sum()
            };
            let total: f64 = all.iter().filter(|&&x| x != 11).map(|&x| weight(x)).sum();
            let before = covered(&known);
            let more = |row: u32| (covered(&[&known[..], &[row]].concat()) - before) / total;
            assert!((more(row) - gain).abs() < 1e-5, "{row}: {gain}, not {}", more(row));
            assert!(all.iter().all(|&other| more(other) <= gain + 1e-5));
            known.push(row);
        }
    }

    #[test]
    fn what_is_refused_covers_nothing_and_comes_once() {
        let values = [1.0, 0.0, 1.0, 0.1, 0.0, 1.0];
        let mut asked = Vec::new();
        herd(
            &Rows::new(&values, 2),
            &[false; 3],
            |_| 1.0,
            2,
            0,
            |Covering { row, .. }| {
                asked.push(row);
                row != asked[0]
            },
        );
        asked.sort_unstable();
        assert_eq!(asked, [0, 1, 2]);
        assert!(herded(&values, 2, &[true; 3], |_| 1.0).is_empty());
        // Without a weight all are alike.
        assert_eq!(herded(&[0.0; 6], 2, &[false; 3], |_| 0.0).len(), 3);
    }
}
