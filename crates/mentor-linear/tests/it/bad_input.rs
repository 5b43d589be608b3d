//! What is refused, and by which name.

use std::ops::ControlFlow;

use mentor_linear::{LinearError, Loss, Problem, Reason, Solution, SolveOptions, solve};

fn problem() -> Problem<'static> {
    Problem {
        features: &[0.0, 1.0, 2.0, 0.5, -1.0, 3.0, 0.25, 2.5],
        num_features: 2,
        targets: &[0, 1, 1, 0],
        num_classes: 2,
        sample_weights: None,
        class_weights: None,
        loss: Loss::Softmax,
        l2: 0.1,
        l1: 0.0,
        bias: true,
    }
}

fn run(problem: &Problem<'_>) -> Result<Solution, LinearError> {
    solve(problem, &SolveOptions::default(), &mut |_| ControlFlow::Continue(()))
}

#[test]
fn what_is_not_a_problem_is_refused() {
    let fine = problem();
    assert!(run(&fine).is_ok());
    let nan = [0.0, 1.0, 2.0, f32::NAN, -1.0, 3.0, 0.25, 2.5];
    let error = run(&Problem { features: &nan, ..fine.clone() }).unwrap_err();
    assert_eq!(error.to_string(), "feature 1 of sample 1 is NaN, but must be finite");
    let bad = [
        Problem { features: &fine.features[..7], ..fine.clone() },
        Problem { features: &[], targets: &[], ..fine.clone() },
        Problem { features: &[], num_features: 0, ..fine.clone() },
        Problem { num_features: usize::MAX, ..fine.clone() },
        Problem { num_classes: 1, ..fine.clone() },
        Problem { targets: &[0, 1, 2, 0], ..fine.clone() },
        Problem { num_classes: 3, ..fine.clone() },
        Problem { l2: -1.0, ..fine.clone() },
        Problem { l1: f64::NAN, ..fine.clone() },
        Problem { loss: Loss::WestonWatkins { margin: 0.0 }, ..fine.clone() },
        Problem { sample_weights: Some(&[1.0, -1.0, 1.0, 1.0]), ..fine.clone() },
        Problem { sample_weights: Some(&[0.0; 4]), bias: false, ..fine.clone() },
        Problem { class_weights: Some(&[1.0]), ..fine.clone() },
    ];
    for (place, problem) in bad.iter().enumerate() {
        assert!(run(problem).is_err(), "case {place}");
    }
    for relative_gap in [0.0, -1.0, f64::NAN] {
        let options = SolveOptions { relative_gap, ..SolveOptions::default() };
        let error = solve(&fine, &options, &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(matches!(error, LinearError::Parameter { name: "relative_gap", .. }));
    }
}

#[test]
fn an_empty_class_is_fine_without_a_bias() {
    let three = Problem { num_classes: 3, bias: false, ..problem() };
    assert!(run(&three).unwrap().certified);
}

#[test]
fn without_a_penalty_separable_data_have_no_optimum() {
    let separable = Problem {
        features: &[1.0, 2.0, -1.0, -2.0],
        num_features: 1,
        targets: &[0, 0, 1, 1],
        l2: 0.0,
        ..problem()
    };
    assert_eq!(run(&separable).unwrap_err(), LinearError::Separable);
    let mixed = Problem { features: &[1.0, -2.0, -1.0, 2.0], ..separable };
    assert_eq!(run(&mixed).unwrap_err(), LinearError::NoPenalty);
    assert!(!run(&mixed).unwrap_err().help().is_empty());
}

#[test]
fn a_solver_says_why_it_stopped() {
    let problem = Problem { loss: Loss::WestonWatkins { margin: 1.0 }, l2: 1e-4, ..problem() };
    let options = SolveOptions { max_iterations: 1, ..SolveOptions::default() };
    let short = solve(&problem, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((short.reason, short.certified, short.num_iterations), (Reason::MaxIterations, false, 1));
    assert!(!short.reason.help().is_empty());
    let stopped = solve(&problem, &SolveOptions::default(), &mut |_| ControlFlow::Break(())).unwrap();
    assert_eq!(stopped.reason, Reason::Interrupted);
    let options = SolveOptions { relative_gap: 1e-300, ..SolveOptions::default() };
    let exhausted = solve(&problem, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(exhausted.reason, Reason::Stalled);
    assert!(exhausted.relative_gap < 1e-9, "{:e}", exhausted.relative_gap);
}
