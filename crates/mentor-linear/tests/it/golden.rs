//! The optima of scikit-learn and LIBLINEAR on the digits (`reference/linear_optima.py`).

use std::io::Read;
use std::ops::ControlFlow;

use flate2::read::GzDecoder;
use mentor_linear::{Loss, Problem, SolveOptions, solve};
use serde_json::Value;

const DIGITS: &[u8] = include_bytes!("../../../mentor-data/data/digits.csv.gz");
const GOLDEN: &str = include_str!("../../../../reference/golden/linear_optima.json");

/// Pixels from 0 to 1, `[1797, 64]`, and targets.
pub(crate) fn digits() -> (Vec<f32>, Vec<u32>) {
    let mut text = String::new();
    GzDecoder::new(DIGITS).read_to_string(&mut text).expect("the digits are text");
    let (mut features, mut targets) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let values: Vec<u32> = line.split(',').map(|value| value.parse().expect("a number")).collect();
        features.extend(values[..64].iter().map(|&value| value as f32 / 16.0));
        targets.push(values[64]);
    }
    (features, targets)
}

#[test]
fn optima_are_those_of_scikit_learn_and_liblinear() {
    let (features, targets) = digits();
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() >= 11);
    for case in cases {
        let problem = Problem {
            features: &features,
            num_features: 64,
            targets: &targets,
            num_classes: 10,
            sample_weights: None,
            class_weights: None,
            loss: match case["loss"].as_str().unwrap() {
                "softmax" => Loss::Softmax,
                _ => Loss::CrammerSinger { margin: 1.0 },
            },
            l2: case["l2"].as_f64().unwrap(),
            l1: 0.0,
            bias: case["bias"].as_bool().unwrap(),
        };
        let theirs = case["objective"].as_f64().unwrap();
        let options = SolveOptions { relative_gap: 5e-7, ..SolveOptions::default() };
        let solution = solve(&problem, &options, &mut |_| ControlFlow::Continue(())).unwrap();
        assert!(solution.certified, "{case}: {:?} at {:e}", solution.reason, solution.relative_gap);
        assert!(solution.dual <= theirs, "{case}: {} is above", solution.dual);
        assert!((solution.primal - theirs).abs() <= 1e-6 * theirs, "{case}: {}", solution.primal);
    }
}
