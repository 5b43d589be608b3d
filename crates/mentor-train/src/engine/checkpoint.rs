//! Checkpoints: the whole state between two updates, in one file that is whole or not there.
//!
//! A checkpoint is a safetensors file. Tensors are named `model/PATH`, `best/PATH`, `velocity/PATH`,
//! `average/PATH` and `trajectory`; its metadata holds the progress as JSON and the blake3 of everything
//! else. The newest one that is intact and fits the run is loaded. Files of other names in the folder are not
//! mentor's, and are left alone.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use mentor_data::shown_path;
use mentor_model::{Model, NamedTensor, parameters};
use mentor_run::files::{MAX_HEADER, beside, io, read_plain, replace};
use mentor_run::{RunDirError, checkpoint_name, checkpoint_step};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::analysis::trajectory::{MAX_VALUES, Trajectory};
use crate::engine::validation::Validation;
use crate::plan::Plan;

/// Checkpoints kept, so that a damaged newest one costs little.
const NUM_KEPT: usize = 2;

/// Where a run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Epoch under way, from 0.
    pub(crate) epoch: usize,
    /// Batches of it that are done.
    pub(crate) batch: usize,
    /// Updates done.
    pub(crate) step: u64,
    /// Sums over the batches of the epoch under way.
    pub(crate) totals: EpochTotals,
    /// Training loss and accuracy of the last whole epoch.
    pub(crate) last_train: (f64, Option<f64>),
    /// The best epoch so far.
    pub(crate) best: Option<Best>,
    /// Why training has ended, once it has.
    pub(crate) stopped: Option<String>,
    /// Seconds spent so far, over all continuations.
    pub(crate) wall_secs: f64,
    /// Fingerprint of the training and validation data.
    pub(crate) data_blake3: String,
    /// Hash of what else is learned from, such as teachers.
    #[serde(default)]
    pub(crate) lessons_blake3: String,
    /// Updates done at each row of the trajectory.
    pub(crate) trajectory_steps: Vec<u64>,
}

/// Sums over the batches of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EpochTotals {
    pub(crate) num_samples: u64,
    /// Absent for embeddings.
    pub(crate) num_correct: Option<u64>,
    pub(crate) data_loss: f64,
    /// λ R(W) of the weights that each sample's update started from.
    #[serde(default)]
    pub(crate) penalty: f64,
    pub(crate) train_secs: f64,
    pub(crate) loader_wait_secs: f64,
    /// Sum and weight of each measure of the recipe.
    pub(crate) measures: BTreeMap<String, (f64, f64)>,
}

impl EpochTotals {
    /// The mean of each measure that has a weight.
    pub(crate) fn means(&self) -> BTreeMap<String, f64> {
        let weighed = self.measures.iter().filter(|(_, (_, weight))| *weight > 0.0);
        weighed.map(|(name, (sum, weight))| (name.clone(), sum / weight)).collect()
    }
}

/// The best epoch so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    /// From 0.
    pub(crate) epoch: usize,
    pub(crate) validation: Validation,
    /// Training loss and accuracy of that epoch; absent in older checkpoints.
    #[serde(default)]
    pub(crate) train: Option<(f64, Option<f64>)>,
}

/// The state between two updates.
pub(crate) struct Checkpoint {
    pub(crate) progress: Progress,
    pub(crate) model: Vec<NamedTensor>,
    /// Weights of the best epoch; empty before the first validation.
    pub(crate) best: Vec<NamedTensor>,
    /// Moving average of the weights; empty where none is kept.
    pub(crate) average: Vec<NamedTensor>,
    /// Velocity of each parameter; empty without momentum.
    pub(crate) velocity: Vec<NamedTensor>,
    /// Flattened weights after some epochs, one after the other.
    pub(crate) trajectory: Vec<f32>,
}

/// What can go wrong with checkpoints.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// None of the checkpoints can be used.
    #[error("{}: all checkpoints are damaged ({reason})", shown_path(path))]
    AllDamaged {
        /// The folder of the checkpoints.
        path: PathBuf,
        /// What is wrong with the newest.
        reason: String,
    },
    /// A checkpoint could not be written or read.
    #[error(transparent)]
    Io(#[from] RunDirError),
}

impl CheckpointError {
    /// What to do next, as [`DataError::help`](mentor_data::DataError::help) says it.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        match self {
            Self::AllDamaged { .. } => vec!["delete the run directory to start again".to_owned()],
            Self::Io(error) => error.help(),
        }
    }
}

impl Checkpoint {
    /// Writes the checkpoint into `folder`, then deletes those that are no longer kept.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), CheckpointError> {
        let mut tensors: Vec<(String, &[usize], &[f32])> = Vec::new();
        for (prefix, parameters) in [
            ("model", &self.model),
            ("best", &self.best),
            ("average", &self.average),
            ("velocity", &self.velocity),
        ] {
            for tensor in parameters {
                tensors.push((format!("{prefix}/{}", tensor.path), &tensor.shape, &tensor.values));
            }
        }
        let trajectory_shape = [self.trajectory.len()];
        tensors.push(("trajectory".to_owned(), &trajectory_shape, &self.trajectory));
        let bytes: Vec<Vec<u8>> = tensors.iter().map(|(_, _, values)| little_endian(values)).collect();
        let views: Vec<(String, TensorView<'_>)> = tensors
            .iter()
            .zip(&bytes)
            .map(|((name, shape, _), bytes)| {
                let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes);
                (name.clone(), view.expect("a tensor has as many values as its shape says"))
            })
            .collect();
        let progress = serde_json::to_string(&self.progress).expect("plain data");
        let mut metadata = HashMap::new();
        metadata.insert("blake3".to_owned(), digest(&progress, &views));
        metadata.insert("progress".to_owned(), progress);
        let file = safetensors::serialize(views, Some(metadata)).expect("names and shapes are valid");
        let step = self.progress.step;
        let path = folder.join(checkpoint_name(step));
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
            // No checkpoint is a folder; it was passed over, and must not stop the run now. Where it cannot
            // be moved, writing says so.
            let _ = fs::rename(&path, beside(&path, ".folder"));
        }
        replace(&path, &file)?;
        // Newer ones were passed over, so that they would push out those that can be used.
        let until_now = newest_first(folder)?.into_iter().filter(|(other, _)| *other <= step);
        for (_, old) in until_now.skip(NUM_KEPT) {
            // A file that cannot be deleted costs space, not correctness.
            let _ = fs::remove_file(old);
        }
        Ok(())
    }

    /// Loads the newest checkpoint of `folder` that is intact and fits the run, if there is any checkpoint;
    /// with it, what is wrong with newer ones.
    pub(crate) fn load_newest(
        folder: &Path,
        run: &Fits<'_>,
    ) -> Result<Option<(Self, Vec<String>)>, CheckpointError> {
        let mut damaged = Vec::new();
        for (_, path) in newest_first(folder)? {
            let loaded = read_plain(&path, run.max_bytes())
                .map_err(|error| error.to_string())
                .and_then(|bytes| Self::parse(&bytes))
                .and_then(|checkpoint| run.check(&checkpoint).map(|()| checkpoint));
            match loaded {
                Ok(checkpoint) => return Ok(Some((checkpoint, damaged))),
                Err(reason) => {
                    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    damaged.push(format!("{name}: {reason}"));
                }
            }
        }
        match damaged.into_iter().next() {
            None => Ok(None),
            Some(reason) => Err(CheckpointError::AllDamaged { path: folder.to_owned(), reason }),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
        let metadata = header.metadata().as_ref().ok_or("it has no metadata")?;
        let field = |name: &str| metadata.get(name).ok_or(format!("it has no {name}"));
        let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        let views = file.tensors();
        if digest(field("progress")?, &views) != *field("blake3")? {
            return Err("its checksum does not match".to_owned());
        }
        let progress = serde_json::from_str(field("progress")?).map_err(|error| error.to_string())?;
        let mut checkpoint = Self {
            progress,
            model: Vec::new(),
            best: Vec::new(),
            average: Vec::new(),
            velocity: Vec::new(),
            trajectory: Vec::new(),
        };
        for (name, view) in &views {
            if view.dtype() != Dtype::F32 {
                return Err(format!("its tensor {name} is stored as {}, not F32", view.dtype()));
            }
            let values = floats(view.data());
            let shape = view.shape().to_vec();
            let named = |path: &str| NamedTensor::new(path, shape.clone(), values.clone());
            match name.split_once('/') {
                Some(("model", path)) => checkpoint.model.push(named(path)),
                Some(("best", path)) => checkpoint.best.push(named(path)),
                Some(("average", path)) => checkpoint.average.push(named(path)),
                Some(("velocity", path)) => checkpoint.velocity.push(named(path)),
                _ if name == "trajectory" => checkpoint.trajectory = values,
                _ => return Err(format!("it has an unknown tensor {name}")),
            }
        }
        Ok(checkpoint)
    }
}

/// blake3 over the progress and over each tensor's name, shape and bytes, in order of the names.
fn digest(progress: &str, views: &[(String, TensorView<'_>)]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(progress.as_bytes());
    let mut order: Vec<&(String, TensorView<'_>)> = views.iter().collect();
    order.sort_by(|left, right| left.0.cmp(&right.0));
    for (name, view) in order {
        hasher.update(name.as_bytes());
        hasher.update(format!("{:?}", view.shape()).as_bytes());
        hasher.update(view.data());
    }
    hasher.finalize().to_hex().to_string()
}

/// The checkpoints of `folder`, each with its step.
fn newest_first(folder: &Path) -> Result<Vec<(u64, PathBuf)>, RunDirError> {
    let mut found: Vec<(u64, PathBuf)> = fs::read_dir(folder)
        .map_err(io(folder, "read"))?
        .flatten()
        .filter_map(|entry| Some((checkpoint_step(entry.file_name().to_str()?)?, entry.path())))
        .collect();
    found.sort_unstable_by(|left, right| right.cmp(left));
    Ok(found)
}

/// The run that a checkpoint is to continue.
pub(crate) struct Fits<'a> {
    plan: &'a Plan,
    /// Those of the plan, or more of them on few images.
    epochs: usize,
    /// The run at its start.
    start: &'a Progress,
    batches_per_epoch: usize,
    /// Tensors of the network, with any values.
    tensors: Vec<NamedTensor>,
}

impl<'a> Fits<'a> {
    /// `model` is one of the run's network.
    pub(crate) fn new(
        plan: &'a Plan,
        epochs: usize,
        start: &'a Progress,
        model: &Model,
        batches_per_epoch: usize,
    ) -> Self {
        Self { plan, epochs, start, batches_per_epoch, tensors: parameters(model) }
    }

    fn num_values(&self) -> usize {
        self.tensors.iter().map(|tensor| tensor.values.len()).sum()
    }

    /// Values of the parameters, which running statistics are not.
    fn num_params(&self) -> usize {
        let trainable = self.tensors.iter().filter(|tensor| tensor.trainable);
        trainable.map(|tensor| tensor.values.len()).sum()
    }

    /// What a checkpoint may have: the network four times, the trajectory, and names.
    fn max_bytes(&self) -> u64 {
        let values = 4 * self.num_values() as u64 + MAX_VALUES as u64;
        values * size_of::<f32>() as u64 + MAX_HEADER
    }

    /// What of the checkpoint is not of this run, or of no run. One of other data, or of other teachers, is
    /// no damage: whoever loads it says so.
    fn check(&self, checkpoint: &Checkpoint) -> Result<(), String> {
        let Checkpoint { progress, model, best, average, velocity, trajectory } = checkpoint;
        let learned_from =
            |progress: &Progress| (progress.data_blake3.clone(), progress.lessons_blake3.clone());
        if learned_from(progress) != learned_from(self.start) {
            return Ok(());
        }
        self.check_progress(progress)?;
        self.check_all("model", model)?;
        let present = |what: &str, tensors: &[NamedTensor], wanted: bool| match tensors.is_empty() {
            empty if empty != wanted => Ok(()),
            true => Err(format!("it lacks the {what} weights")),
            false => Err(format!("it has {what} weights, and should have none")),
        };
        present("best", best, progress.best.is_some())?;
        present("average", average, self.plan.ema > 0.0)?;
        for (what, tensors) in [("best", best), ("average", average)] {
            if !tensors.is_empty() {
                self.check_all(what, tensors)?;
            }
        }
        // Before the first update and without momentum there is none.
        let known = |velocity: &NamedTensor| {
            self.tensors
                .iter()
                .any(|own| own.trainable && own.path == velocity.path && own.shape == velocity.shape)
        };
        if let Some(other) = velocity.iter().find(|velocity| !known(velocity)) {
            return Err(format!("its velocity {} {:?} is of no parameter", other.path, other.shape));
        }
        finite("velocity", velocity)?;
        let (points, values) = (progress.trajectory_steps.len(), trajectory.len());
        let wanted = Trajectory::new(self.epochs, self.num_params()).num_points(progress.epoch);
        if points != wanted || Some(values) != points.checked_mul(self.num_params()) {
            return Err(format!("its trajectory has {points} points and {values} values"));
        }
        Ok(())
    }

    /// That these are the tensors of the network, and hold numbers.
    fn check_all(&self, what: &str, tensors: &[NamedTensor]) -> Result<(), String> {
        let shapes = |tensors: &'_ [NamedTensor]| -> BTreeMap<String, Vec<usize>> {
            tensors.iter().map(|tensor| (tensor.path.clone(), tensor.shape.clone())).collect()
        };
        if shapes(tensors) != shapes(&self.tensors) {
            return Err(format!("its {what} weights are those of another network"));
        }
        finite(what, tensors)
    }

    /// That the counters are those of one moment of the run.
    fn check_progress(&self, progress: &Progress) -> Result<(), String> {
        let Progress { epoch, batch, step, totals, best, trajectory_steps, wall_secs, .. } = progress;
        let updates = match self.plan.optimizer.full_batch {
            true => Some(*epoch as u64),
            false => (*epoch as u64).checked_mul(self.batches_per_epoch as u64),
        };
        let updates = updates.and_then(|updates| updates.checked_add(*batch as u64));
        let within = *batch < self.batches_per_epoch && (*batch == 0 || !self.plan.optimizer.full_batch);
        let over = *epoch > self.epochs || (*epoch == self.epochs && *batch > 0);
        if over || !within || updates != Some(*step) {
            return Err(format!("epoch {epoch}, batch {batch} and step {step} do not occur in this run"));
        }
        let EpochTotals {
            num_samples,
            num_correct,
            data_loss,
            penalty,
            train_secs,
            loader_wait_secs,
            measures,
        } = totals;
        let seconds = [wall_secs, train_secs, loader_wait_secs];
        let mut sums = measures.values().flat_map(|(sum, weight)| [sum, weight]).chain([data_loss, penalty]);
        if seconds.iter().any(|secs| !(secs.is_finite() && **secs >= 0.0)) || !sums.all(|sum| sum.is_finite())
        {
            return Err("its sums and seconds are no numbers".to_owned());
        }
        if (*num_samples > 0) != (*batch > 0)
            || *num_samples > MAX_SAMPLES
            || num_correct.is_some_and(|num| num > *num_samples)
        {
            return Err(format!("{num_samples} samples are not those of {batch} batches"));
        }
        if best.as_ref().is_some_and(|best| best.epoch >= *epoch) {
            return Err("its best epoch has not been yet".to_owned());
        }
        match trajectory_steps.iter().any(|point| point > step) {
            true => Err("its trajectory goes on after it".to_owned()),
            false => Ok(()),
        }
    }
}

/// Samples of an epoch, at most: each has an index of 32 bits, and an epoch of triplets has three for each.
const MAX_SAMPLES: u64 = 1 << 40;

fn finite(what: &str, tensors: &[NamedTensor]) -> Result<(), String> {
    let wrong = |tensor: &&NamedTensor| !tensor.values.iter().all(|value| value.is_finite());
    match tensors.iter().find(wrong) {
        Some(tensor) => Err(format!("its {what} {} holds a number that is not finite", tensor.path)),
        None => Ok(()),
    }
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use mentor_model::ModelSpec;
    use mentor_run::Config;

    use super::*;

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
            trajectory: vec![2.0; 8 * num_points],
        }
    }

    type Loaded = Result<Option<(Checkpoint, Vec<String>)>, CheckpointError>;

    fn load(folder: &Path) -> Loaded {
        let start = Progress { data_blake3: "abc".into(), ..Progress::default() };
        Checkpoint::load_newest(folder, &Fits::new(&plan(), 9, &start, &model(), 4))
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
            (
                "do not occur",
                Box::new(|it| (it.progress.epoch, it.progress.batch, it.progress.step) = (0, 6, 6)),
            ),
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
}
