//! Times all triplets in process, for `bench/ranking.py`.
//!
//! ```text
//! triplet_bench batch|streamed embeddings.f32 labels.u32 seconds
//! ```
//!
//! The files hold little-endian numbers, nothing else. Repeats until the seconds are over, at least once, and
//! prints one JSON object.

#![allow(clippy::print_stdout, reason = "what a benchmark is for")]

use std::error::Error;
use std::time::Instant;

use mentor_loss::{AllTriplets, Average, Distance, Ranked};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [form, embeddings, labels, seconds] = &args[..] else {
        return Err("usage: triplet_bench batch|streamed embeddings.f32 labels.u32 seconds".into());
    };
    let embeddings = numbers(embeddings, f32::from_le_bytes)?;
    let labels = numbers(labels, u32::from_le_bytes)?;
    let loss = AllTriplets::new(Distance::Euclidean, 0.2, Average::Active)?;
    let limit: f64 = seconds.parse()?;
    let start = Instant::now();
    let mut times = Vec::new();
    let ranked: Ranked = loop {
        let before = Instant::now();
        let ranked = match form.as_str() {
            "batch" => loss.of_batch(&embeddings, &labels)?,
            _ => loss.streamed(&embeddings, &labels)?,
        };
        times.push(before.elapsed().as_secs_f64());
        if start.elapsed().as_secs_f64() > limit {
            break ranked;
        }
    };
    let best = times.iter().copied().fold(f64::INFINITY, f64::min);
    let norm = ranked.gradient.iter().map(|value| value * value).sum::<f64>().sqrt();
    let (runs, loss, active) = (times.len(), ranked.loss, ranked.census.num_active);
    println!(
        "{{\"secs\": {best}, \"runs\": {runs}, \"loss\": {loss}, \"gradient_norm\": {norm}, \
         \"num_active\": {active}}}"
    );
    Ok(())
}

/// The four-byte numbers of a file.
fn numbers<T>(path: &str, number: impl Fn([u8; 4]) -> T) -> std::io::Result<Vec<T>> {
    Ok(std::fs::read(path)?.as_chunks::<4>().0.iter().map(|&bytes| number(bytes)).collect())
}
