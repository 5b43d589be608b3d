//! Which checkpoints are loaded, and which are passed over.

use std::collections::BTreeMap;

use burn::tensor::Device;
use mentor_model::{Model, ModelSpec, parameters};
use mentor_run::Config;

use super::state::{Best, EpochTotals, Progress};
use super::*;
use crate::analysis::trajectory::Trajectory;
use crate::engine::objective::validation::Validation;
use crate::plan::Plan;

/// A run of 9 epochs of 4 batches with momentum and an average of the weights.
fn plan() -> Plan {
    let text = "data.source = 'digits'\ntraining = { epochs = 9, ema = 0.9 }\nmodel.name = 'linear'";
    Plan::try_from(Config::from_toml(text, "test", &[]).unwrap()).unwrap()
}

fn model() -> Model {
    Model::new(&ModelSpec::new("linear", [1, 3, 1], 2), 0, &Device::flex()).unwrap()
}

/// What the run of [`plan`] writes at `step`.
fn checkpoint(step: u64) -> Checkpoint {
    let filled = |value: f32| -> Vec<NamedTensor> {
        let mut tensors = parameters(&model());
        tensors.iter_mut().for_each(|tensor| tensor.values.fill(value));
        tensors
    };
    let (epoch, batch) = ((step / 4) as usize, (step % 4) as usize);
    let num_points = Trajectory::new(9, 8).num_points(epoch);
    let best = Best { epoch: epoch.saturating_sub(1), validation: Validation::default(), train: None };
    let mut model = filled(1.0);
    model[0].values = vec![-0.0, f32::MIN_POSITIVE, 1.5, -4.0, 1e-40, 3e38];
    Checkpoint {
        progress: Progress {
            step,
            epoch,
            batch,
            data_blake3: "abc".into(),
            totals: EpochTotals { num_samples: 8 * batch as u64, ..EpochTotals::default() },
            best: (epoch > 0).then_some(best),
            trajectory_steps: (0..num_points as u64).map(|point| 4 * point).collect(),
            ..Progress::default()
        },
        model,
        best: if epoch > 0 { filled(0.5) } else { Vec::new() },
        average: filled(0.75),
        velocity: filled(0.25),
        squares: Vec::new(),
        trajectory: vec![2.0; 8 * num_points],
    }
}

type Loaded = Result<Option<(Checkpoint, Vec<String>)>, CheckpointError>;

fn load(folder: &Path) -> Loaded {
    let start = Progress { data_blake3: "abc".into(), ..Progress::default() };
    load_newest(folder, &Fits::new(&plan().training, 9, &start, &model(), 4))
}

fn newest(folder: &Path) -> PathBuf {
    newest_first(folder).unwrap().remove(0).1
}

#[test]
fn the_newest_comes_back_bit_for_bit_and_old_ones_go() {
    let dir = tempfile::tempdir().unwrap();
    (1..=20).for_each(|step| {
        checkpoint(step).save(dir.path()).unwrap();
        let (loaded, damaged) = load(dir.path()).unwrap().unwrap();
        assert_eq!((loaded.progress, damaged), (checkpoint(step).progress, Vec::new()));
    });
    let (loaded, _) = load(dir.path()).unwrap().unwrap();
    // The file keeps no order.
    let bits = |tensors: Vec<NamedTensor>| -> BTreeMap<String, (Vec<usize>, Vec<u32>)> {
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
        tensors.into_iter().map(|tensor| (tensor.path, (tensor.shape, bits(tensor.values)))).collect()
    };
    let expected = checkpoint(20);
    for (loaded, expected) in [
        (loaded.model, expected.model),
        (loaded.best, expected.best),
        (loaded.average, expected.average),
        (loaded.velocity, expected.velocity),
    ] {
        assert_eq!(bits(loaded), bits(expected));
    }
    assert_eq!(loaded.trajectory, expected.trajectory);
    assert_eq!(newest_first(dir.path()).unwrap().len(), NUM_KEPT);
}

#[test]
fn any_flipped_bit_makes_the_older_one_win() {
    let dir = tempfile::tempdir().unwrap();
    checkpoint(1).save(dir.path()).unwrap();
    checkpoint(2).save(dir.path()).unwrap();
    let newest = newest(dir.path());
    let intact = fs::read(&newest).unwrap();
    for index in 0..intact.len() {
        let mut bytes = intact.clone();
        bytes[index] ^= 4;
        fs::write(&newest, &bytes).unwrap();
        let (loaded, damaged) = load(dir.path()).unwrap().unwrap();
        assert_eq!((loaded.progress.step, damaged.len()), (1, 1), "byte {index}");
    }
}

#[test]
fn truncation_is_found_at_every_length_and_nothing_intact_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    checkpoint(1).save(dir.path()).unwrap();
    let newest = newest(dir.path());
    let intact = fs::read(&newest).unwrap();
    for len in 0..intact.len() {
        fs::write(&newest, &intact[..len]).unwrap();
        assert!(matches!(load(dir.path()), Err(CheckpointError::AllDamaged { .. })), "length {len}");
    }
}

#[test]
fn what_is_no_file_is_passed_over_and_does_not_stop_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    checkpoint(6).save(dir.path()).unwrap();
    fs::create_dir(dir.path().join(checkpoint_name(7))).unwrap();
    fs::write(dir.path().join(checkpoint_name(7)).join("kept"), "").unwrap();
    let (loaded, damaged) = load(dir.path()).unwrap().unwrap();
    assert_eq!(loaded.progress.step, 6);
    assert!(damaged.len() == 1 && damaged[0].contains("is a folder"), "{damaged:?}");
    checkpoint(7).save(dir.path()).unwrap();
    assert_eq!(load(dir.path()).unwrap().unwrap().0.progress.step, 7);
    assert!(dir.path().join("step-000000000007.safetensors.folder/kept").exists());
}

#[test]
fn other_names_are_left_alone_and_push_nothing_out() {
    let dir = tempfile::tempdir().unwrap();
    let others = [
        "my-backup.safetensors",
        "x1.safetensors",
        "step-7.safetensors",
        "step-0000000000007.safetensors",
        "step--00000000007.safetensors",
        "step-+00000000007.safetensors",
        "step-000000000007.safetensors.bak",
        "zzz",
    ];
    for name in others {
        fs::write(dir.path().join(name), "not mentor's").unwrap();
    }
    // A name that mentor gives, of a step that the run has not come to.
    for step in [18, 19] {
        fs::write(dir.path().join(checkpoint_name(step)), "damaged").unwrap();
    }
    (1..=5).for_each(|step| checkpoint(step).save(dir.path()).unwrap());
    assert!(others.iter().all(|name| dir.path().join(name).exists()));
    let steps: Vec<u64> = newest_first(dir.path()).unwrap().iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [19, 18, 5, 4]);
    assert_eq!(load(dir.path()).unwrap().unwrap().0.progress.step, 5);
    assert_eq!(checkpoint_step("step-1000000000007.safetensors"), Some(1_000_000_000_007));
}

#[test]
fn a_whole_checkpoint_of_something_else_is_passed_over() {
    let tensor = |path: &str, shape: &[usize], value: f32| {
        NamedTensor::new(path, shape.to_vec(), vec![value; shape.iter().product()])
    };
    let name = parameters(&model())[0].path.clone();
    /// What is said, and of which change.
    type Change = (&'static str, Box<dyn Fn(&mut Checkpoint)>);
    let changes: Vec<Change> = vec![
        ("another network", Box::new(|it| it.model[0].shape.reverse())),
        ("another network", Box::new(|it| it.model.truncate(1))),
        ("another network", Box::new(move |it| it.model.push(tensor("more", &[1], 0.0)))),
        ("another network", Box::new(|it| it.best[0].path.push('x'))),
        ("another network", Box::new(|it| it.average[0].shape.push(1))),
        ("not finite", Box::new(|it| it.model[0].values[0] = f32::NAN)),
        ("not finite", Box::new(|it| it.best[0].values[0] = f32::INFINITY)),
        ("not finite", Box::new(|it| it.velocity[0].values[0] = f32::NAN)),
        ("lacks the best", Box::new(|it| it.best.clear())),
        ("lacks the average", Box::new(|it| it.average.clear())),
        ("should have none", Box::new(|it| it.progress.best = None)),
        ("of no parameter", Box::new(move |it| it.velocity[0] = tensor(&name, &[6], 0.0))),
        ("of no parameter", Box::new(move |it| it.velocity.push(tensor("more", &[1], 0.0)))),
        ("trajectory", Box::new(|it| it.trajectory.truncate(1))),
        ("trajectory", Box::new(|it| it.trajectory.clear())),
        ("trajectory", Box::new(|it| it.progress.trajectory_steps.push(5))),
        ("goes on after it", Box::new(|it| it.progress.trajectory_steps[0] = u64::MAX)),
        ("do not occur", Box::new(|it| it.progress.step = u64::MAX)),
        ("do not occur", Box::new(|it| it.progress.epoch = usize::MAX)),
        ("do not occur", Box::new(|it| it.progress.batch = usize::MAX)),
        (
            "do not occur",
            Box::new(|it| (it.progress.epoch, it.progress.batch, it.progress.step) = (10, 0, 40)),
        ),
        ("do not occur", Box::new(|it| (it.progress.epoch, it.progress.batch, it.progress.step) = (0, 6, 6))),
        ("not those of", Box::new(|it| it.progress.totals.num_samples = u64::MAX)),
        ("not those of", Box::new(|it| it.progress.totals.num_samples = 0)),
        ("not those of", Box::new(|it| it.progress.totals.num_correct = Some(1000))),
        ("no numbers", Box::new(|it| it.progress.wall_secs = -1.0)),
        ("null", Box::new(|it| it.progress.totals.data_loss = f64::NAN)),
        ("not been yet", Box::new(|it| it.progress.best.as_mut().unwrap().epoch = 9)),
    ];
    for (what, change) in changes {
        let dir = tempfile::tempdir().unwrap();
        checkpoint(5).save(dir.path()).unwrap();
        let mut changed = checkpoint(6);
        change(&mut changed);
        changed.save(dir.path()).unwrap();
        let (loaded, damaged) = load(dir.path()).unwrap().unwrap();
        assert_eq!(loaded.progress.step, 5, "{what}");
        assert!(damaged.len() == 1 && damaged[0].contains(what), "{what}: {damaged:?}");
    }
}
