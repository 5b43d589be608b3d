//! Modes and noise.

use burn::tensor::Device;
use mentor_model::{Model, ModelSpec, Noise, Pass, weights_blake3};

use crate::{SMALL, assert_close, build, host, images};

const INPUT: [usize; 3] = [1, 8, 8];

fn noisy(name: &str, stochastic_depth: f64) -> Model {
    let mut spec = ModelSpec::new(name, INPUT, 10);
    (spec.dropout, spec.stochastic_depth) = (0.5, stochastic_depth);
    Model::new(&spec, 0, &Device::flex()).unwrap()
}

#[test]
fn inference_has_no_noise_and_changes_nothing() {
    for (name, stochastic_depth) in [
        ("mlp:24,12", 0.0),
        ("cnn", 0.0),
        ("resnet-8", 0.5),
        ("resnet-18", 0.5),
        ("wrn-10-2", 0.5),
        ("vit-4-64-1", 0.5),
    ] {
        let model = noisy(name, stochastic_depth);
        let before = weights_blake3(&model);
        let scores = || host(model.scores(images(&[0, 1, 2], INPUT, &Device::flex()), &Pass::Inference));
        assert_eq!(scores(), scores(), "{name}");
        let plain = build(name, INPUT, &Device::flex());
        let clean = plain.scores(images(&[0, 1, 2], INPUT, &Device::flex()), &Pass::Inference);
        assert_eq!(scores(), host(clean), "{name}");
        assert_eq!(before, weights_blake3(&model), "{name}");
    }
}

#[test]
fn training_noise_is_a_function_of_its_key() {
    for (name, stochastic_depth) in
        [("mlp:24,12", 0.0), ("cnn", 0.0), ("resnet-8", 0.5), ("wrn-10-2", 0.5), ("vit-4-64-1", 0.5)]
    {
        let model = noisy(name, stochastic_depth);
        let scores = |seed, epoch| {
            let noise = Noise { seed, draw: epoch, samples: &[4, 9, 2] };
            host(model.scores(images(&[4, 9, 2], INPUT, &Device::flex()), &Pass::Training(&noise)))
        };
        let first = scores(1, 0);
        assert_eq!(first, scores(1, 0), "{name}");
        assert_ne!(first, scores(1, 1), "{name}");
        assert_ne!(first, scores(2, 0), "{name}");
    }
}

#[test]
fn the_noise_of_a_sample_does_not_depend_on_its_batch() {
    // Without batch normalisation the scores of a sample depend on that sample alone.
    for (name, stochastic_depth) in [("mlp:24,12", 0.0), ("cnn", 0.0), ("vit-4-64-1", 0.5)] {
        let model = noisy(name, stochastic_depth);
        let scores = |samples: &[u32]| {
            let noise = Noise { seed: 1, draw: 0, samples };
            host(model.scores(images(samples, INPUT, &Device::flex()), &Pass::Training(&noise)))
        };
        let batch = scores(&[4, 9, 2]);
        assert_close(&scores(&[9]), &batch[10..20], 1e-5);
        assert_close(&scores(&[2, 9])[10..], &batch[10..20], 1e-5);
    }
}

#[test]
fn training_updates_running_statistics_and_a_clone_is_a_snapshot() {
    let device = Device::flex();
    for name in SMALL {
        let model = build(name, INPUT, &device);
        let (snapshot, evaluated) = (model.clone(), model.inference());
        let before = weights_blake3(&model);
        let noise = Noise { seed: 0, draw: 0, samples: &[0, 1] };
        model.scores(images(&[0, 1], INPUT, &device), &Pass::Training(&noise));
        let normalises = name.starts_with("resnet") || name.starts_with("wrn");
        assert_eq!(weights_blake3(&model) != before, normalises, "{name}");
        assert_eq!(weights_blake3(&snapshot), before, "{name}");
        assert_eq!(weights_blake3(&evaluated), before, "{name}");
    }
}

#[test]
fn a_dropped_branch_leaves_the_shortcut() {
    // The last block is dropped nearly always: its output is then relu(shortcut).
    let mut spec = ModelSpec::new("resnet-8", INPUT, 10);
    spec.stochastic_depth = 0.999_999;
    let model = Model::new(&spec, 0, &Device::flex()).unwrap();
    let plain = build("resnet-8", INPUT, &Device::flex());
    let scores = |model: &Model, epoch| {
        let noise = Noise { seed: 0, draw: epoch, samples: &[0, 1, 2, 3] };
        host(model.embeddings(images(&[0, 1, 2, 3], INPUT, &Device::flex()), &Pass::Training(&noise)))
    };
    let dropped = scores(&model, 0);
    assert_ne!(dropped, scores(&plain, 0));
    // The new channels of the last stage are zeros in the shortcut.
    for sample in dropped.chunks(64) {
        assert!(sample[32..].iter().all(|&value| value == 0.0));
    }
}

#[test]
#[should_panic(expected = "noise for another number of samples")]
fn noise_for_another_batch_is_a_programming_error() {
    let noise = Noise { seed: 0, draw: 0, samples: &[0] };
    let model = build("linear", INPUT, &Device::flex());
    model.scores(images(&[0, 1], INPUT, &Device::flex()), &Pass::Training(&noise));
}
