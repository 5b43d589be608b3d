//! What an update does to the weights.

use burn::tensor::Device;
use mentor_run::{Config, MetricsLine, RunDir};
use mentor_train::TrainedModel;

use crate::runs::complete;

/// The weights of a complete run, flattened.
fn weights(out: &std::path::Path) -> Vec<f32> {
    let model = TrainedModel::load(out, &Device::flex()).unwrap().model;
    mentor_model::parameters(&model).into_iter().flat_map(|tensor| tensor.values).collect()
}

#[test]
fn gd_does_not_depend_on_the_chunks_that_its_gradient_is_summed_in() {
    let dir = tempfile::tempdir().unwrap();
    let run = |chunk: usize| {
        let out = dir.path().join(format!("chunk-{chunk}"));
        let text = format!(
            "data = {{ source = 'digits', options = {{ val_fraction = 0.0 }} }}\noptimizer = {{ name = 'gd', batch_size = {chunk} }}\ntraining.epochs = 20"
        );
        let summary = complete(&text, &out);
        assert_eq!(summary.steps, 20, "one update an epoch");
        weights(&out)
    };
    let whole = run(4096);
    for chunk in [1000, 77] {
        for (left, right) in whole.iter().zip(run(chunk)) {
            assert!((left - right).abs() < 1e-5, "chunk {chunk}: {left} {right}");
        }
    }
}

#[test]
fn gd_lowers_the_cost_at_every_update() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let text = "data.source = 'digits'\noptimizer = { name = 'gd', momentum = 0.0, nesterov = false }\ntraining.epochs = 50";
    complete(text, &out);
    let losses: Vec<f64> = RunDir::open(&out)
        .unwrap()
        .metrics()
        .unwrap()
        .into_iter()
        .filter_map(|line| if let MetricsLine::Step(step) = line { Some(step.data_loss) } else { None })
        .collect();
    assert_eq!(losses.len(), 50);
    assert!((losses[0] - 10.0_f64.ln()).abs() < 1e-6, "with W = 0 softmax is ln C: {}", losses[0]);
    assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{losses:?}");
}

#[test]
fn l1_makes_weights_exactly_zero_and_l2_only_small() {
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str, penalty: &str| {
        // By gd: the noise of a minibatch's gradient is larger than this λ, and would keep weights off zero.
        let text = format!(
            "data.source = 'digits'\noptimizer = {{ name = 'gd', learning_rate = 0.05 }}\npenalty = {penalty}"
        );
        complete(&text, &dir.path().join(name))
    };
    let (plain, l1, l2) = (run("plain", "{}"), run("l1", "{ l1 = 1e-2 }"), run("l2", "{ l2 = 1e-2 }"));
    assert!(l1.num_zero_weights > l1.num_weights / 2, "{l1:?}");
    assert!(l1.val_accuracy.unwrap() > 0.9, "{l1:?}");
    // Pixels that are the same in every image leave their weights at their first value, 0.
    assert!(l2.num_zero_weights < l2.num_weights / 10, "{l2:?}");
    assert!(l2.weight_rms < 0.8 * plain.weight_rms, "{} {}", l2.weight_rms, plain.weight_rms);
}

#[test]
fn a_clipped_gradient_moves_the_weights_by_no_more_than_rate_times_norm() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let text = "data.source = 'digits'\noptimizer = { name = 'gd', momentum = 0.0, nesterov = false, learning_rate = 1.0, clip_norm = 0.01 }\n\
        training.epochs = 1";
    complete(text, &out);
    // `linear` starts at zero, so the weights are the step.
    let norm = weights(&out).iter().map(|weight| f64::from(*weight).powi(2)).sum::<f64>().sqrt();
    assert!((norm - 0.01).abs() < 1e-6, "{norm}");
}

#[test]
fn the_resolved_configuration_of_a_run_makes_the_same_run() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("a"), dir.path().join("b"));
    let summary = complete("data.source = 'digits'\nloss.name = 'svm'\ntraining.epochs = 2", &first);
    let text = std::fs::read_to_string(first.join("config.toml")).unwrap();
    assert!(Config::from_toml(&text, "config.toml", &[]).is_ok());
    assert_eq!(complete(&text, &second).weights_blake3, summary.weights_blake3);
}
