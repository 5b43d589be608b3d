//! Fewer samples than features: solved in coordinates, certified on the data.

use std::ops::ControlFlow;

use mentor_linear::{
    Loss, PathOptions, Problem, Progress, Reason, Solution, SolveOptions, Start, path, solve,
};
use mentor_random::{Purpose, Stream};

const NUM_FEATURES: usize = 160;

/// Features far from 0, which couples them to the bias; two samples are equal.
fn data(num_samples: usize, num_classes: usize) -> (Vec<f32>, Vec<u32>) {
    let mut stream = Stream::new(11, Purpose::Split, &[]);
    let targets: Vec<u32> = (0..num_samples).map(|sample| (sample % num_classes) as u32).collect();
    let mut features: Vec<f32> = targets
        .iter()
        .flat_map(|&target| (0..NUM_FEATURES).map(move |feature| (target as usize, feature)))
        .map(|(target, feature)| 0.3 * stream.normal() + 1.0 + f32::from(u8::from(target == feature)))
        .collect();
    features.copy_within(..NUM_FEATURES, 2 * NUM_FEATURES);
    (features, targets)
}

fn problem<'a>(features: &'a [f32], targets: &'a [u32], num_classes: usize) -> Problem<'a> {
    Problem {
        features,
        num_features: NUM_FEATURES,
        targets,
        num_classes,
        sample_weights: None,
        class_weights: None,
        loss: Loss::Softmax,
        l2: 0.0,
        l1: 0.0,
        bias: true,
    }
}

#[test]
fn coordinates_and_the_data_have_the_same_optimum() {
    let (features, targets) = data(60, 2);
    for loss in [Loss::Softmax, Loss::WestonWatkins { margin: 1.0 }, Loss::CrammerSinger { margin: 1.0 }] {
        for (l2, bias) in [(1.0, true), (1e-2, true), (1e-2, false), (1e-4, true)] {
            let problem = Problem { loss, l2, bias, ..problem(&features, &targets, 2) };
            let options = SolveOptions { relative_gap: 1e-5, ..SolveOptions::default() };
            // With a start the data themselves are solved.
            let start = Start { weights: vec![0.0; 2 * NUM_FEATURES], bias: vec![0.0; 2] };
            let from_zero = SolveOptions { start: Some(start), ..options.clone() };
            let ours = solve(&problem, &options, &mut |_| ControlFlow::Continue(())).unwrap();
            let theirs = solve(&problem, &from_zero, &mut |_| ControlFlow::Continue(())).unwrap();
            let brief = |found: &Solution| (found.primal, found.dual, found.num_iterations, found.reason);
            let name = format!("{loss:?}, l2 {l2}, bias {bias}: {:?} {:?}", brief(&ours), brief(&theirs));
            // The data alone may stall at rounding; what is proven of them holds all the same.
            assert!(ours.certified, "{name}");
            assert!(ours.dual <= theirs.primal && theirs.dual <= ours.primal, "{name}");
            assert!(ours.num_iterations <= 20, "{name}");
        }
    }
}

#[test]
fn more_classes_than_a_panel_holds() {
    let (features, _) = data(60, 2);
    let targets: Vec<u32> = (0..60).map(|sample| sample % 20).collect();
    let problem = Problem { l2: 1e-3, ..problem(&features, &targets, 20) };
    let solution = solve(&problem, &SolveOptions::default(), &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(solution.certified, "{:e} after {}", solution.relative_gap, solution.num_iterations);
}

#[test]
fn a_path_is_proven_and_has_the_same_bits_for_any_number_of_threads() {
    let (features, targets) = data(90, 2);
    for (loss, weakest) in [(Loss::Softmax, 6), (Loss::CrammerSinger { margin: 1.0 }, 4)] {
        let penalties: Vec<(f64, f64)> = (-1..=weakest).map(|power| (10.0_f64.powi(-power), 0.0)).collect();
        let problem = Problem { loss, ..problem(&features, &targets, 2) };
        let options = PathOptions { penalties, folds: 3, seed: 0, relative_gap: 1e-4, max_iterations: 50 };
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| path(&problem, &options, &|| false)).unwrap()
        };
        let one = with(1);
        assert!(one.points.iter().all(|point| point.relative_gap <= 1e-4), "{loss:?} {:?}", one.points);
        assert_eq!(one, with(3));
    }
}

#[test]
fn a_solver_in_coordinates_can_be_stopped() {
    let (features, targets) = data(90, 2);
    let problem = Problem { l2: 1e-4, ..problem(&features, &targets, 2) };
    let mut heard = Vec::new();
    let mut stop = |progress: &Progress| {
        heard.push(*progress);
        ControlFlow::Break(())
    };
    let solution = solve(&problem, &SolveOptions::default(), &mut stop).unwrap();
    assert_eq!((solution.reason, heard.len(), heard[0].iteration), (Reason::Interrupted, 1, 0));
    // What is proven then is of weights of 0, the loss of which is ln 2.
    assert!((heard[0].primal - 2.0_f64.ln()).abs() < 1e-12 && heard[0].gap == heard[0].primal);
    assert!(solution.gap >= solution.primal - solution.dual && solution.primal <= heard[0].primal + 1e-9);
}
