//! Times the evaluation of retrieval in process, for `bench/ranking.py`.
//!
//! ```text
//! retrieval_bench embeddings.f32 labels.u32
//! ```
//!
//! The files hold little-endian numbers, nothing else. Prints one JSON object. `bench/ranking.py` measures
//! the memory.

#![allow(clippy::print_stdout, reason = "what a benchmark is for")]

use std::error::Error;
use std::time::Instant;

use mentor_metrics::retrieval::{Embeddings, Retrieval, RetrievalOptions, evaluate};

/// As in the binary: it keeps large buffers for the next tile.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [embeddings, labels] = &args[..] else {
        return Err("usage: retrieval_bench embeddings.f32 labels.u32".into());
    };
    let values = numbers(embeddings, f32::from_le_bytes)?;
    let labels = numbers(labels, u32::from_le_bytes)?;
    let embeddings = Embeddings::new(&values, values.len() / labels.len().max(1))?;
    let start = Instant::now();
    let found = evaluate(&embeddings, &labels, None, &RetrievalOptions::default())?;
    let secs = start.elapsed().as_secs_f64();
    let Retrieval { precision_at_1, r_precision, map_at_r, .. } = found;
    let [precision_at_1, r_precision, map_at_r] =
        [precision_at_1, r_precision, map_at_r].map(|mean| mean.ok_or("no sample has another of its class"));
    let (precision_at_1, r_precision, map_at_r) = (precision_at_1?, r_precision?, map_at_r?);
    println!(
        "{{\"secs\": {secs}, \"precision_at_1\": {precision_at_1}, \"r_precision\": {r_precision}, \
         \"map_at_r\": {map_at_r}}}"
    );
    Ok(())
}

/// The four-byte numbers of a file.
fn numbers<T>(path: &str, number: impl Fn([u8; 4]) -> T) -> std::io::Result<Vec<T>> {
    Ok(std::fs::read(path)?.as_chunks::<4>().0.iter().map(|&bytes| number(bytes)).collect())
}
