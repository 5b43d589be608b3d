//! How long a path takes: 20 values of λ on random data, and prints one JSON object. As many folds as samples
//! are leave-one-out.
//!
//! ```text
//! path_random [SAMPLES [FEATURES [CLASSES [FOLDS [softmax|svm|crammer-singer]]]]]  1000 1280 10 5 softmax
//! ```
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use mentor_linear::{Loss, PathOptions, Problem, path};
use mentor_random::{Purpose, Stream};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<usize> = args.iter().take(4).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let number = |place: usize, default: usize| numbers.get(place).copied().unwrap_or(default);
    let (num_samples, num_features, num_classes) = (number(0, 1000), number(1, 1280), number(2, 10));
    let folds = number(3, 5);
    let mut stream = Stream::new(0, Purpose::Split, &[]);
    let centres: Vec<f32> = (0..num_classes * num_features).map(|_| 0.1 * stream.normal()).collect();
    let targets: Vec<u32> = (0..num_samples).map(|sample| (sample % num_classes) as u32).collect();
    let mut features = Vec::with_capacity(num_samples * num_features);
    for &target in &targets {
        let centre = &centres[target as usize * num_features..][..num_features];
        features.extend(centre.iter().map(|centre| centre + stream.normal()));
    }
    let problem = Problem {
        features: &features,
        num_features,
        targets: &targets,
        num_classes,
        sample_weights: None,
        class_weights: None,
        loss: match args.get(4).map(String::as_str) {
            None | Some("softmax") => Loss::Softmax,
            Some("svm") => Loss::WestonWatkins { margin: 1.0 },
            Some("crammer-singer") => Loss::CrammerSinger { margin: 1.0 },
            Some(other) => return Err(format!("no loss {other}").into()),
        },
        l2: 0.0,
        l1: 0.0,
        bias: true,
    };
    let penalties = (0..20).map(|place| (10.0_f64.powf(1.0 - 7.0 * f64::from(place) / 19.0), 0.0)).collect();
    let options = PathOptions { penalties, folds, seed: 0, relative_gap: 1e-3, max_iterations: 100 };
    let start = Instant::now();
    let found = path(&problem, &options, &|| false)?;
    let secs = start.elapsed().as_secs_f64();
    let worst = found.points.iter().map(|point| point.relative_gap).fold(0.0, f64::max);
    let best = &found.points[found.best];
    println!(
        "{{\"secs\": {secs}, \"largest_relative_gap\": {worst:e}, \"best_l2\": {:e}, \
         \"validation_accuracy\": {}}}",
        best.l2, best.validation_accuracy
    );
    Ok(())
}
