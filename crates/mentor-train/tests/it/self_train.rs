//! What self-training promises: the same files however often it is cut off, an audit that stops damaged
//! labels, and no gain if there is no noise.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use mentor_data::ReadObserver;
use mentor_metrics::wilson_interval;
use mentor_run::{MetricsLine, RunDir, Summary, TrainEvent};
use mentor_train::pseudo_labels::{LabelSet, LabelsWriter, Shard};
use mentor_train::{
    Execution, LabelInput, Labelling, Outcome, TrainError, estimate_self_training, label, train,
};

use crate::runs::{complete, plan, run, timeless};

const DIGITS: &str = "data.source = 'digits'\nmodel.name = 'mlp:16'\noptimizer.batch_size = 64\n\
    training = { epochs = 3, seed = 5, ema = 0.9 }";

fn config(self_train: &str) -> String {
    format!("{DIGITS}\nself_train = {{ {self_train} }}")
}

/// Runs `text` in `out` until `stops` says so of an event.
fn run_until_event(
    text: &str,
    out: &Path,
    mut stops: impl FnMut(&TrainEvent) -> bool,
) -> Result<Outcome, TrainError> {
    let stop = AtomicBool::new(false);
    let execution = Execution::new(&Device::flex()).with_stop(&stop).with_observer(|event| {
        if stops(event) {
            stop.store(true, Ordering::Relaxed);
        }
    });
    train(&plan(text), out, &execution)
}

/// Every file that must not depend on interruptions, by its path: weights and pseudo-labels.
fn files(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![out.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(out).unwrap().display().to_string();
            if path.is_dir() {
                if !name.ends_with("checkpoints") {
                    folders.push(path);
                }
            } else if ["model.safetensors", ".parquet", ".parquet.json", "round.json"]
                .iter()
                .any(|end| name.ends_with(end))
            {
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn without_seconds(summary: &Summary) -> Summary {
    timeless(summary)
}

#[test]
fn interrupted_in_every_stage_weights_and_labels_are_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let text = config("labels_per_class = 25, rounds = 2, dropout = 0.1, distill_to = 'linear'");
    let whole = dir.path().join("whole");
    let expected = complete(&text, &whole);
    let kept = files(&whole);
    for place in ["teacher", "baseline", "round-1/student", "round-2/student", "distilled"] {
        assert!(kept.contains_key(&format!("{place}/model.safetensors")), "{place}: {:?}", kept.keys());
    }
    assert!(kept.contains_key("round-2/labels/labels.parquet"));

    // Every few updates, so that each stage is cut off, more than once.
    let out = dir.path().join("cut");
    let mut num_cuts = 0;
    let summary = loop {
        let mut updates = 0;
        let outcome = run_until_event(&text, &out, |event| {
            updates += u64::from(matches!(event, TrainEvent::Step(_)));
            updates > 19
        });
        match outcome.unwrap() {
            Outcome::Interrupted { .. } => num_cuts += 1,
            Outcome::Complete(summary) => break summary,
            other => panic!("{other:?}"),
        }
    };
    assert!(num_cuts >= 10, "{num_cuts} cuts");
    assert_eq!(without_seconds(&summary), without_seconds(&expected));
    assert!(files(&out) == kept, "a file differs");

    // And wherever a stage begins, the labels among them.
    let out = dir.path().join("stages");
    let mut titles = Vec::new();
    for _ in 0..100 {
        let outcome = run_until_event(&text, &out, |event| match event {
            TrainEvent::Stage(title) if !titles.contains(title) => {
                titles.push(title.clone());
                true
            }
            _ => false,
        });
        if let Outcome::Complete(summary) = outcome.unwrap() {
            assert_eq!(without_seconds(&summary), without_seconds(&expected));
            break;
        }
    }
    assert!(titles.iter().any(|title| title.contains("labels of")), "{titles:?}");
    assert!(files(&out) == kept, "a file differs");
    assert!(matches!(run(&text, &out).0.unwrap(), Outcome::AlreadyComplete(_)));
}

#[test]
fn without_noise_the_student_is_no_better_than_its_teacher_beyond_chance() {
    let dir = tempfile::tempdir().unwrap();
    let text = config(
        "labels_per_class = 20, rounds = 1, augment = 'none', dropout = 0.0, stochastic_depth = 0.0, \
         baseline = false",
    )
    .replace("data.source = 'digits'", "data = { source = 'digits', augment = 'none' }")
    .replace("epochs = 3", "epochs = 40");
    complete(&text, &dir.path().join("run"));
    let found = RunDir::open(&dir.path().join("run")).unwrap().self_training().unwrap();
    let teacher = found.stages.iter().find(|stage| stage.name == "teacher").unwrap();
    let student = found.stages.iter().find(|stage| stage.name == "round 1").unwrap();
    assert!(teacher.val_accuracy > 0.8, "the teacher learnt something: {teacher:?}");
    let num_val = 145;
    let right = (teacher.val_accuracy * num_val as f64).round() as u64;
    let interval = wilson_interval(right, num_val, 0.95);
    assert!(student.val_accuracy <= interval.high, "{student:?} beats {teacher:?}");
}

#[test]
fn permuted_labels_raise_the_alarm_and_the_round_is_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let text =
        config("labels_per_class = 25, rounds = 1, baseline = false").replace("epochs = 3", "epochs = 8");
    let outcome = run_until_event(
        &text,
        &out,
        |event| matches!(event, TrainEvent::Stage(title) if title.starts_with("round 1: student")),
    );
    assert!(matches!(outcome.unwrap(), Outcome::Interrupted { .. }));
    // Every score one class further: what a wrong class order does.
    let labels = out.join("round-1/labels/labels.parquet");
    let set = LabelSet::open(&labels).unwrap();
    let mut rows: Vec<_> = set.rows().collect::<Result<_, _>>().unwrap();
    let mut writer = LabelsWriter::create(&labels, set.header().clone(), Shard::WHOLE).unwrap();
    for row in &mut rows {
        row.scores.rotate_right(1);
        writer.push(&row.id, &row.image_blake3, &row.scores).unwrap();
    }
    writer.finish().unwrap();
    fs::remove_dir_all(out.join("round-1/student")).unwrap();

    let (outcome, events) = run(&text, &out);
    let Outcome::Complete(summary) = outcome.unwrap() else { panic!() };
    let [round] = summary.rounds.as_slice() else { panic!("{:?}", summary.rounds) };
    assert!(!round.accepted && round.reason.contains("the audit raises its alarm"), "{round:?}");
    assert!(round.audit_precision.unwrap() < 0.3 && round.val_accuracy.is_none(), "{round:?}");
    let said = |event: &TrainEvent| matches!(event, TrainEvent::Stage(text) if text.contains("rolled back"));
    assert!(events.iter().any(said));
    let teacher = RunDir::open(&out.join("teacher")).unwrap().summary().unwrap();
    assert_eq!(summary.weights_blake3, teacher.weights_blake3, "the teacher is what is left");
    assert!(!out.join("round-1/student").exists(), "nobody learnt from them");
}

/// Few labels beside many images: a student makes four passes over these, and so would a teacher over its
/// thirty.
const MANY_UPDATES: &str = "data.source = 'digits'\nmodel.name = 'mlp:8'\noptimizer.batch_size = 4\n\
    training = { epochs = 3, seed = 5 }\nself_train = { labels_per_class = 3, rounds = 1 }";

#[test]
fn teacher_and_baseline_are_as_long_as_their_labels_want_wherever_the_run_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    let summary = complete(MANY_UPDATES, &whole);
    let length: serde_json::Value =
        serde_json::from_slice(&fs::read(whole.join("length.json")).unwrap()).unwrap();
    let steps = |place: &str| RunDir::open(&whole.join(place)).unwrap().summary().unwrap().steps;
    let student = steps("round-1/student");
    assert_eq!(length["planned_updates"], student);
    let trials = length["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 6, "three folds of thirty labels, twice: {length}");
    for trial in trials {
        assert_eq!((trial["num_trained"].as_u64(), trial["num_held_out"].as_u64()), (Some(20), Some(10)));
        assert!(trial["updates"].as_u64() <= length["longest_trial"].as_u64());
    }
    let found = length["updates"].as_u64().unwrap();
    assert!((300..student).contains(&found), "{length}");
    assert_eq!((steps("teacher"), steps("baseline")), (found, found));

    let cut = dir.path().join("cut");
    for stage in ["trial 3 of 6", "teacher on the labels", "round 1: student"] {
        let outcome = run_until_event(
            MANY_UPDATES,
            &cut,
            |event| matches!(event, TrainEvent::Stage(title) if title.contains(stage)),
        );
        assert!(matches!(outcome.unwrap(), Outcome::Interrupted { .. }), "{stage}");
    }
    assert_eq!(without_seconds(&complete(MANY_UPDATES, &cut)), without_seconds(&summary));
    assert_eq!(fs::read(cut.join("length.json")).unwrap(), fs::read(whole.join("length.json")).unwrap());
}

#[test]
fn a_large_validation_split_chooses_the_length_in_one_trial() {
    let text = MANY_UPDATES
        .replace("rounds = 1", "rounds = 1, baseline = false")
        .replace("data.source = 'digits'", "data = { source = 'digits', options = { val_fraction = 0.3 } }");
    let dir = tempfile::tempdir().unwrap();
    let stages = estimate_self_training(&plan(&text), &Execution::new(&Device::flex())).unwrap();
    let names: Vec<(&str, bool)> = stages.iter().map(|stage| (stage.name.as_str(), stage.at_most)).collect();
    assert_eq!(names, [("length of teacher and baseline", true), ("teacher", true), ("round 1", false)]);
    assert!(stages.iter().all(|stage| stage.secs > 0.0 && stage.updates > 0), "{stages:?}");
    assert_eq!(stages[0].updates, stages[1].updates, "one trial");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn what_is_planned_is_said_before_the_first_stage_and_few_updates_are_made_as_planned() {
    let dir = tempfile::tempdir().unwrap();
    let (outcome, events) =
        run(&config("labels_per_class = 25, rounds = 1, threshold = 1.0"), &dir.path().join("run"));
    assert!(matches!(outcome, Ok(Outcome::Complete(_))));
    let TrainEvent::Planned(stages) =
        events.iter().find(|event| !matches!(event, TrainEvent::Warning(_))).unwrap()
    else {
        panic!("{events:?}")
    };
    let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["teacher", "baseline", "round 1"]);
    assert!(stages.iter().all(|stage| stage.updates == stages[0].updates && !stage.at_most), "{stages:?}");
    let teacher = RunDir::open(&dir.path().join("run/teacher")).unwrap().summary().unwrap();
    assert_eq!(teacher.steps, stages[0].updates);
    assert!(!dir.path().join("run/length.json").exists());
}

#[test]
fn a_student_that_is_only_as_good_as_its_teacher_is_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    // Teacher and student have the same nine of ten validation images right.
    let text = "data = { source = 'digits', options = { val_fraction = 0.006 } }\nmodel.name = 'mlp:32'\n\
        optimizer = { batch_size = 64, learning_rate = 0.05 }\ntraining.epochs = 5\n\
        self_train = { labels_per_class = 100, rounds = 1 }";
    let summary = complete(text, &dir.path().join("run"));
    for round in &summary.rounds {
        assert!(!round.accepted && round.p_value == Some(1.0), "{round:?}");
        assert!(round.reason.starts_with("no better than its teacher: each has "), "{round:?}");
        assert!(round.reason.contains("cannot tell them apart"), "{round:?}");
    }
    assert_eq!(summary.rounds.len(), 1);
    let teacher = RunDir::open(&dir.path().join("run/teacher")).unwrap().summary().unwrap();
    assert_eq!(summary.weights_blake3, teacher.weights_blake3);
}

#[test]
fn a_threshold_that_nothing_reaches_leaves_the_teacher() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let summary = complete(&config("labels_per_class = 5, rounds = 1, threshold = 1.0"), &out);
    assert!(summary.rounds[0].reason.contains("no image reaches the threshold of 1"), "{:?}", summary.rounds);
    assert!(summary.baseline.is_some() && summary.test_accuracy.is_some());
}

#[test]
fn lees_method_raises_the_weight_of_its_own_classes() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let text = config("labels_per_class = 20, method = 'pseudo-label'").replace("epochs = 3", "epochs = 10");
    let summary = complete(&text, &out);
    assert!(summary.rounds.is_empty() && summary.baseline.is_some());
    let lines = RunDir::open(&out).unwrap().metrics().unwrap();
    let weights: Vec<f64> = lines
        .iter()
        .filter_map(|line| match line {
            MetricsLine::Epoch(metrics) => metrics.measures.get("unlabelled_weight").copied(),
            MetricsLine::Step(_) | MetricsLine::Iteration(_) => None,
        })
        .collect();
    assert_eq!((weights[0], weights[9]), (0.0, 3.0));
    assert!(weights.windows(2).all(|pair| pair[0] <= pair[1]) && weights[3] > 0.0, "{weights:?}");
}

#[test]
fn shards_of_another_teacher_teach_the_first_round() {
    let dir = tempfile::tempdir().unwrap();
    let teacher = dir.path().join("teacher");
    complete(&DIGITS.replace("epochs = 3", "epochs = 6"), &teacher);
    let folder = dir.path().join("images");
    write_digits(&folder);
    let data = folder.display().to_string();
    let (labels, stop) = (dir.path().join("labels"), AtomicBool::new(false));
    fs::create_dir(&labels).unwrap();
    let write = |index| {
        let shard = Shard::new(index, 3).unwrap();
        let out = labels.join(shard.file_name());
        let given = LabelInput { data: &data, max_pixels: None, reading: ReadObserver::default() };
        label(&teacher, given, &out, shard, &Execution::new(&Device::flex()).with_stop(&stop)).unwrap()
    };
    let reading = ReadObserver::new(|_| ControlFlow::Break(()));
    let (given, out) = (LabelInput { data: &data, max_pixels: None, reading }, labels.join("x"));
    let execution = Execution::new(&Device::flex()).with_stop(&stop);
    let ended = label(&teacher, given, &out, Shard::WHOLE, &execution);
    assert_eq!(ended.unwrap(), Labelling::Interrupted);
    assert!(!out.exists());
    let first: Vec<Labelling> = (0..3).map(write).collect();
    assert!(first.iter().all(|labelling| matches!(labelling, Labelling::Written(_))));
    assert!(matches!(write(1), Labelling::AlreadyWritten(_)));
    let bytes = fs::read(labels.join("labels-00001-of-00003.parquet")).unwrap();
    fs::write(labels.join("labels-00001-of-00003.parquet"), &bytes[..bytes.len() / 2]).unwrap();
    let text =
        config(&format!("unlabelled = {data:?}, labels = {:?}, rounds = 1", labels.display().to_string()));
    let error = run(&text, &dir.path().join("run")).0.unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
    assert!(matches!(write(1), Labelling::Written(_)));
    assert_eq!(fs::read(labels.join("labels-00001-of-00003.parquet")).unwrap(), bytes);

    let summary = complete(&text, &dir.path().join("run"));
    assert!(summary.rounds[0].num_pseudo_labels > 0 && summary.rounds[0].audit_precision.is_none());
    assert!(!dir.path().join("run/round-1/labels").exists(), "nothing was labelled again");
    fs::remove_file(folder.join("7.png")).unwrap();
    let error = run(&text, &dir.path().join("other")).0.unwrap_err().to_string();
    assert!(error.contains("labels other images"), "{error}");
}

/// Some upside-down digits as files.
fn write_digits(folder: &Path) {
    use mentor_data::{OpenOptions, Source, Split};
    let images = Source::open("digits", &OpenOptions::default()).unwrap().load(Split::Train).unwrap();
    fs::create_dir(folder).unwrap();
    for index in 0..120 {
        let mut pixels = vec![0; 64];
        images.read(index, &mut pixels).unwrap();
        pixels.reverse();
        fs::write(folder.join(format!("{index}.png")), mentor_testkit::tiny::png(8, 8, 1, &pixels)).unwrap();
    }
}
