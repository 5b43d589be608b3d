//! Measures a network: `images_per_second FILE [BATCH] [THREADS]`, for `bench/backbones.py`.
#![allow(clippy::print_stdout, reason = "it tells what it measures")]

use std::time::Instant;

use mentor_backbone::Backbone;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default| arguments.get(at).map_or(Ok(default), |text| text.parse::<usize>());
    let (batch, threads) = (number(1, 32)?, number(2, 2)?);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let backbone = Backbone::open(arguments.first().ok_or("name a file of weights")?.as_ref(), None)?;
    let size = backbone.preprocessing.size;
    let pixels: Vec<f32> = (0..batch * 3 * size * size).map(|at| (at % 509) as f32 / 254.0 - 1.0).collect();
    let mut secs = Vec::new();
    for _ in 0..6 {
        let start = Instant::now();
        let features = backbone.network.features(&pixels, [size; 2]);
        secs.push(start.elapsed().as_secs_f64());
        assert!(features.iter().all(|value| value.is_finite()));
    }
    // The first run fetches memory.
    let best = secs[1..].iter().copied().fold(f64::INFINITY, f64::min);
    println!("{} {batch} {threads} {:.2}", backbone.architecture.name, batch as f64 / best);
    Ok(())
}
