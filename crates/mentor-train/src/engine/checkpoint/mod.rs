//! Checkpoints: the whole state between two updates, in one file that is whole or not there.
//!
//! A checkpoint is a safetensors file. Tensors are named `model/PATH`, `best/PATH`, `velocity/PATH`,
//! `squares/PATH`, `average/PATH` and `trajectory`; its metadata holds the progress as JSON and the blake3 of
//! everything else. The newest one that is intact and fits the run is loaded. Files of other names in the
//! folder are not mentor's, and are left alone.

mod error;
mod fits;
pub(crate) mod state;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use mentor_model::NamedTensor;
use mentor_run::files::{beside, io, read_plain, replace};
use mentor_run::{RunDirError, checkpoint_name, checkpoint_step};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

pub use error::CheckpointError;
pub(crate) use fits::Fits;
pub(crate) use state::Checkpoint;

/// Checkpoints kept, so that a damaged newest one costs little.
const NUM_KEPT: usize = 2;

impl Checkpoint {
    /// Writes the checkpoint into `folder`, then deletes those that are no longer kept.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), CheckpointError> {
        let mut tensors: Vec<(String, &[usize], &[f32])> = Vec::new();
        for (prefix, parameters) in [
            ("model", &self.model),
            ("best", &self.best),
            ("average", &self.average),
            ("velocity", &self.velocity),
            ("squares", &self.squares),
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
            squares: Vec::new(),
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
                Some(("squares", path)) => checkpoint.squares.push(named(path)),
                _ if name == "trajectory" => checkpoint.trajectory = values,
                _ => return Err(format!("it has an unknown tensor {name}")),
            }
        }
        Ok(checkpoint)
    }
}

/// Loads the newest checkpoint of `folder` that is intact and fits the run, if there is any checkpoint;
/// with it, what is wrong with newer ones.
pub(crate) fn load_newest(
    folder: &Path,
    run: &Fits<'_>,
) -> Result<Option<(Checkpoint, Vec<String>)>, CheckpointError> {
    let mut damaged = Vec::new();
    for (_, path) in newest_first(folder)? {
        let loaded = read_plain(&path, run.max_bytes())
            .map_err(|error| error.to_string())
            .and_then(|bytes| Checkpoint::parse(&bytes))
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

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
}
