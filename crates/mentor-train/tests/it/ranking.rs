//! Runs that train embeddings.

use std::fs;
use std::sync::Arc;

use burn::tensor::Device;
use mentor_data::{Source, Split};
use mentor_metrics::retrieval::{Embeddings, RetrievalOptions, evaluate};
use mentor_run::{MetricsLine, RunDir, TrainEvent};
use mentor_train::{Outcome, TrainError, TrainedModel};

use crate::runs::{complete, run, run_until};

const DIGITS: &str = "data.source = 'digits'\nmodel.name = 'mlp:64'\ndata.classes_per_batch = 8";

#[test]
fn every_ranking_loss_brings_images_of_a_class_nearer_than_their_pixels_are() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::open("digits", &Default::default()).unwrap();
    let test = source.load(Split::Test).unwrap();
    let mut pixels = vec![0; test.len() * 64];
    for (sample, out) in pixels.chunks_exact_mut(64).enumerate() {
        test.read(sample, out).unwrap();
    }
    let pixels: Vec<f32> = pixels.into_iter().map(f32::from).collect();
    let map_at_r = |values: &[f32], dim: usize| {
        let embeddings = Embeddings::new(values, dim).unwrap();
        evaluate(&embeddings, test.targets(), None, &RetrievalOptions::default()).unwrap().map_at_r.unwrap()
    };
    let raw = map_at_r(&pixels, 64);
    for (name, epochs, loss) in [
        ("semi-hard", 6, "name = 'triplet'"),
        ("hard", 6, "name = 'triplet', mining = 'hard'"),
        ("soft", 6, "name = 'triplet', form = 'soft-margin', distance = 'squared'"),
        ("all", 6, "name = 'triplet', mining = 'all', average = 'active'"),
        ("cosine", 6, "name = 'triplet', distance = 'cosine'"),
        ("linear", 40, "name = 'contrastive'"),
        ("squared", 60, "name = 'contrastive', form = 'squared'"),
    ] {
        let out = dir.path().join(name);
        let rate = if loss.contains("contrastive") { 0.05 } else { 0.02 };
        let text = format!(
            "loss = {{ {loss} }}\n{DIGITS}\noptimizer.learning_rate = {rate}\ntraining.epochs = {epochs}"
        );
        let summary = complete(&text, &out);
        assert_eq!((summary.val_accuracy, summary.train_accuracy), (None, None));
        let model = TrainedModel::load(&out, &Device::flex()).unwrap();
        let trained = map_at_r(&model.embed(&Arc::new(source.load(Split::Test).unwrap()), 100).unwrap(), 64);
        assert!(trained > raw + 0.05, "{name}: {trained} after training, {raw} of pixels");
        assert!(summary.measures["val_map_at_r"] > raw + 0.05, "{name}: {summary:?}");

        let analysis = RunDir::open(&out).unwrap().embedding_analysis().unwrap().unwrap();
        assert_eq!(analysis.retrieval.map_at_r.unwrap(), summary.measures["val_map_at_r"], "{name}");
        assert_eq!(analysis.health.len(), epochs);
        let last = &analysis.health[epochs - 1];
        assert!(last.mean_positive_distance < last.mean_negative_distance, "{name}: {last:?}");
        assert!(
            ([last.easy, last.semi_hard, last.hard].map(Option::unwrap).iter().sum::<f64>() - 1.0).abs()
                < 1e-12,
            "{name}: {last:?}"
        );
    }
}

#[test]
fn given_triplets_alone_decide_what_is_alike() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    mentor_testkit::tiny::write_image_folder(&data, 6, 8, 0).unwrap();
    let source = format!(
        "data.source = '{}'\ndata.options = {{ val_fraction = 0.0, test_fraction = 0.0 }}",
        data.display()
    );
    let options = mentor_data::OpenOptions { val_fraction: 0.0, test_fraction: 0.0, ..Default::default() };
    let dataset = Source::open(data.to_str().unwrap(), &options).unwrap().load(Split::Train).unwrap();
    let of_class = |class: u32, index: usize| {
        let members: Vec<usize> =
            (0..dataset.len()).filter(|&sample| dataset.targets()[sample] == class).collect();
        dataset.id(members[index]).to_owned()
    };
    let mut csv = String::from("anchor,positive,negative\n");
    for index in 0..5 {
        csv += &format!("{},{},{}\n", of_class(0, index), of_class(0, index + 1), of_class(1, index));
    }
    let triplets = dir.path().join("triplets.csv");
    fs::write(&triplets, csv).unwrap();
    let text = format!(
        "{source}\ndata.triplets = '{}'\nloss = {{ name = 'triplet', mining = 'none' }}\nmodel.name = \
         'mlp:16'\n\
         optimizer = {{ batch_size = 8, learning_rate = 0.05 }}\ntraining.epochs = 30",
        triplets.display()
    );
    let out = dir.path().join("run");
    let summary = complete(&text, &out);
    assert_eq!(summary.steps, 30 * 3, "five triplets, two a batch");
    assert_eq!(summary.train_loss, 0.0, "the margin holds for all of them: {summary:?}");

    // A run goes on with its own triplets only.
    let cut = dir.path().join("cut");
    assert_eq!(run_until(&text, &cut, 4).0.unwrap(), Outcome::Interrupted { step: Some(4) });
    let given = fs::read_to_string(&triplets).unwrap();
    fs::write(&triplets, given.lines().take(4).collect::<Vec<_>>().join("\n")).unwrap();
    assert!(matches!(run(&text, &cut).0, Err(TrainError::LessonsChanged)));
    fs::write(&triplets, given).unwrap();
    assert_eq!(complete(&text, &cut).weights_blake3, summary.weights_blake3);
}

#[test]
fn batches_that_the_data_cannot_make_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    // One image of each of four classes: no batch has two of one.
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let images =
        [&[0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 2][..], &(0..16).collect::<Vec<u8>>()].concat();
    fs::write(data.join("train-images-idx3-ubyte"), images).unwrap();
    fs::write(data.join("train-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 2, 3]).unwrap();
    let options = "options = { val_fraction = 0.0, test_fraction = 0.0 }";
    let text = format!("data = {{ source = '{}', {options} }}\nloss.name = 'triplet'", data.display());
    let (outcome, _) = run(&text, &out);
    let Err(TrainError::Data(error)) = outcome else { panic!("{outcome:?}") };
    assert!(error.to_string().contains("samples_per_class"), "{error}");
    assert!(!out.exists());
}

#[test]
fn embeddings_that_are_no_numbers_are_a_divergence() {
    let dir = tempfile::tempdir().unwrap();
    let text = "data.source = 'digits'\nmodel = { name = 'mlp:16', unit_norm = false }\nloss.name = \
                'contrastive'\n\
        optimizer = { learning_rate = 1e30, momentum = 0.0 }\ntraining.epochs = 2\nschedule.name = \
                'constant'";
    let (outcome, _) = run(text, &dir.path().join("run"));
    let diverged = matches!(outcome, Err(TrainError::Diverged { .. } | TrainError::Overflowed { .. }));
    assert!(diverged, "{outcome:?}");
}

#[test]
fn metrics_tell_of_health_and_classes_with_too_few_images_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    mentor_testkit::tiny::write_image_folder(&data, 8, 8, 0).unwrap();
    let first = fs::read_dir(&data).unwrap().next().unwrap().unwrap().path();
    for (index, file) in fs::read_dir(&first).unwrap().enumerate() {
        if index > 0 {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
    let text = format!(
        "data = {{ source = '{}', samples_per_class = 4, options = {{ val_fraction = 0.0, \
         test_fraction = 0.0 }} }}\n\
         loss.name = 'triplet'\nmodel.name = 'mlp:8'\ntraining.epochs = 1",
        data.display()
    );
    let (outcome, events) = run(&text, &dir.path().join("run"));
    outcome.unwrap();
    let warned = |event: &TrainEvent| {
        matches!(event, TrainEvent::Warning(text) if text.contains("one \
        training image"))
    };
    assert!(events.iter().any(warned), "{events:?}");
    let metrics = RunDir::open(&dir.path().join("run")).unwrap().metrics().unwrap();
    let Some(MetricsLine::Epoch(epoch)) = metrics.last() else { panic!("{metrics:?}") };
    for name in
        ["share_easy", "share_semi_hard", "share_hard", "share_active", "embedding_norm", "embedding_spread"]
    {
        assert!(epoch.measures.contains_key(name), "{name}: {epoch:?}");
    }
}

#[test]
fn validation_without_a_mate_defines_nothing_and_the_last_weights_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    mentor_testkit::tiny::write_image_folder(&data, 10, 8, 0).unwrap();
    for (loss, has_loss) in [("triplet", false), ("contrastive", true)] {
        let text = format!(
            "data.source = '{}'\ndata.options = {{ val_fraction = 0.1, test_fraction = 0.0 }}\nmodel.name = \
             'mlp:8'\n\
             loss.name = '{loss}'\ntraining = {{ epochs = 5, patience = 1, seed = 1 }}",
            data.display()
        );
        let out = dir.path().join(loss);
        let (outcome, events) = run(&text, &out);
        let Outcome::Complete(summary) = outcome.unwrap() else { panic!() };
        assert_eq!((summary.num_val, summary.epochs, summary.best_epoch), (4, 5, 5), "{summary:?}");
        assert_eq!((summary.stopped, summary.val_loss), (None, None));
        assert!(summary.measures.is_empty(), "{:?}", summary.measures);
        let warned =
            |event: &TrainEvent| matches!(event, TrainEvent::Warning(text) if text.contains("are undefined"));
        assert!(events.iter().any(warned));
        let run = RunDir::open(&out).unwrap();
        for line in run.metrics().unwrap() {
            let MetricsLine::Epoch(metrics) = line else { continue };
            // Pairs of two classes there are.
            assert_eq!(metrics.val_loss.is_some(), has_loss, "{metrics:?}");
            assert!(!metrics.measures.contains_key("val_map_at_r"), "{metrics:?}");
        }
        let retrieval = run.embedding_analysis().unwrap().unwrap().retrieval;
        assert_eq!((retrieval.num_lone_queries, retrieval.map_at_r, retrieval.knn_accuracy), (4, None, None));
    }
}
