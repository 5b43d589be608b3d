//! Time and memory of retrieval evaluation, and its equality with a full sort on a part of the samples.
//!
//! ```text
//! cargo run --release -p mentor-train --example retrieval_bench -- [samples] [dim] [classes] [spread]
//! ```
//!
//! Prints one JSON line. Memory is the most that the process has held, the embeddings included.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for one's own terminal")]

use std::time::Instant;

use mentor_random::{Purpose, Stream};
use mentor_train::retrieval::{Embeddings, RetrievalOptions, evaluate, nearest};

/// As in the binary: it keeps large buffers for the next tile.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Samples of the comparison with a full sort.
const CHECKED: usize = 2000;

fn main() {
    let arguments: Vec<f64> = std::env::args().skip(1).map(|text| text.parse().unwrap()).collect();
    let argument = |place: usize, default: f64| arguments.get(place).copied().unwrap_or(default);
    let (count, dim) = (argument(0, 60_000.0) as usize, argument(1, 128.0) as usize);
    let (classes, spread) = (argument(2, 10.0) as usize, argument(3, 1.0) as f32);

    // Clusters on the unit sphere, as embeddings with unit norm are.
    let mut stream = Stream::new(1, Purpose::Weights, &[0]);
    let centres: Vec<f32> = (0..classes * dim).map(|_| stream.normal()).collect();
    let labels: Vec<u32> = (0..count).map(|sample| (sample % classes) as u32).collect();
    let mut values = Vec::with_capacity(count * dim);
    for &label in &labels {
        let centre = &centres[label as usize * dim..][..dim];
        let row: Vec<f32> = centre.iter().map(|centre| centre + spread * stream.normal()).collect();
        let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        values.extend(row.iter().map(|value| value / norm));
    }
    let embeddings = Embeddings::new(&values, dim).unwrap();

    let start = Instant::now();
    let found = evaluate(&embeddings, &labels, None, &RetrievalOptions::default()).unwrap();
    let secs = start.elapsed().as_secs_f64();

    let checked = CHECKED.min(count);
    let part = Embeddings::new(&values[..checked * dim], dim).unwrap();
    let by_tiles = evaluate(&part, &labels[..checked], None, &RetrievalOptions::default()).unwrap();
    let map = mean_map_at_r(&part, &labels[..checked]);
    println!(
        "{{\"samples\": {count}, \"dim\": {dim}, \"classes\": {classes}, \"spread\": {spread}, \"secs\": {secs:.2}, \
         \"peak_mib\": {}, \"precision_at_1\": {}, \"r_precision\": {}, \"map_at_r\": {}, \
         \"map_difference_on_{checked}\": {:e}}}",
        peak_mib(),
        found.precision_at_1,
        found.r_precision,
        found.map_at_r,
        (by_tiles.map_at_r - map).abs()
    );
}

/// MAP@R by a full sort of exact distances for each query.
fn mean_map_at_r(embeddings: &Embeddings<'_>, labels: &[u32]) -> f64 {
    let of_query = |query: usize| {
        let order = nearest(embeddings, embeddings.row(query), embeddings.len(), Default::default()).unwrap();
        let right = order
            .iter()
            .filter(|found| found.index != query)
            .map(|found| labels[found.index] == labels[query]);
        let right: Vec<bool> = right.collect();
        let relevant = right.iter().filter(|&&right| right).count();
        let mut hits = 0.0;
        let sum: f64 = (0..relevant)
            .filter(|&place| right[place])
            .map(|place| {
                hits += 1.0;
                hits / (place + 1) as f64
            })
            .sum();
        sum / relevant as f64
    };
    (0..embeddings.len()).map(of_query).sum::<f64>() / embeddings.len() as f64
}

/// Peak resident memory of this process, from Linux.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
