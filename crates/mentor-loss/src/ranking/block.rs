//! The sum over all triplets, block after block of anchors: distances, counts, gradient. Memory grows with N, not with N².

use std::ops::Range;

use rayon::prelude::*;

use super::count::{Counter, Totals};
use super::gradient::Centred;
use super::points::Points;
use super::simd::{Element, lane_sums};
use super::weights::weights_of;

/// Anchors that share one pass over the samples.
const ROWS: usize = 256;
/// Samples that one task measures, a whole number of panels.
const COLUMNS: usize = 128;

/// What the anchors add up to. Sums are taken in the order of the anchors, so that threads do not change a bit.
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
    fn add(&mut self, other: &Self) {
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
///
pub(super) fn all_triplets<T: Element>(points: &Points, margin: f64, wanted: Wanted<'_>) -> (Sums, Vec<f64>) {
    let (num_samples, stride) = (points.num_samples, points.stride());
    let mut sums = Sums::default();
    let mut gradient = Vec::new();
    let mut centred = None;
    let mut coefficients = None;
    match wanted {
        Wanted::Counts => {}
        Wanted::Gradient => {
            gradient = vec![0.0; points.rows.len()];
            centred = Some(Centred::<T>::new(points));
        }
        Wanted::Coefficients(all) => coefficients = Some(all),
    }
    let mut distance_block = vec![0.0; ROWS.min(num_samples) * stride];
    let mut weight_block = vec![T::default(); distance_block.len()];
    for start in (0..num_samples).step_by(ROWS) {
        let rows = start..num_samples.min(start + ROWS);
        let distance_block = &mut distance_block[..rows.len() * stride];
        let weight_block = &mut weight_block[..rows.len() * stride];
        distances(points, &rows, distance_block);
        let integers = match &mut coefficients {
            Some(all) => {
                all[rows.start * num_samples..rows.end * num_samples].chunks_mut(num_samples).collect()
            }
            None => Vec::new(),
        };
        let integers = integers.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        let anchors: Vec<_> = distance_block
            .chunks_exact_mut(stride)
            .zip(weight_block.chunks_exact_mut(stride))
            .zip(integers)
            .collect();
        let anchors = anchors.into_par_iter().enumerate().with_min_len(4).map_init(
            || Scratch::new(points),
            |scratch, (row, ((distances, weights), integers))| {
                let sums = scratch.count(points, margin, start + row, distances);
                let integers = integers.into_iter().flatten();
                for (integer, &coefficient) in integers.zip(&scratch.coefficients) {
                    *integer = coefficient as i32;
                }
                (sums, weights_of(points.distance, &scratch.coefficients, distances, weights))
            },
        );
        let (anchors, totals): (Vec<Sums>, Vec<f64>) = anchors.unzip();
        anchors.iter().for_each(|anchor| sums.add(anchor));
        if let Some(centred) = &centred {
            centred.add_gradient(points, start, weight_block, &totals, &mut gradient);
        }
    }
    (sums, gradient)
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

/// The memory of one thread that counts.
struct Scratch {
    counter: Counter,
    /// The coefficients of one anchor, `[stride]`.
    coefficients: Vec<f64>,
}

impl Scratch {
    fn new(points: &Points) -> Self {
        Self { counter: Counter::default(), coefficients: vec![0.0; points.stride()] }
    }

    /// Fills `coefficients` with those of the anchor whose `distances` these are; the padding becomes far away.
    fn count(&mut self, points: &Points, margin: f64, anchor: usize, distances: &mut [f64]) -> Sums {
        let own = points.class[anchor].clone();
        let positive_distance: f64 = distances[own.clone()].iter().sum();
        let all = lane_sums(&distances[..points.num_samples]);
        if points.counts(anchor).is_none() {
            self.coefficients.fill(0.0);
            distances[points.num_samples..].fill(f64::MAX);
            return Sums { positive_distance, negative_distance: all - positive_distance, ..Sums::default() };
        }
        let place = (anchor, own, points.num_samples);
        let Totals { value, num_active, num_hard } =
            self.counter.count(margin, place, distances, &mut self.coefficients);
        let negative_distance = all - positive_distance;
        Sums { value, num_active, num_hard, positive_distance, negative_distance }
    }
}
