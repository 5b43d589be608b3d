//! Solves a linear classifier on an IDX data set such as Fashion-MNIST, and prints one JSON object.
//!
//! ```text
//! solve_idx FOLDER softmax|svm|crammer-singer L2 L1 RELATIVE_GAP [SAMPLES [bias|no-bias [CPU_SECS]]]
//! ```
//!
//! Pixels are divided by 255. The solver is stopped after `CPU_SECS`. `bench/linear.py` runs it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use flate2::read::GzDecoder;
use mentor_linear::{Loss, Problem, SolveOptions, solve};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, loss, l2, l1, gap, rest @ ..] = args.as_slice() else {
        return Err("solve_idx FOLDER LOSS L2 L1 RELATIVE_GAP [SAMPLES [bias|no-bias [CPU_SECS]]]".into());
    };
    let images = read_idx(&Path::new(folder).join("train-images-idx3-ubyte.gz"), 16)?;
    let labels = read_idx(&Path::new(folder).join("train-labels-idx1-ubyte.gz"), 8)?;
    let num_features = images.len() / labels.len();
    let num_samples = rest.first().map_or(Ok(labels.len()), |text| text.parse())?.min(labels.len());
    let features: Vec<f32> =
        images[..num_samples * num_features].iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    drop(images);
    let targets: Vec<u32> = labels[..num_samples].iter().map(|&label| u32::from(label)).collect();
    let problem = Problem {
        features: &features,
        num_features,
        targets: &targets,
        num_classes: 10,
        sample_weights: None,
        class_weights: None,
        loss: match loss.as_str() {
            "softmax" => Loss::Softmax,
            "svm" => Loss::WestonWatkins { margin: 1.0 },
            "crammer-singer" => Loss::CrammerSinger { margin: 1.0 },
            other => return Err(format!("no loss {other}").into()),
        },
        l2: l2.parse()?,
        l1: l1.parse()?,
        bias: rest.get(1).is_none_or(|word| word != "no-bias"),
    };
    let limit = rest.get(2).map_or(Ok(f64::INFINITY), |text| text.parse())?;
    let options = SolveOptions { relative_gap: gap.parse()?, ..SolveOptions::default() };
    let start = Instant::now();
    let cpu_before = cpu_secs();
    // [seconds, seconds of all CPUs, primal, dual] of each iteration: the true suboptimality is judged
    // afterwards, by a better solution.
    let mut trace = Vec::new();
    let solution = solve(&problem, &options, &mut |progress| {
        trace.push([
            start.elapsed().as_secs_f64(),
            self::cpu_secs() - cpu_before,
            progress.primal,
            progress.dual,
        ]);
        if std::env::var_os("TRACE").is_some() {
            eprintln!("{:8.2} CPU s  {progress:?}", self::cpu_secs() - cpu_before);
        }
        if self::cpu_secs() - cpu_before > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let (secs, cpu_secs) = (start.elapsed().as_secs_f64(), cpu_secs() - cpu_before);
    println!(
        "{{\"secs\": {secs}, \"cpu_secs\": {cpu_secs}, \"primal\": {:.17e}, \
         \"dual\": {:.17e}, \"gap\": {:e}, \
         \"relative_gap\": {:e}, \"rounding\": {:e}, \"certified\": {}, \"num_iterations\": {}, \
         \"reason\": \"{}\", \"num_nonzero_weights\": {}, \"trace\": {trace:?}}}",
        solution.primal,
        solution.dual,
        solution.gap,
        solution.relative_gap,
        solution.rounding,
        solution.certified,
        solution.num_iterations,
        solution.reason.name(),
        solution.num_nonzero_weights,
    );
    Ok(())
}

/// Seconds that this process has computed on all CPUs, where Linux tells: on a busy machine the clock says
/// nothing.
fn cpu_secs() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in parentheses, which may hold blanks: utime and stime are the 12th and 13th, in ticks
    // of 10 ms.
    let ticks = |place| text.rsplit(')').next()?.split_whitespace().nth(place)?.parse::<f64>().ok();
    (ticks(11).unwrap_or(f64::NAN) + ticks(12).unwrap_or(f64::NAN)) / 100.0
}

fn read_idx(path: &Path, header: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let file = std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut bytes = Vec::new();
    GzDecoder::new(file).read_to_end(&mut bytes)?;
    Ok(bytes.split_off(header.min(bytes.len())))
}
