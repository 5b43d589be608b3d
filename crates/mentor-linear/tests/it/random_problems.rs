//! Hundreds of small random problems: the certificate must hold at every iteration, and the gap must be
//! reached.

use std::ops::ControlFlow;

use mentor_linear::{Loss, Problem, Progress, Reason, Solution, SolveOptions, solve};
use mentor_random::{Purpose, Stream};

use crate::oracle::{objective, optimum};

/// What a problem is made of.
struct Owned {
    features: Vec<f32>,
    num_features: usize,
    targets: Vec<u32>,
    num_classes: usize,
    sample_weights: Option<Vec<f32>>,
    class_weights: Option<Vec<f32>>,
}

impl Owned {
    fn problem(&self, loss: Loss, l2: f64, l1: f64, bias: bool) -> Problem<'_> {
        Problem {
            features: &self.features,
            num_features: self.num_features,
            targets: &self.targets,
            num_classes: self.num_classes,
            sample_weights: self.sample_weights.as_deref(),
            class_weights: self.class_weights.as_deref(),
            loss,
            l2,
            l1,
            bias,
        }
    }
}

/// Data of one of these kinds, in turn: plain, duplicate samples with other labels, a constant feature,
/// separable, one feature, equal samples.
fn random(seed: u64) -> Owned {
    let mut stream = Stream::new(seed, Purpose::Split, &[]);
    let num_classes = 2 + stream.below(3) as usize;
    // Some classes have one sample; some problems have fewer samples than features.
    let num_samples = num_classes + stream.below(6) as usize;
    let kind = seed % 6;
    let num_features = if kind == 4 { 1 } else { 1 + stream.below(5) as usize };
    let targets: Vec<u32> = (0..num_samples)
        .map(
            |sample| {
                if sample < num_classes { sample as u32 } else { stream.below(num_classes as u64) as u32 }
            },
        )
        .collect();
    let mut features: Vec<f32> = (0..num_samples * num_features).map(|_| 2.0 * stream.normal()).collect();
    for (sample, row) in (0..num_samples).zip(0..) {
        let row = row * num_features..(row + 1) * num_features;
        match kind {
            1 if sample % 2 == 1 => features.copy_within(row.start - num_features..row.start, row.start),
            2 => features[row.start] = 3.0,
            3 => features[row.start] = 5.0 * targets[sample] as f32,
            5 => features[row].fill(0.5),
            _ => {}
        }
    }
    let mut weights =
        |count: usize| -> Vec<f32> { (0..count).map(|_| stream.uniform_in(0.25, 3.0)).collect() };
    let sample_weights = (seed % 3 == 1).then(|| weights(num_samples));
    let class_weights = (seed % 4 == 1).then(|| weights(num_classes));
    Owned { features, num_features, targets, num_classes, sample_weights, class_weights }
}

/// Solves to a relative gap of 1e-6 and holds every bound on the way against the optimum.
///
/// Returns what kept it from the gap.
fn certify(problem: &Problem<'_>, name: &str) -> Option<String> {
    let optimum = optimum(problem);
    let options = SolveOptions { max_iterations: 3000, ..SolveOptions::default() };
    let slack = 1e-12 * (1.0 + optimum.objective);
    let mut observe = |progress: &Progress| {
        assert!(
            progress.dual <= optimum.objective + slack,
            "{name}: {progress:?} above {}",
            optimum.objective
        );
        let distance = progress.primal - optimum.objective;
        assert!(progress.gap >= distance - slack, "{name}: {progress:?} of {}", optimum.objective);
        ControlFlow::Continue(())
    };
    let solution = solve(problem, &options, &mut observe).unwrap_or_else(|error| panic!("{name}: {error}"));
    let value = objective(problem, &solution.weights, &solution.bias);
    assert!((value - solution.primal).abs() <= slack, "{name}: {value} is not {}", solution.primal);
    // The other method has found the same minimum.
    assert!(
        optimum.objective <= solution.primal * (1.0 + 1e-5) + 1e-7,
        "{name}: {} is not minimal",
        optimum.objective
    );
    let reached = solution.reason == Reason::GapReached;
    assert_eq!(reached, solution.certified && solution.gap <= 1e-6 * solution.primal);
    let Solution { reason, relative_gap, num_iterations, .. } = solution;
    (!reached).then(|| format!("{name}: {reason:?} at {relative_gap:e} after {num_iterations}"))
}

const LOSSES: [Loss; 4] = [
    Loss::Softmax,
    Loss::WestonWatkins { margin: 1.0 },
    Loss::CrammerSinger { margin: 1.0 },
    Loss::WestonWatkins { margin: 0.3 },
];

fn all(penalty: impl Fn(f64) -> (f64, f64), seeds: std::ops::Range<u64>, losses: &[Loss]) {
    let mut missed = Vec::new();
    for seed in seeds {
        let owned = random(seed);
        for (place, &loss) in losses.iter().enumerate() {
            let strength = 10.0_f64.powi(-(((seed + place as u64) % 5) as i32));
            let (l2, l1) = penalty(strength);
            for bias in [true, false] {
                let name = format!("seed {seed}, {loss:?}, l2 {l2}, l1 {l1}, bias {bias}");
                missed.extend(certify(&owned.problem(loss, l2, l1, bias), &name));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn with_l2_the_gap_holds_and_is_reached() {
    all(|strength| (strength, 0.0), 0..60, &LOSSES);
}

#[test]
fn with_both_penalties_the_gap_holds_and_is_reached() {
    all(|strength| (0.5 * strength, 0.1 * strength), 100..140, &LOSSES[..1]);
}

#[test]
fn with_l1_the_gap_holds_and_is_reached() {
    // Far below these, separable data leave the dual point so little room that rounding ends a run at 1e-5.
    all(|strength| (0.0, 0.2 * strength.max(1e-3)), 200..240, &LOSSES[..1]);
}
