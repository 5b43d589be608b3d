//! What an update does to the weights.

use burn::tensor::Device;
use mentor_run::{Config, EpochMetrics, MetricsLine, RunDir, StepMetrics};
use mentor_train::TrainedModel;

use crate::runs::complete;

/// The weights of a complete run, flattened.
fn weights(out: &std::path::Path) -> Vec<f32> {
    let model = TrainedModel::load(out, &Device::flex()).unwrap().model;
    mentor_model::parameters(&model).into_iter().flat_map(|tensor| tensor.values).collect()
}

/// Updates and epochs of a complete run.
fn metrics(out: &std::path::Path) -> (Vec<StepMetrics>, Vec<EpochMetrics>) {
    let (mut steps, mut epochs) = (Vec::new(), Vec::new());
    for line in RunDir::open(out).unwrap().metrics().unwrap() {
        match line {
            MetricsLine::Step(step) => steps.push(step),
            MetricsLine::Epoch(epoch) => epochs.push(epoch),
            MetricsLine::Iteration(iteration) => panic!("{iteration:?}"),
        }
    }
    (steps, epochs)
}

/// λ R(W) of a linear model after a run, in f64.
fn penalty(out: &std::path::Path, l1: f64, l2: f64) -> f64 {
    let model = TrainedModel::load(out, &Device::flex()).unwrap().model;
    let weights =
        mentor_model::parameters(&model).into_iter().filter(mentor_model::NamedTensor::is_penalised);
    let weights = weights.flat_map(|tensor| tensor.values).map(f64::from);
    weights.map(|weight| l1 * weight.abs() + l2 * weight * weight).sum()
}

#[test]
fn the_training_loss_is_the_objective_at_the_weights_that_the_updates_start_from() {
    let dir = tempfile::tempdir().unwrap();
    for (index, (l1, l2)) in [(0.0, 0.05), (1e-3, 0.0), (1e-3, 0.05)].into_iter().enumerate() {
        let run = |optimizer: &str, epochs: usize| {
            let out = dir.path().join(format!("{index}-{epochs}-{}", optimizer.len()));
            let text = format!(
                "data = {{ source = 'digits', options = {{ val_fraction = 0.0 }} }}\npenalty = \
                 {{ l1 = {l1}, l2 = {l2} }}\n\
                 optimizer = {{ {optimizer}, learning_rate = 0.05 }}\nschedule.name = \
                 'constant'\ntraining.epochs = {epochs}"
            );
            complete(&text, &out);
            out
        };
        // By gd it is J of one set of weights: of none at first, then of those after the epochs before.
        let (_, epochs) = metrics(&run("name = 'gd', batch_size = 400", 3));
        let first = &epochs[0];
        assert_eq!((first.penalty, first.train_loss), (0.0, first.train_data_loss));
        assert!((first.train_loss - 10.0_f64.ln()).abs() < 1e-6, "{first:?}");
        for done in [1, 2] {
            let expected = penalty(&run("name = 'gd', batch_size = 400", done), l1, l2);
            let found = &epochs[done];
            assert!(expected > 1e-5 && (found.penalty / expected - 1.0).abs() < 1e-5, "{found:?} {expected}");
            assert_eq!(found.train_loss, found.train_data_loss + found.penalty);
        }
        // By sgd it is the mean over the samples, whose update starts from weights of its own.
        let two = run("name = 'sgd', batch_size = 1000", 1);
        let (steps, epochs) = metrics(&two);
        let num_samples: usize = steps.iter().map(|step| step.num_samples).sum();
        let data_loss: f64 = steps.iter().map(|step| step.data_loss * step.num_samples as f64).sum();
        assert!((epochs[0].train_data_loss - data_loss / num_samples as f64).abs() < 1e-12);
        assert!(steps.len() == 2 && (steps[0].data_loss - 10.0_f64.ln()).abs() < 1e-6, "{steps:?}");
        let after = penalty(&two, l1, l2);
        assert!(epochs[0].penalty > 0.0 && epochs[0].penalty < 0.5 * after, "{:?} {after}", epochs[0]);
    }
}

#[test]
fn the_penalty_of_an_update_is_that_of_the_weights_before_it_in_every_family() {
    let dir = tempfile::tempdir().unwrap();
    for model in ["mlp:12", "cnn", "vit-4-64-1"] {
        let out = dir.path().join(model.replace(':', "-"));
        // One update an epoch: the next epoch starts from the weights that this one was validated with.
        let text = format!(
            "data.source = 'digits'\nmodel.name = '{model}'\npenalty = {{ l1 = 1e-4, l2 = 1e-3 }}\n\
             optimizer.batch_size = 2000\ntraining.epochs = 3"
        );
        complete(&text, &out);
        let (_, epochs) = metrics(&out);
        for pair in epochs.windows(2) {
            let validated = pair[0].val_loss.unwrap() - pair[0].val_data_loss.unwrap();
            assert!((pair[1].penalty / validated - 1.0).abs() < 1e-5, "{model}: {pair:?}");
        }
    }
}

#[test]
fn training_and_validation_of_the_summary_are_of_the_same_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    // Steps so long that the best epoch is not the last one.
    let text = "data.source = 'digits'\nmodel.name = 'mlp:8'\noptimizer.learning_rate = 0.9\nschedule.name = \
                'constant'\n\
        penalty.l2 = 1e-4\ntraining.epochs = 6";
    let summary = complete(text, &out);
    let (_, epochs) = metrics(&out);
    assert!(summary.best_epoch < 6, "{summary:?}");
    let (best, last) = (&epochs[summary.best_epoch - 1], &epochs[5]);
    assert_eq!((summary.train_loss, summary.train_accuracy), (best.train_loss, best.train_accuracy));
    assert_eq!((summary.val_loss, summary.val_accuracy), (best.val_loss, best.val_accuracy));
    let of_last = (summary.last_train_loss, summary.last_train_accuracy);
    assert_eq!(of_last, (Some(last.train_loss), last.train_accuracy));
}

#[test]
fn gd_does_not_depend_on_the_chunks_that_its_gradient_is_summed_in() {
    let dir = tempfile::tempdir().unwrap();
    let run = |chunk: usize| {
        let out = dir.path().join(format!("chunk-{chunk}"));
        let text = format!(
            "data = {{ source = 'digits', options = {{ val_fraction = 0.0 }} }}\noptimizer = \
             {{ name = 'gd', batch_size = {chunk} }}\ntraining.epochs = 20"
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
    let text = "data.source = 'digits'\noptimizer = \
                { name = 'gd', momentum = 0.0, nesterov = false }\ntraining.epochs = 50";
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
    let text = "data.source = 'digits'\noptimizer = \
                { name = 'gd', momentum = 0.0, nesterov = false, learning_rate = 1.0, clip_norm = 0.01 }\n\
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
