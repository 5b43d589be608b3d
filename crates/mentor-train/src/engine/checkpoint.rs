//! Checkpoints: the whole state between two updates, in one file that is whole or not there.
//!
//! A checkpoint is a safetensors file. Tensors are named `model/PATH`, `best/PATH`, `velocity/PATH`,
//! `average/PATH` and `trajectory`; its metadata holds the progress as JSON and the blake3 of everything else. The newest
//! one that is intact is loaded.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use mentor_model::NamedTensor;
use mentor_run::RunDirError;
use mentor_run::files::write_alone;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::engine::validation::Validation;

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
    /// None of the checkpoints is intact.
    #[error("{}: all checkpoints are damaged ({reason}); delete the run directory to start again", path.display())]
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
        write_alone(&folder.join(format!("step-{:012}.safetensors", self.progress.step)), &file)?;
        for old in newest_first(folder)?.iter().skip(NUM_KEPT) {
            // A file that cannot be deleted costs space, not correctness.
            let _ = fs::remove_file(old);
        }
        Ok(())
    }

    /// Loads the newest intact checkpoint of `folder`, if there is any checkpoint; with it, what is wrong
    /// with newer ones.
    pub(crate) fn load_newest(folder: &Path) -> Result<Option<(Self, Vec<String>)>, CheckpointError> {
        let mut damaged = Vec::new();
        for path in newest_first(folder)? {
            let bytes = fs::read(&path).map_err(mentor_run::files::io(&path, "read"))?;
            match Self::parse(&bytes) {
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

fn newest_first(folder: &Path) -> Result<Vec<PathBuf>, RunDirError> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(mentor_run::files::io(folder, "read"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    paths.sort_unstable_by(|left, right| right.cmp(left));
    Ok(paths)
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(step: u64) -> Checkpoint {
        Checkpoint {
            progress: Progress { step, epoch: 3, data_blake3: "abc".into(), ..Progress::default() },
            model: vec![NamedTensor::new("head.weight", vec![2, 2], vec![1.0, -0.0, f32::MIN_POSITIVE, 4.0])],
            best: vec![NamedTensor::new("head.weight", vec![2, 2], vec![0.5; 4])],
            average: vec![NamedTensor::new("head.weight", vec![2, 2], vec![0.75; 4])],
            velocity: vec![NamedTensor::new("head.weight", vec![2, 2], vec![0.25; 4])],
            trajectory: vec![1.0, 2.0, 3.0],
        }
    }

    #[test]
    fn the_newest_comes_back_bit_for_bit_and_old_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        (1..=5).for_each(|step| checkpoint(step).save(dir.path()).unwrap());
        let (loaded, damaged) = Checkpoint::load_newest(dir.path()).unwrap().unwrap();
        assert_eq!((loaded.progress.clone(), damaged.len()), (checkpoint(5).progress, 0));
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&loaded.model[0].values), bits(&checkpoint(5).model[0].values));
        assert_eq!((loaded.velocity, loaded.average), (checkpoint(5).velocity, checkpoint(5).average));
        assert_eq!(loaded.trajectory, [1.0, 2.0, 3.0]);
        assert_eq!(newest_first(dir.path()).unwrap().len(), NUM_KEPT);
    }

    #[test]
    fn any_flipped_bit_makes_the_older_one_win() {
        let dir = tempfile::tempdir().unwrap();
        checkpoint(1).save(dir.path()).unwrap();
        checkpoint(2).save(dir.path()).unwrap();
        let newest = newest_first(dir.path()).unwrap().remove(0);
        let intact = fs::read(&newest).unwrap();
        for index in 0..intact.len() {
            let mut bytes = intact.clone();
            bytes[index] ^= 4;
            fs::write(&newest, &bytes).unwrap();
            let (loaded, damaged) = Checkpoint::load_newest(dir.path()).unwrap().unwrap();
            assert_eq!((loaded.progress.step, damaged.len()), (1, 1), "byte {index}");
        }
    }

    #[test]
    fn truncation_is_found_at_every_length_and_nothing_intact_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        checkpoint(1).save(dir.path()).unwrap();
        let newest = newest_first(dir.path()).unwrap().remove(0);
        let intact = fs::read(&newest).unwrap();
        for len in 0..intact.len() {
            fs::write(&newest, &intact[..len]).unwrap();
            let result = Checkpoint::load_newest(dir.path());
            assert!(matches!(result, Err(CheckpointError::AllDamaged { .. })), "length {len}");
        }
    }
}
