//! What distillation promises: the same weights however it is run, and plain training where teachers have no
//! say.

use std::fs;
use std::path::Path;

use mentor_run::{MetricsLine, RunDir, Summary};
use mentor_train::{Outcome, TrainError};

use crate::runs::{complete, run, run_until, timeless};

const TEACHER: &str = "data.source = 'digits'\nmodel.name = 'mlp:32'\n\
    optimizer.batch_size = 64\noptimizer.learning_rate = 0.02\ntraining = { epochs = 3, seed = 1 }";
const STUDENT: &str = "data.source = 'digits'\nmodel.name = 'mlp:8'\ndata.augment = 'shift'\n\
    optimizer.batch_size = 64\noptimizer.learning_rate = 0.02\ntraining = { epochs = 3, seed = 5 }";

/// A teacher in `dir`, and the configuration of a student of it.
fn taught(dir: &Path, student: &str, distill: &str) -> String {
    let teacher = dir.join("teacher");
    if !teacher.exists() {
        complete(TEACHER, &teacher);
    }
    format!("{student}\ndistill = {{ teachers = [{:?}]{distill} }}", teacher.display().to_string())
}

fn weights(summary: &Summary) -> &str {
    &summary.weights_blake3
}

#[test]
fn without_the_teachers_part_it_is_plain_training_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    let plain = complete(STUDENT, &dir.path().join("plain"));
    let text = taught(dir.path(), STUDENT, ", soft_weight = 0.0");
    let student = complete(&text, &dir.path().join("student"));
    assert_eq!(weights(&student), weights(&plain));
    assert_eq!((student.val_loss, student.val_accuracy), (plain.val_loss, plain.val_accuracy));
    // The baseline is that run, too.
    let baseline = RunDir::open(&dir.path().join("student/baseline")).unwrap().summary().unwrap();
    assert_eq!(weights(&baseline), weights(&plain));
    let found = student.baseline.unwrap();
    assert_eq!((found.only_student, found.only_baseline, found.p_value), (0, 0, 1.0));
}

#[test]
fn a_cached_and_a_live_teacher_make_the_same_student() {
    let dir = tempfile::tempdir().unwrap();
    let common = ", augmentations = 2, baseline = false";
    let text = taught(dir.path(), STUDENT, common);
    let cached = complete(&text, &dir.path().join("cached"));
    let live = complete(&text.replace(common, &format!("{common}, cache = false")), &dir.path().join("live"));
    assert_eq!(weights(&cached), weights(&live));
    assert!(dir.path().join("cached/teacher-1.cache").exists());
    assert!(!dir.path().join("live/teacher-1.cache").exists());
    let one_view = text.replace("augmentations = 2", "augmentations = 1");
    assert_ne!(weights(&complete(&one_view, &dir.path().join("one"))), weights(&cached));
}

#[test]
fn interrupted_anywhere_student_and_metrics_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    // As by default, but said: so that the baseline below is of the same configuration.
    let student = format!("{STUDENT}\noptimizer.clip_norm = 5.0");
    let text = taught(dir.path(), &student, "");
    let whole = dir.path().join("whole");
    let expected = complete(&text, &whole);
    for steps in [1, 2, expected.steps / 2, expected.steps - 1] {
        let out = dir.path().join(format!("cut-{steps}"));
        // First in the baseline, then in the student.
        for _ in 0..2 {
            assert_eq!(run_until(&text, &out, steps).0.unwrap(), Outcome::Interrupted { step: Some(steps) });
            // The baseline is finished before the student begins.
            complete_baseline(&text, &out);
        }
        let summary = complete(&text, &out);
        assert_eq!(timeless(&summary), timeless(&expected), "cut at {steps}");
        assert_eq!(losses(&out), losses(&whole), "cut at {steps}");
    }
}

/// Finishes the baseline of `out` by itself, as the whole command would.
fn complete_baseline(text: &str, out: &Path) {
    let place = out.join("baseline");
    let plain = text.lines().filter(|line| !line.starts_with("distill")).collect::<Vec<_>>().join("\n");
    run(&plain, &place).0.unwrap();
}

/// The measures of each epoch.
fn losses(out: &Path) -> Vec<Vec<(String, f64)>> {
    let lines = RunDir::open(out).unwrap().metrics().unwrap().into_iter();
    let measures = lines.filter_map(|line| match line {
        MetricsLine::Epoch(metrics) => Some(metrics.measures.into_iter().collect()),
        MetricsLine::Step(_) | MetricsLine::Iteration(_) => None,
    });
    measures.collect()
}

#[test]
fn a_student_that_starts_as_its_teacher_has_no_soft_loss_and_no_soft_gradient() {
    let dir = tempfile::tempdir().unwrap();
    // A teacher that has not moved from its first weights, of the student's network and seed.
    let still = "data.source = 'digits'\nmodel.name = 'mlp:8'\noptimizer = \
                 { learning_rate = 1e-30, batch_size = 128 }\n\
        training = { epochs = 1, seed = 5 }";
    let teacher = dir.path().join("still");
    complete(still, &teacher);
    let text = format!(
        "{still}\ndistill = {{ teachers = [{:?}], soft_weight = 1.0, hard_weight = 0.0, baseline = false }}",
        teacher.display().to_string()
    );
    let out = dir.path().join("student");
    let summary = complete(&text, &out);
    let found: std::collections::BTreeMap<String, f64> = losses(&out).remove(0).into_iter().collect();
    assert!(found["soft_loss"] < 1e-6 && found["soft_gradient_norm"] < 1e-4, "{found:?}");
    assert_eq!((summary.measures["agreement"], found.contains_key("hard_loss")), (1.0, false));
    assert!(summary.measures["mean_kl"] < 1e-9);
}

#[test]
fn an_ensemble_and_a_teacher_of_another_size_teach() {
    let dir = tempfile::tempdir().unwrap();
    let large = format!("{TEACHER}\ndata.options.size = [12, 10]");
    complete(&large, &dir.path().join("large"));
    let text = taught(dir.path(), "data.source = 'digits'\nmodel.name = 'linear'\ntraining.epochs = 5", "")
        .replace(
            "teachers = [",
            &format!("teachers = [{:?}, ", dir.path().join("large").display().to_string()),
        );
    let summary = complete(&text, &dir.path().join("student"));
    let teacher = summary.teacher.unwrap();
    assert_eq!(teacher.num_params, (64 * 32 + 32) + (120 * 32 + 32) + 2 * (32 * 10 + 10));
    assert!(teacher.val_accuracy.unwrap() > 0.8 && summary.val_accuracy.unwrap() > 0.8);
    assert!(summary.measures["agreement"] > 0.8 && summary.measures["mean_kl"] > 0.0);
    let found = RunDir::open(&dir.path().join("student")).unwrap().distillation().unwrap();
    assert_eq!(found.models.len(), 4, "student, two teachers, baseline");
    assert!(found.disagreements.iter().all(|sample| sample.student != sample.teacher));
}

#[test]
fn a_foreign_cache_is_refused_with_what_differs() {
    let dir = tempfile::tempdir().unwrap();
    let text = taught(dir.path(), STUDENT, ", augmentations = 2, baseline = false");
    let other =
        taught(dir.path(), &STUDENT.replace("seed = 5", "seed = 6"), ", augmentations = 2, baseline = false");
    complete(&text, &dir.path().join("a"));
    run_until(&other, &dir.path().join("b"), 1).0.unwrap();
    fs::copy(dir.path().join("a/teacher-1.cache"), dir.path().join("b/teacher-1.cache")).unwrap();
    let error = run(&other, &dir.path().join("b")).0.unwrap_err().to_string();
    assert!(error.contains("the seed (cached 5, now 6)"), "{error}");
}

const FACES: &str = "data.source = 'digits'\ndata.classes_per_batch = 8\nmodel.name = \
                     'mlp:64'\nmodel.embedding_size = 16\n\
    loss.name = 'triplet'\noptimizer.learning_rate = 0.02\ntraining = { epochs = 6, seed = 1 }";
const NEAR: &str = "data.source = 'digits'\ndata.classes_per_batch = 8\nmodel.name = \
                    'mlp:32'\nmodel.embedding_size = 16\n\
    optimizer.learning_rate = 0.1\ntraining = { epochs = 12, seed = 5 }";

/// The configuration of a student of an embedding model.
fn taught_to_embed(dir: &Path, student: &str, distill: &str) -> String {
    let teacher = dir.join("faces");
    if !teacher.exists() {
        complete(FACES, &teacher);
    }
    format!("{student}\ndistill = {{ teachers = [{:?}], {distill} }}", teacher.display().to_string())
}

#[test]
fn a_student_of_embeddings_comes_near_its_teacher_in_either_mode() {
    let dir = tempfile::tempdir().unwrap();
    for (mode, student) in [
        ("relational", NEAR.replace("embedding_size = 16", "embedding_size = 8")),
        ("cosine", NEAR.to_owned()),
    ] {
        let text = taught_to_embed(dir.path(), &student, &format!("mode = '{mode}'"));
        let out = dir.path().join(mode);
        let summary = complete(&text, &out);
        let lines = losses(&out);
        let soft = |epoch: usize| lines[epoch].iter().find(|(name, _)| name == "soft_loss").unwrap().1;
        assert!(soft(11) < 0.5 * soft(0), "{mode}: {} to {}", soft(0), soft(11));
        let teacher = summary.teacher.unwrap().measures["val_map_at_r"];
        let found = summary.measures["val_map_at_r"];
        assert!(found > 0.8 * teacher && teacher > 0.5, "{mode}: {found} of {teacher}");
        let baseline = summary.baseline.unwrap();
        let trained = RunDir::open(&out.join("baseline")).unwrap().summary().unwrap();
        assert_eq!(baseline.measures["val_map_at_r"], trained.measures["val_map_at_r"]);
        let models = RunDir::open(&out).unwrap().embedding_fidelity().unwrap().models;
        assert_eq!((models.len(), models[0].map_at_r), (3, Some(found)), "student, teacher, baseline");
    }
}

#[test]
fn the_labels_part_alone_is_plain_ranking_and_a_live_teacher_gives_the_same_embeddings() {
    let dir = tempfile::tempdir().unwrap();
    let student = NEAR.replace("epochs = 12", "epochs = 2");
    let plain = complete(&format!("loss.name = 'triplet'\n{student}"), &dir.path().join("plain"));
    let labels = taught_to_embed(dir.path(), &student, "mode = 'relational', soft_weight = 0.0");
    assert_eq!(weights(&complete(&labels, &dir.path().join("labels"))), weights(&plain));

    let both = "mode = 'relational', hard_weight = 0.5, baseline = false";
    let text = taught_to_embed(dir.path(), &student, both);
    let cached = complete(&text, &dir.path().join("cached"));
    let live = complete(&text.replace(both, &format!("{both}, cache = false")), &dir.path().join("live"));
    assert_eq!(weights(&cached), weights(&live));
    assert_ne!(weights(&cached), weights(&plain));
    let told = losses(&dir.path().join("cached"));
    assert!(
        ["soft_loss", "hard_loss", "share_easy"]
            .iter()
            .all(|name| told[0].iter().any(|(found, _)| found == name))
    );
    // Cut off after the first update, it ends in the same student.
    let cut = dir.path().join("cut");
    assert_eq!(run_until(&text, &cut, 1).0.unwrap(), Outcome::Interrupted { step: Some(1) });
    assert_eq!(weights(&complete(&text, &cut)), weights(&cached));
}

#[test]
fn a_student_goes_on_with_the_teacher_that_it_began_with() {
    let dir = tempfile::tempdir().unwrap();
    let teacher = |seed: u64| {
        let place = dir.path().join("changing");
        let _ = fs::remove_dir_all(&place);
        let text = "data.source = 'digits'\nmodel.name = 'mlp:8'\noptimizer.batch_size = 128";
        complete(&format!("{text}\ntraining = {{ epochs = 1, seed = {seed} }}"), &place);
        place
    };
    let place = teacher(1).display().to_string();
    let text = format!("{STUDENT}\ndistill = {{ teachers = [{place:?}], baseline = false, cache = false }}");
    let out = dir.path().join("student");
    assert_eq!(run_until(&text, &out, 1).0.unwrap(), Outcome::Interrupted { step: Some(1) });
    teacher(2);
    assert!(matches!(run(&text, &out).0, Err(TrainError::LessonsChanged)));
    teacher(1);
    complete(&text, &out);
}
