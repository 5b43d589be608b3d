//! Where softmax and the SVM differ at their optima, on an IDX data set such as Fashion-MNIST. Prints a JSON
//! object a line.
//!
//! ```text
//! softmax_and_svm FOLDER choose  SAMPLES FOLDS L2...    softmax: λ by cross-validation, test accuracy
//! softmax_and_svm FOLDER compare SAMPLES L2...          both hinges beside softmax, with the same λ
//! ```
//!
//! Pixels are divided by 255. `compare` also flips a tenth of the labels: what that does to the weights tells
//! how much a loss listens to outliers.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use flate2::read::GzDecoder;
use mentor_linear::{Loss, PathOptions, Problem, Solution, SolveOptions, path, solve};

const NUM_CLASSES: usize = 10;

struct Data {
    features: Vec<f32>,
    num_features: usize,
    targets: Vec<u32>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, what, samples, rest @ ..] = args.as_slice() else {
        return Err("softmax_and_svm FOLDER choose|compare SAMPLES ...".into());
    };
    let train = read(Path::new(folder), "train", samples.parse()?)?;
    let test = read(Path::new(folder), "t10k", usize::MAX)?;
    let numbers: Vec<f64> = rest.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    match (what.as_str(), numbers.as_slice()) {
        ("choose", [folds, lambdas @ ..]) => choose(&train, &test, *folds as usize, lambdas),
        ("compare", lambdas) => lambdas.iter().try_for_each(|&l2| compare(&train, &test, l2)),
        _ => Err("choose or compare".into()),
    }
}

fn choose(train: &Data, test: &Data, folds: usize, lambdas: &[f64]) -> Result<(), Box<dyn Error>> {
    let penalties = lambdas.iter().map(|&l2| (l2, 0.0)).collect();
    let options = PathOptions { penalties, folds, seed: 0, relative_gap: 1e-2, max_iterations: 100 };
    let found = path(&train.problem(Loss::Softmax, 0.0), &options, &|| false)?;
    for point in &found.points {
        println!(
            "{{\"l2\": {:e}, \"validation_loss\": {:.4}, \"standard_error\": {:.4}, \
             \"validation_accuracy\": {:.4}}}",
            point.l2, point.validation_loss, point.standard_error, point.validation_accuracy
        );
    }
    let l2 = found.points[found.best].l2;
    let solution = optimum(&train.problem(Loss::Softmax, l2), 1e-4)?;
    let accuracy = share(&test.targets, &predictions(&solution, test));
    println!(
        "{{\"chosen_l2\": {l2:e}, \"relative_gap\": {:.1e}, \"test_accuracy\": {accuracy:.4}}}",
        solution.relative_gap
    );
    Ok(())
}

fn compare(train: &Data, test: &Data, l2: f64) -> Result<(), Box<dyn Error>> {
    let mut flipped = Data {
        features: train.features.clone(),
        num_features: train.num_features,
        targets: train.targets.clone(),
    };
    // Every tenth sample has the next class.
    flipped.targets.iter_mut().step_by(10).for_each(|target| *target = (*target + 1) % NUM_CLASSES as u32);
    let losses = [
        ("softmax", Loss::Softmax),
        ("svm", Loss::WestonWatkins { margin: 1.0 }),
        ("crammer-singer", Loss::CrammerSinger { margin: 1.0 }),
    ];
    let mut of_softmax = Vec::new();
    for (name, loss) in losses {
        let solution = optimum(&train.problem(loss, l2), 1e-2)?;
        let predicted = predictions(&solution, test);
        if of_softmax.is_empty() {
            of_softmax.clone_from(&predicted);
        }
        // Of the test images on which the two differ, how many each has right.
        let differ = || (0..predicted.len()).filter(|&sample| predicted[sample] != of_softmax[sample]);
        let right = |by: &[u32]| differ().filter(|&sample| by[sample] == test.targets[sample]).count();
        let mut of_class = [0; NUM_CLASSES];
        differ().for_each(|sample| of_class[test.targets[sample] as usize] += 1);
        let margins = margins(&solution, train);
        let quantile = |share: f64| margins[(share * (margins.len() - 1) as f64) as usize];
        let beyond = margins.iter().filter(|&&margin| margin >= 1.0).count() as f64 / margins.len() as f64;
        let of_flipped = optimum(&flipped.problem(loss, l2), 1e-2)?;
        let square = |values: &[f64]| values.iter().map(|w| w * w).sum::<f64>();
        let moved: Vec<f64> = solution.weights.iter().zip(&of_flipped.weights).map(|(a, b)| a - b).collect();
        println!(
            "{{\"l2\": {l2:e}, \"loss\": \"{name}\", \"relative_gap\": {:.1e}, \"train_accuracy\": {:.4}, \
             \"test_accuracy\": {:.4}, \"agrees_with_softmax\": {:.4}, \"differ\": {}, \"right\": {}, \
             \"softmax_right\": {}, \"differ_of_class\": {of_class:?}, \
             \"norm\": {:.3}, \"margin_10_50_90\": [{:.2}, {:.2}, {:.2}], \
             \"margin_at_least_1\": {beyond:.3}, \"flipped_test_accuracy\": {:.4}, \
             \"weights_moved_by_flips\": {:.3}}}",
            solution.relative_gap,
            share(&train.targets, &predictions(&solution, train)),
            share(&test.targets, &predicted),
            share(&of_softmax, &predicted),
            differ().count(),
            right(&predicted),
            right(&of_softmax),
            square(&solution.weights).sqrt(),
            quantile(0.1),
            quantile(0.5),
            quantile(0.9),
            share(&test.targets, &predictions(&of_flipped, test)),
            (square(&moved) / square(&solution.weights)).sqrt(),
        );
    }
    Ok(())
}

impl Data {
    fn problem(&self, loss: Loss, l2: f64) -> Problem<'_> {
        Problem {
            features: &self.features,
            num_features: self.num_features,
            targets: &self.targets,
            num_classes: NUM_CLASSES,
            sample_weights: None,
            class_weights: None,
            loss,
            l2,
            l1: 0.0,
            bias: true,
        }
    }
}

fn optimum(problem: &Problem<'_>, relative_gap: f64) -> Result<Solution, Box<dyn Error>> {
    let options = SolveOptions { relative_gap, max_iterations: 200, start: None };
    Ok(solve(problem, &options, &mut |_| ControlFlow::Continue(()))?)
}

fn scores(solution: &Solution, row: &[f32]) -> Vec<f64> {
    let score = |(weights, bias): (&[f64], &f64)| {
        bias + weights.iter().zip(row).map(|(w, &x)| w * f64::from(x)).sum::<f64>()
    };
    solution.weights.chunks_exact(row.len()).zip(&solution.bias).map(score).collect()
}

fn predictions(solution: &Solution, data: &Data) -> Vec<u32> {
    let largest = |row| {
        let scores = scores(solution, row);
        (0..NUM_CLASSES).reduce(|a, b| if scores[b] > scores[a] { b } else { a }).unwrap_or(0) as u32
    };
    data.features.chunks_exact(data.num_features).map(largest).collect()
}

/// The target's score less the largest of the others, ascending.
fn margins(solution: &Solution, data: &Data) -> Vec<f64> {
    let rows = data.features.chunks_exact(data.num_features);
    let margin = |(row, &target): (&[f32], &u32)| {
        let scores = scores(solution, row);
        let others = (0..NUM_CLASSES).filter(|&class| class != target as usize);
        scores[target as usize] - others.map(|class| scores[class]).fold(f64::MIN, f64::max)
    };
    let mut margins: Vec<f64> = rows.zip(&data.targets).map(margin).collect();
    margins.sort_by(f64::total_cmp);
    margins
}

fn share(wanted: &[u32], found: &[u32]) -> f64 {
    wanted.iter().zip(found).filter(|(a, b)| a == b).count() as f64 / wanted.len() as f64
}

fn read(folder: &Path, split: &str, most: usize) -> Result<Data, Box<dyn Error>> {
    let images = read_idx(&folder.join(format!("{split}-images-idx3-ubyte.gz")), 16)?;
    let labels = read_idx(&folder.join(format!("{split}-labels-idx1-ubyte.gz")), 8)?;
    let num_features = images.len() / labels.len();
    let count = labels.len().min(most);
    let features = images[..count * num_features].iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    Ok(Data { features, num_features, targets: labels[..count].iter().map(|&label| label.into()).collect() })
}

fn read_idx(path: &Path, header: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let file = std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut bytes = Vec::new();
    GzDecoder::new(file).read_to_end(&mut bytes)?;
    Ok(bytes.split_off(header.min(bytes.len())))
}
