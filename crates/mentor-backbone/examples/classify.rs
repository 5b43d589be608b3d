//! The class of each image by the head that came with the weights: `classify FILE IMAGE…` prints path, class
//! index and probability. A check of weights and preprocessing together, where a file has a head.
#![allow(clippy::print_stdout, reason = "it tells what it finds")]

use mentor_backbone::{Backbone, read_picture};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let backbone = Backbone::open(arguments.next().ok_or("name a file of weights")?.as_ref(), None)?;
    let paths: Vec<String> = arguments.collect();
    let read = |path: &String| read_picture(path.as_ref(), 64_000_000, 256 << 20);
    let features = backbone.extract(&paths, 32, read, |_| {});
    for (path, feature) in paths.iter().zip(features) {
        let scores = backbone.network.scores(&feature?).ok_or("the file has no head")?;
        let greatest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f32 = scores.iter().map(|score| (score - greatest).exp()).sum();
        let class = scores.iter().position(|&score| score == greatest).unwrap_or_default();
        println!("{path}\t{class}\t{:.4}", 1.0 / total);
    }
    Ok(())
}
