//! The observer can stop a solver at any time.

use std::ops::ControlFlow;

use mentor_linear::{Loss, Problem, Reason, SolveOptions, solve};
use mentor_random::{Purpose, Stream};

#[test]
fn a_solver_stops_while_it_solves_a_part_of_the_samples() {
    let num_samples = 8000;
    let mut stream = Stream::new(1, Purpose::Split, &[]);
    let targets: Vec<u32> = (0..num_samples).map(|_| stream.below(3) as u32).collect();
    let features: Vec<f32> = targets.iter().map(|&target| target as f32 + stream.normal()).collect();
    for loss in [Loss::Softmax, Loss::CrammerSinger { margin: 1.0 }] {
        let problem = Problem {
            features: &features,
            num_features: 1,
            targets: &targets,
            num_classes: 3,
            sample_weights: None,
            class_weights: None,
            loss,
            l2: 1e-3,
            l1: 0.0,
            bias: true,
        };
        let mut seen = Vec::new();
        let found = solve(&problem, &SolveOptions::default(), &mut |progress| {
            seen.push(*progress);
            ControlFlow::Break(())
        })
        .unwrap();
        assert_eq!((found.reason, found.num_iterations, seen.len()), (Reason::Interrupted, 0, 1), "{loss:?}");
        // What is known then are weights of 0.
        assert!(seen[0].iteration == 0 && seen[0].primal == found.primal && found.gap.is_finite());
        assert!(found.weights.iter().all(|&w| w == 0.0));
    }
}
