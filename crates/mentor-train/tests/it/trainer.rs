//! What a trainer promises: the loop of the recipes, with data, network and objective of the caller.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use mentor_data::{Augment, HostBatch, OpenOptions, Source, Split};
use mentor_loss::{Distillation, ScoreLoss, SoftmaxCrossEntropy};
use mentor_model::{Model, ModelSpec, Pass};
use mentor_run::{Config, RunDir, RunDirError, Summary};
use mentor_train::{
    AugmentedImages, BatchLoss, DistillMode, DistillationObjective, Execution, FixedOutputs, Objective,
    Outcome, TrainError, TrainedModel, TrainedTeacher, Trainer,
};

use crate::runs::{complete, timeless};

fn softmax() -> ScoreLoss {
    ScoreLoss::Softmax(SoftmaxCrossEntropy::new())
}

/// A trainer of a network on the embedded digits, with the settings of `text`.
fn trainer(spec: &ModelSpec, text: &str) -> Trainer {
    let digits = Source::open("digits", &OpenOptions::default()).unwrap();
    let config = Config::from_toml(text, "test", &[]).unwrap();
    let model = Model::new(spec, config.training.seed.unwrap_or(0), &Device::flex()).unwrap();
    Trainer::new(model, digits.load(Split::Train).unwrap())
        .with_validation(digits.load(Split::Val).unwrap())
        .with_config(config)
}

fn linear(text: &str) -> Trainer {
    trainer(&ModelSpec::new("linear", [1, 8, 8], 10), text)
}

fn execution<'a>() -> Execution<'a> {
    Execution::new(&Device::flex())
}

/// What differs between two ways to the same run.
fn comparable(summary: &Summary) -> Summary {
    let mut summary = timeless(summary);
    (summary.model_blake3, summary.data_blake3) = (None, String::new());
    summary
}

#[test]
fn it_and_the_recipe_of_labels_end_in_the_same_weights() {
    let mlp = ModelSpec { dropout: 0.2, ..ModelSpec::new("mlp:16", [1, 8, 8], 10) };
    let settings = "data.augment = 'shift'\npenalty = { l1 = 1e-5, l2 = 1e-4 }\noptimizer.batch_size = 64\n\
        training = { epochs = 2, seed = 5, ema = 0.9 }";
    let wrn = ModelSpec::new("wrn-10-1", [1, 8, 8], 10);
    let gd = "optimizer.name = 'gd'\npenalty.l2 = 1e-3\ntraining.epochs = 5";
    let short = "optimizer.clip_norm = 1.0\ntraining.epochs = 1";
    for (spec, text) in [(mlp, settings), (wrn, short), (ModelSpec::new("linear", [1, 8, 8], 10), gd)] {
        let dir = tempfile::tempdir().unwrap();
        let model = format!("model = {{ name = '{}', dropout = {:?} }}", spec.architecture, spec.dropout);
        let whole = format!("data.source = 'digits'\n{text}\n{model}");
        let expected = complete(&whole, &dir.path().join("recipe"));
        let found = trainer(&spec, text).train(&softmax(), &execution()).unwrap().complete().unwrap();
        assert_eq!(comparable(&found.summary), comparable(&expected), "{}", spec.architecture);
    }
}

#[test]
fn a_run_directory_is_found_complete_and_is_of_its_settings_and_data_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (out, text) = (dir.path().join("run"), "training.epochs = 2");
    let in_run = |trainer: Trainer, out: &Path| trainer.with_run_dir(out).train(&softmax(), &execution());
    let Outcome::Complete(trained) = in_run(linear(text), &out).unwrap() else { panic!() };
    let Outcome::AlreadyComplete(again) = in_run(linear(text), &out).unwrap() else { panic!() };
    assert_eq!(again.summary, trained.summary);
    let weights = |model: &Model| mentor_model::weights_blake3(model);
    assert_eq!(weights(&again.model), weights(&trained.model));

    // A run like any other: it is loaded, and its epochs are there.
    let loaded = TrainedModel::load(&out, &Device::flex()).unwrap();
    let digits = Source::open("digits", &OpenOptions::default()).unwrap();
    let val = Arc::new(digits.load(Split::Val).unwrap());
    let (evaluation, _) = loaded.evaluate(&val, "val", 64).unwrap();
    assert_eq!(Some(evaluation.accuracy), trained.summary.val_accuracy);
    let run = RunDir::open(&out).unwrap();
    assert!(run.metrics().unwrap().len() > 2);
    assert_eq!(run.analysis().unwrap().evaluation.accuracy, evaluation.accuracy);

    let other = in_run(linear("training.epochs = 3"), &out).unwrap_err();
    assert!(matches!(other, TrainError::RunDir(RunDirError::OtherRun { .. })), "{other}");
    let fewer = digits.load(Split::Train).unwrap().subset(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let spec = ModelSpec::new("linear", [1, 8, 8], 10);
    let fewer = Trainer::new(Model::new(&spec, 0, &Device::flex()).unwrap(), fewer)
        .with_validation(digits.load(Split::Val).unwrap())
        .with_config(Config::from_toml(text, "test", &[]).unwrap());
    assert!(matches!(in_run(fewer, &out).unwrap_err(), TrainError::DataChanged));
}

#[test]
fn what_cannot_be_trained_is_refused_at_once_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let refused = |trainer: Trainer| {
        let error = trainer.with_run_dir(&out).train(&softmax(), &execution()).unwrap_err();
        let TrainError::Plan(error) = error else { panic!("{error}") };
        assert!(!out.exists());
        error.problems
    };
    let problems = refused(linear("training.epochs = 0\npenalty.l2 = -1.0\noptimizer.batch_size = 0"));
    assert_eq!(problems.len(), 3, "{problems:?}");
    for (trainer, what) in [
        (linear("data.source = 'digits'"), "leave those parts"),
        (linear("model.name = 'cnn'"), "leave those parts"),
        (linear("distill.teachers = ['t']"), "leave those parts"),
        (trainer(&ModelSpec::new("linear", [1, 8, 8], 3), ""), "has 10 classes"),
        (trainer(&ModelSpec::new("linear", [1, 8, 9], 10), ""), "[1, 8, 8]"),
    ] {
        let problems = refused(trainer);
        assert!(problems[0].contains(what), "{what}: {problems:?}");
    }
}

#[test]
fn a_trained_model_teaches_as_it_does_in_the_recipe() {
    let dir = tempfile::tempdir().unwrap();
    let teacher = dir.path().join("teacher");
    complete("data.source = 'digits'\nmodel.name = 'mlp:16'\ntraining.epochs = 2", &teacher);
    let settings = "data.augment = 'shift'\noptimizer = { batch_size = 64, clip_norm = 5.0 }\n\
        training = { epochs = 2, seed = 3 }";
    let recipe = format!(
        "data.source = 'digits'\nmodel.name = 'mlp:8'\n{settings}\ndistill = \
         {{ teachers = ['{}'], temperature = 3.0, \
         soft_weight = 0.9, hard_weight = 0.1, views = 2, baseline = false }}",
        teacher.display()
    );
    let expected = complete(&recipe, &dir.path().join("student"));

    let teacher = TrainedTeacher::load(&teacher, DistillMode::Soft, &Device::flex()).unwrap();
    let train = Source::open("digits", &OpenOptions::default()).unwrap().load(Split::Train).unwrap();
    let images = AugmentedImages::new(&train, Augment::SHIFT, 3);
    let loss = Distillation::new(3.0, 0.9, 0.1).unwrap();
    let objective = DistillationObjective::new(loss, &[&teacher], images).unwrap();
    let objective = objective.with_num_augmentations(2.try_into().unwrap());
    let student = trainer(&ModelSpec::new("mlp:8", [1, 8, 8], 10), settings);
    let found = student.train(&objective, &execution()).unwrap().complete().unwrap();
    assert_eq!(found.summary.weights_blake3, expected.weights_blake3);
}

#[test]
fn a_teacher_that_gives_too_little_is_named() {
    let train = Source::open("digits", &OpenOptions::default()).unwrap().load(Split::Train).unwrap();
    let short = FixedOutputs::new("half a file", 10, vec![0.0; 500 * 10]).unwrap();
    let loss = || Distillation::new(2.0, 1.0, 0.0).unwrap();
    let objective = DistillationObjective::new(loss(), &[&short], AugmentedImages::plain(&train)).unwrap();
    let error = linear("training.epochs = 1").train(&objective, &execution()).unwrap_err().to_string();
    assert!(error.starts_with("half a file: cannot teach here: it has no row for sample"), "{error}");

    assert!(FixedOutputs::new("odd", 10, vec![0.0; 15]).unwrap_err().to_string().contains("no rows of 10"));
    assert!(FixedOutputs::new("holes", 2, vec![0.0, f32::NAN]).unwrap_err().to_string().contains("row 0"));
    let other = FixedOutputs::new("other", 3, vec![0.0; 3]).unwrap();
    let images = AugmentedImages::plain(&train);
    let error = DistillationObjective::new(loss(), &[&short, &other], images).err().unwrap().to_string();
    assert!(error.contains("it gives 3 scores, and half a file gives 10"), "{error}");
    assert!(DistillationObjective::new(loss(), &[], images).is_err());
}

#[test]
fn images_without_labels_learn_from_teachers_alone() {
    let dir = tempfile::tempdir().unwrap();
    let train = Source::open("digits", &OpenOptions::default()).unwrap().load(Split::Train).unwrap();
    let train = train.subset(&(0..200).collect::<Vec<u32>>()).without_labels();
    let unlabelled = || {
        let model = Model::new(&ModelSpec::new("linear", [1, 8, 8], 3), 0, &Device::flex()).unwrap();
        Trainer::new(model, train.clone()).with_epochs(2).with_run_dir(dir.path().join("run"))
    };
    let error = unlabelled().train(&softmax(), &execution()).unwrap_err().to_string();
    assert!(error.contains("needs labels"), "{error}");

    let scores = (0..200 * 3).map(|value| (value % 7) as f32).collect();
    let teacher = FixedOutputs::new("a table", 3, scores).unwrap();
    let loss = Distillation::new(2.0, 1.0, 0.0).unwrap();
    let objective = DistillationObjective::new(loss, &[&teacher], AugmentedImages::plain(&train)).unwrap();
    let out = dir.path().join("taught");
    let trained =
        unlabelled().with_run_dir(&out).train(&objective, &execution()).unwrap().complete().unwrap();
    assert_eq!(trained.summary.train_accuracy, None);
    // Classes that nobody names have their numbers.
    let loaded = TrainedModel::load(&out, &Device::flex()).unwrap();
    assert_eq!(loaded.file.classes, ["0", "1", "2"]);
}

#[test]
fn an_objective_of_one_loss_a_batch_is_judged_by_it() {
    struct Spread;
    impl Objective for Spread {
        fn batch_loss(
            &self,
            model: &Model,
            images: Tensor<4>,
            _: &HostBatch,
            pass: &Pass<'_>,
        ) -> Result<BatchLoss, TrainError> {
            Ok(BatchLoss::new(model.scores(images, pass).square().mean()))
        }
    }
    let text = "optimizer = { batch_size = 100, learning_rate = 0.05 }\ntraining.epochs = 4";
    // A linear model begins with scores of 0, which nothing improves.
    let mlp = trainer(&ModelSpec::new("mlp:8", [1, 8, 8], 10), text);
    let summary = mlp.train(&Spread, &execution()).unwrap().complete().unwrap().summary;
    assert_eq!((summary.val_accuracy, summary.train_accuracy), (None, None));
    // The model of the lowest loss is kept, and the loss of scores that shrink falls to the end.
    assert_eq!(summary.best_epoch, 4);
    assert!(summary.val_loss.unwrap() < summary.train_loss);
}
