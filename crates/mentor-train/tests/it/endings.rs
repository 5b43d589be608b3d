//! How a run ends: well, early, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use mentor_data::{Dataset, ImageFormat, Source, Split};
use mentor_run::{MetricsLine, RunDir, TrainEvent};
use mentor_train::{Execution, Outcome, TrainError, TrainedModel, train};

use crate::runs::{complete, plan, run, run_until};

#[test]
fn linear_learns_the_digits_with_either_loss_and_either_optimiser() {
    let dir = tempfile::tempdir().unwrap();
    for (loss, optimizer) in
        [("svm", "gd"), ("svm", "sgd"), ("softmax", "gd"), ("softmax", "sgd"), ("crammer-singer", "sgd")]
    {
        let text = format!(
            "data.source = 'digits'\nloss.name = '{loss}'\noptimizer.name = '{optimizer}'\npenalty.l2 = 1e-4"
        );
        let out = dir.path().join(format!("{loss}-{optimizer}"));
        let summary = complete(&text, &out);
        assert!(summary.val_accuracy.unwrap() > 0.93, "{loss} {optimizer}: {summary:?}");

        // The saved model gives the accuracy that the summary says, and generalises to the test split.
        let model = TrainedModel::load(&out, &Device::flex()).unwrap();
        let source = Source::open("digits", &model.file.data.options).unwrap();
        let evaluate = |split| {
            let dataset = Arc::new(source.load_as(split, &model.file.preprocessing.format).unwrap());
            model.evaluate(&dataset, split, 100).unwrap().0
        };
        let val = evaluate(Split::Val);
        assert_eq!(Some(val.accuracy), summary.val_accuracy);
        assert!((val.loss - summary.val_loss.unwrap()).abs() < 1e-6);
        assert!(evaluate(Split::Test).accuracy > 0.93, "{loss} {optimizer}");
    }
}

#[test]
fn every_family_overfits_eight_images() {
    let dir = tempfile::tempdir().unwrap();
    let path = eight_images(dir.path());
    for (name, rate) in
        [("linear", 0.05), ("mlp:32", 0.05), ("cnn", 0.02), ("resnet-8", 0.05), ("wrn-10-1", 0.05)]
    {
        let text = format!(
            "data.source = '{path}'\ndata.options.val_fraction = 0.0\ndata.options.test_fraction = 0.0\n\
             model.name = '{name}'\noptimizer = {{ learning_rate = {rate}, batch_size = 8 }}\n\
             schedule = {{ name = 'constant', warmup_epochs = 0.0 }}\ntraining.epochs = 60"
        );
        let summary = complete(&text, &dir.path().join(name.replace(':', "-")));
        assert_eq!(summary.train_accuracy, Some(1.0), "{name}: {summary:?}");
        assert!(summary.train_loss < 0.1, "{name}: {summary:?}");
        assert_eq!((summary.val_accuracy, summary.best_epoch), (None, 60));
    }
}

#[test]
fn an_svm_without_loss_and_penalty_stops_and_says_so_while_softmax_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = eight_images(dir.path());
    let text = |loss: &str| {
        format!(
            "data.source = '{path}'\ndata.options.val_fraction = 0.0\ndata.options.test_fraction = \
             0.0\nloss.name = '{loss}'\n\
             optimizer = {{ learning_rate = 0.1, momentum = 0.0 }}\nschedule.name = \
             'constant'\ntraining.epochs = 200"
        )
    };
    let svm = complete(&text("svm"), &dir.path().join("svm"));
    assert!(svm.epochs < 200);
    assert!(svm.stopped.unwrap().contains("exactly 0"), "the reason is named");
    let softmax = complete(&text("softmax"), &dir.path().join("softmax"));
    assert_eq!((softmax.epochs, softmax.stopped), (200, None));
}

#[test]
fn divergence_names_the_samples_and_leaves_no_model() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let text = "data.source = 'digits'\nmodel.name = 'mlp:64,64'\noptimizer.learning_rate = 1e12";
    let (outcome, _) = run(text, &out);
    match outcome.unwrap_err() {
        TrainError::Diverged { samples, step, .. } => assert!(!samples.is_empty() && step > 0),
        TrainError::Overflowed { epoch } => panic!("found only after epoch {epoch}"),
        other => panic!("{other}"),
    }
    assert!(!RunDir::open(&out).unwrap().is_complete());
    assert!(TrainedModel::load(&out, &Device::flex()).is_err());
}

#[test]
fn patience_stops_a_run_that_no_longer_improves() {
    let dir = tempfile::tempdir().unwrap();
    let text =
        "data.source = 'digits'\ntraining = { epochs = 400, patience = 3 }\nschedule.name = 'constant'";
    let summary = complete(text, &dir.path().join("run"));
    assert!(summary.epochs < 400 && summary.best_epoch + 3 == summary.epochs, "{summary:?}");
}

#[test]
fn patience_without_validation_is_said_to_stop_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let text =
        "data.source = 'digits'\ndata.options.val_fraction = 0.0\ntraining = { epochs = 4, patience = 1 }";
    let (outcome, events) = run(text, &dir.path().join("run"));
    assert!(matches!(outcome, Ok(Outcome::Complete(summary)) if summary.epochs == 4));
    let warned = |event: &TrainEvent| {
        matches!(event, TrainEvent::Warning(text) if text.contains("--patience \
        has no effect"))
    };
    assert_eq!(events.iter().filter(|event| warned(event)).count(), 1);
}

#[test]
fn bad_data_leaves_no_directory_behind() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let (outcome, _) = run("data.source = 'no/such/folder'", &out);
    assert!(matches!(outcome, Err(TrainError::Data(_))));
    let (outcome, _) = run("data.source = 'digits'\nloss.class_weights = [1.0, 2.0]", &out);
    assert!(matches!(outcome, Err(TrainError::Loss(_))));
    assert!(!out.exists());
}

#[test]
fn another_plan_in_the_same_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let text = "data.source = 'digits'\ntraining.epochs = 1";
    assert!(matches!(run(text, &out).0, Ok(Outcome::Complete(_))));
    let error = run("data.source = 'digits'\ntraining.epochs = 2", &out).0.unwrap_err().to_string();
    assert!(error.contains("training.epochs"), "{error}");
    assert_eq!(plan(text).to_config(), RunDir::open(&out).unwrap().config().unwrap());
}

/// An npz-free data set of eight images of four classes, written as a folder that `Source` opens.
fn eight_images(dir: &std::path::Path) -> String {
    let source = Source::open("digits", &Default::default()).unwrap();
    let train: Dataset = source.load(Split::Train).unwrap();
    let format: &ImageFormat = train.format();
    let mut taken = [0; 4];
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for index in 0..train.len() {
        let target = train.targets()[index] as usize;
        if target < 4 && taken[target] < 2 {
            taken[target] += 1;
            let mut bytes = vec![0; format.num_values()];
            train.read(index, &mut bytes).unwrap();
            pixels.extend(bytes);
            labels.push(target as u8);
        }
    }
    let folder = dir.join("eight");
    if !folder.exists() {
        std::fs::create_dir(&folder).unwrap();
        let idx = |magic: u8, dims: &[u32], data: &[u8]| {
            let mut file = vec![0, 0, 8, magic];
            dims.iter().for_each(|dim| file.extend(dim.to_be_bytes()));
            file.extend(data);
            file
        };
        std::fs::write(folder.join("train-images-idx3-ubyte"), idx(3, &[8, 8, 8], &pixels)).unwrap();
        std::fs::write(folder.join("train-labels-idx1-ubyte"), idx(1, &[8], &labels)).unwrap();
    }
    folder.display().to_string()
}

#[test]
fn weights_that_overflow_in_the_last_update_are_no_complete_run() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    // One update from finite scores, and no validation that would see what came of it.
    let text = "data = { source = 'digits', options.val_fraction = 0.0 }\nschedule.name = \
                'constant'\ntraining.epochs = 1\n\
        loss.name = 'svm'\noptimizer = { name = 'gd', learning_rate = 3.4e38, momentum = 0.0 }";
    assert!(matches!(run(text, &out).0, Err(TrainError::Overflowed { epoch: 1 })));
    assert!(!out.join("summary.json").exists());
}

#[test]
fn a_loss_far_above_that_of_no_weights_is_warned_of_once() {
    let dir = tempfile::tempdir().unwrap();
    let warnings = |events: Vec<TrainEvent>| {
        let about = |event: &TrainEvent| {
            matches!(event, TrainEvent::Warning(text) if text.contains("scores \
            of zero"))
        };
        events.iter().filter(|event| about(event)).count()
    };
    for (index, (loss, rate, expected)) in [
        ("softmax", 1e3, 1),
        ("svm", 1e3, 1),
        ("crammer-singer", 1e3, 1),
        ("softmax", 0.01, 0),
        ("svm", 0.01, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!(
            "data.source = 'digits'\nloss.name = '{loss}'\ntraining.epochs = 3\n\
             optimizer = {{ learning_rate = {rate}, momentum = 0.0 }}\nschedule.name = 'constant'"
        );
        let (outcome, events) = run(&text, &dir.path().join(format!("{index}")));
        assert!(outcome.is_ok(), "{outcome:?}");
        assert_eq!(warnings(events), expected, "{loss} {rate}");
    }
}

#[test]
fn few_images_make_three_hundred_updates_in_even_batches_unless_the_user_says_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let data = eight_images(dir.path());
    let text = format!(
        "data = {{ source = '{data}', options = {{ val_fraction = 0.0, \
         test_fraction = 0.0 }} }}\noptimizer.batch_size = 7"
    );
    let out = dir.path().join("run");
    let summary = complete(&text, &out);
    assert_eq!((summary.steps, summary.epochs), (300, 150));
    let sizes: Vec<usize> = RunDir::open(&out)
        .unwrap()
        .metrics()
        .unwrap()
        .into_iter()
        .filter_map(|line| if let MetricsLine::Step(step) = line { Some(step.num_samples) } else { None })
        .collect();
    assert_eq!(sizes, [4; 300], "no batch of one image beside one of seven");
    let given = complete(&format!("{text}\ntraining.epochs = 20"), &dir.path().join("given"));
    assert_eq!((given.steps, given.epochs), (40, 20));
    // Cut off and continued it is the same run.
    let cut = dir.path().join("cut");
    assert_eq!(run_until(&text, &cut, 101).0.unwrap(), Outcome::Interrupted { step: Some(101) });
    assert_eq!(complete(&text, &cut).weights_blake3, summary.weights_blake3);
}

#[test]
fn a_dense_network_on_colour_or_shrunk_images_is_said_to_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let advised = |text: &str, name: &str| {
        let (outcome, events) = run(&format!("{text}\ntraining.epochs = 1"), &dir.path().join(name));
        outcome.unwrap();
        events
            .iter()
            .any(|event| matches!(event, TrainEvent::Warning(text) if text.contains("--model cnn with")))
    };
    for side in [40, 48] {
        for (number, class) in ["cat", "dog"].into_iter().enumerate() {
            let folder = dir.path().join("photos").join(class);
            std::fs::create_dir_all(&folder).unwrap();
            for index in 1..9 {
                let pixels: Vec<u8> =
                    (0..side * side).map(|pixel: usize| (pixel * index + side + 7 * number) as u8).collect();
                let png = mentor_testkit::tiny::png(side, side, 1, &pixels);
                std::fs::write(folder.join(format!("{side}-{index}.png")), png).unwrap();
            }
        }
    }
    let photos = format!("data.source = '{}'", dir.path().join("photos").display());
    assert!(advised(&photos, "linear"));
    assert!(advised(&format!("{photos}\nmodel.name = 'mlp:4'"), "mlp"));
    assert!(!advised(&format!("{photos}\nmodel.name = 'cnn'"), "cnn"));
    assert!(!advised("data.source = 'digits'", "digits"));
}

#[test]
fn a_stop_while_the_end_is_worked_out_is_heeded_and_the_same_call_finishes() {
    for text in [
        "data.source = 'digits'\nmodel.name = 'mlp:8'\ntraining = { epochs = 3, seed = 2 }",
        "data.source = 'digits'\nmodel.name = 'mlp:8'\nloss.name = 'triplet'\ntraining = \
         { epochs = 2, seed = 2 }",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let whole = complete(text, &dir.path().join("whole"));
        let out = dir.path().join("cut");
        // The last checkpoint is written when training is done, and before anything that follows it.
        let stop = AtomicBool::new(false);
        let execution = Execution::new(&Device::flex()).with_stop(&stop).with_observer(|event| {
            let last = matches!(event, TrainEvent::Checkpoint { step } if *step == whole.steps);
            stop.fetch_or(last, Ordering::Relaxed);
        });
        let outcome = train(&plan(text), &out, &execution);
        assert_eq!(outcome.unwrap(), Outcome::Interrupted { step: Some(whole.steps) });
        for name in ["summary.json", "analysis.json", "embeddings.json"] {
            assert!(!out.join(name).exists(), "{name}");
        }
        let summary = complete(text, &out);
        assert_eq!((summary.weights_blake3, summary.steps), (whole.weights_blake3, whole.steps));
    }
}

#[test]
fn many_classes_end_in_files_that_grow_with_the_images() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    // Two images of each of 200 classes, 2×2 pixels that no other has.
    let idx = |shape: &[u32], values: Vec<u8>| {
        let sides = shape.iter().flat_map(|side| side.to_be_bytes());
        [0, 0, 8, shape.len() as u8].into_iter().chain(sides).chain(values).collect::<Vec<u8>>()
    };
    let pixels = (0..400_u32).flat_map(|image| [(image / 2) as u8, (image % 2) as u8 * 40, 7, 200]).collect();
    std::fs::write(data.join("train-images-idx3-ubyte"), idx(&[400, 2, 2], pixels)).unwrap();
    let labels = (0..400_u32).map(|image| (image / 2) as u8).collect();
    std::fs::write(data.join("train-labels-idx1-ubyte"), idx(&[400], labels)).unwrap();
    let out = dir.path().join("run");
    let text = format!(
        "data.source = '{}'\ndata.options = {{ val_fraction = 0.0, test_fraction = 0.0 }}\ntraining.epochs = \
         1",
        data.display()
    );
    complete(&text, &out);
    let analysis = RunDir::open(&out).unwrap().analysis().unwrap();
    assert_eq!((analysis.evaluation.confusion.num_classes(), analysis.weight_images.len()), (200, 40));
    // 200² counts alone, one a line, would be more.
    let size = std::fs::metadata(out.join("analysis.json")).unwrap().len();
    assert!(size < 200_000, "{size} bytes");
}
