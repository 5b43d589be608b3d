//! Sums over all pairs and triplets, block after block of anchors: distances, counts, gradient. Memory grows
//! with N, not with N².

use std::ops::Range;

use mentor_simd::dispatch;
use rayon::prelude::*;

use super::count::{Counter, Totals};
use super::element::{Element, lane_sum};
use super::gradient::Centred;
use super::points::Points;
use super::product;
use super::sink::{Sink, Weighed, WeightRow};

/// Anchors that share one pass over the samples.
const ROWS: usize = 256;
/// Samples that one task measures, a whole number of panels.
const COLUMNS: usize = 128;

/// What the anchors add up to. Sums are taken in the order of the anchors, so that threads do not change a
/// bit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) value: f64,
    pub(super) num_active: u64,
    pub(super) num_hard: u64,
    /// Of the distances of all ordered pairs of one class.
    pub(super) positive_distance: f64,
    /// Of the distances of all ordered pairs of two classes.
    pub(super) negative_distance: f64,
}

impl Sums {
    pub(super) fn add(&mut self, other: &Self) {
        self.value += other.value;
        self.num_active += other.num_active;
        self.num_hard += other.num_hard;
        self.positive_distance += other.positive_distance;
        self.negative_distance += other.negative_distance;
    }
}

/// What is asked for beside the sums.
pub(super) enum Wanted<'a> {
    /// Nothing.
    Counts,
    /// The gradient.
    Gradient,
    /// The integers by which the distances are multiplied, `[N, N]` in the order of the rows.
    Coefficients(&'a mut [i32]),
}

/// The sums over all triplets and, if wanted, their gradient `[N, width]`, whose products are taken in `T`.
pub(super) fn all_triplets<T: Element>(points: &Points, margin: f64, wanted: Wanted<'_>) -> (Sums, Vec<f64>) {
    let mut sums = Sums::default();
    let of_anchor = |counter: &mut Counter, anchor: usize, distances: &mut [f64], sink: &mut Sink<'_, T>| {
        count(counter, points, margin, anchor, distances, sink)
    };
    let gradient = each_anchor(points, wanted, of_anchor, |of_anchor| sums.add(&of_anchor));
    (sums, gradient)
}

/// Calls `of_anchor` for each row, with its distances `[stride]` to all rows, of which it gives the
/// coefficients to a sink, and with scratch memory of a thread. What it returns goes to `take`, in the order
/// of the rows. Returns the gradient `[N, width]` if it is wanted.
pub(super) fn each_anchor<T: Element, C: Default, R: Send>(
    points: &Points,
    wanted: Wanted<'_>,
    of_anchor: impl Fn(&mut C, usize, &mut [f64], &mut Sink<'_, T>) -> R + Sync,
    mut take: impl FnMut(R),
) -> Vec<f64> {
    let (num_samples, stride) = (points.num_samples, points.stride());
    let mut gradient = Vec::new();
    let mut centred = None;
    let mut integers = None;
    match wanted {
        Wanted::Counts => {}
        Wanted::Gradient => {
            gradient = vec![0.0; points.rows.len()];
            centred = Some(Centred::<T>::new(points));
        }
        Wanted::Coefficients(all) => integers = Some(all),
    }
    let block_rows = ROWS.min(num_samples.next_multiple_of(product::ROWS));
    let mut distance_block = vec![0.0; block_rows * stride];
    let mut weight_block = vec![T::default(); if centred.is_some() { block_rows * stride } else { 0 }];
    for start in (0..num_samples).step_by(ROWS) {
        let rows = start..num_samples.min(start + ROWS);
        let distance_block = &mut distance_block[..rows.len() * stride];
        distances(points, &rows, distance_block);
        let mut sinks: Vec<Sink<'_, T>> = Vec::with_capacity(rows.len());
        if let Some(centred) = &centred {
            let weights = weight_block.chunks_exact_mut(stride);
            sinks.extend(rows.clone().zip(weights).map(|(row, weights)| {
                let near = centred.near(points.distance, row);
                Sink::Weights(WeightRow { distance: points.distance, near, weights, near_pairs: Vec::new() })
            }));
        } else if let Some(all) = &mut integers {
            let block = &mut all[rows.start * num_samples..rows.end * num_samples];
            sinks.extend(block.chunks_exact_mut(num_samples).map(Sink::Integers));
        } else {
            sinks.resize_with(rows.len(), || Sink::Nothing);
        }
        let anchors = distance_block.par_chunks_exact_mut(stride).zip(sinks).enumerate().with_min_len(4);
        let results = anchors.map_init(C::default, |scratch, (row, (distances, mut sink))| {
            let result = of_anchor(scratch, start + row, distances, &mut sink);
            (result, sink.finish())
        });
        let (results, weighed): (Vec<R>, Vec<Weighed>) = results.unzip();
        results.into_iter().for_each(&mut take);
        if let Some(centred) = &centred {
            let padded_rows = rows.len().next_multiple_of(product::ROWS);
            weight_block[rows.len() * stride..padded_rows * stride].fill(T::default());
            let weights = &weight_block[..padded_rows * stride];
            centred.add_gradient(points, start, weights, &weighed, &mut gradient);
        }
    }
    gradient
}

/// Counts the triplets of the anchor whose `distances` these are; the padding becomes far away.
fn count<T: Element>(
    counter: &mut Counter,
    points: &Points,
    margin: f64,
    anchor: usize,
    distances: &mut [f64],
    sink: &mut Sink<'_, T>,
) -> Sums {
    let own = points.class[anchor].clone();
    let positive_distance = dispatch(|| lane_sum(&distances[own.clone()]));
    let negative_distance = dispatch(|| lane_sum(&distances[..points.num_samples])) - positive_distance;
    let Totals { value, num_active, num_hard } = match points.counts(anchor) {
        Some(_) => counter.count(margin, (anchor, own, points.num_samples), distances, sink),
        None => {
            sink.put_none();
            Totals::default()
        }
    };
    Sums { value, num_active, num_hard, positive_distance, negative_distance }
}

/// Distances from `rows` to all samples: `out` is `[rows, stride]`.
pub(super) fn distances(points: &Points, rows: &Range<usize>, out: &mut [f64]) {
    let stride = points.stride();
    let mut tiles: Vec<Vec<&mut [f64]>> = Vec::new();
    tiles.resize_with(stride.div_ceil(COLUMNS), || Vec::with_capacity(rows.len()));
    for row in out.chunks_exact_mut(stride) {
        for (tile, part) in tiles.iter_mut().zip(row.chunks_mut(COLUMNS)) {
            tile.push(part);
        }
    }
    let tiles = tiles.into_par_iter().enumerate();
    tiles.for_each(|(tile, out)| points.distances(rows.clone(), tile * COLUMNS, out));
}
