//! Training from the weights of another run, or of a file, in place of random ones.

use std::path::Path;

use burn::tensor::Device;
use mentor_data::shown_path;
use mentor_model::{Head, Model, TensorNames, init_from, tensor_shapes, tensors_of};
use mentor_run::RunDir;
use mentor_run::files::{MAX_HEADER, read_named};

use crate::inference::model_file::ModelFile;
use crate::inference::trained_model::{LoadError, MAX_WEIGHTS};

/// What the parameters of the last layer begin with, in all of mentor's families.
const HEAD: &str = "head";

/// A network with its first weights.
#[derive(Clone, Debug)]
pub struct FirstWeights {
    /// The network.
    pub model: Model,
    /// What its user should hear: that the head begins anew, and why.
    pub notes: Vec<String>,
}

/// `model` with the weights of `from`: a run directory, or a safetensors file whose tensors `names` maps to
/// the model's. `classes` are those of the data that the model is for.
///
/// Every tensor of both sides finds its counterpart or is named in `names`. The head keeps the values that it
/// has in `model` if `from` is for other classes: a run by their names, a file by their number.
///
/// # Errors
///
/// If `from` cannot be read, or its tensors are not those of the model in name, shape and type.
pub fn first_weights(
    model: Model,
    from: &Path,
    names: &TensorNames,
    classes: &[String],
) -> Result<FirstWeights, LoadError> {
    let (bytes, reason) = match from.is_dir() {
        true => of_run(&model, from, classes)?,
        false => of_file(&model, from, names)?,
    };
    let (mut names, mut notes) = (names.clone(), Vec::new());
    if let Some(reason) = reason {
        names.keep.push(HEAD.to_owned());
        notes.push(format!("{}: {reason}: the head begins with random weights", shown_path(from)));
    }
    Ok(FirstWeights { model: init_from(model, &bytes, &names)?, notes })
}

/// The weights of a run, and why its head cannot serve.
fn of_run(model: &Model, run: &Path, classes: &[String]) -> Result<(Vec<u8>, Option<String>), LoadError> {
    let run_dir = RunDir::open(run)?;
    let file = ModelFile::read(&run_dir)?;
    // Of a network of the caller's own only its name is known, and its size must be about that of the model.
    let there = Model::new(&file.spec, 0, &Device::flex()).unwrap_or_else(|_| model.clone());
    let num_values: usize =
        tensor_shapes(&there).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    let bytes = run_dir.weights((num_values * size_of::<f32>()) as u64 + MAX_HEADER)?;
    let reason = match (file.spec.head, model.spec().head) {
        (Head::Classifier { .. }, Head::Classifier { .. }) if file.classes == classes => None,
        (Head::Classifier { num_classes: there }, Head::Classifier { num_classes: here })
            if there != here =>
        {
            Some(format!("it tells {there} classes apart, and the data has {here}"))
        }
        (Head::Classifier { .. }, Head::Classifier { .. }) => Some("its classes have other names".to_owned()),
        (there, here) if there == here => None,
        _ => Some("its head is of another kind or size".to_owned()),
    };
    Ok((bytes, reason))
}

/// The bytes of a file, and why its head cannot serve: it has another number of outputs.
fn of_file(model: &Model, path: &Path, names: &TensorNames) -> Result<(Vec<u8>, Option<String>), LoadError> {
    let bytes = read_named(path, MAX_WEIGHTS)?;
    let weight = format!("{HEAD}.weight");
    let shape_in = |tensors: &[(String, Vec<usize>)]| {
        tensors.iter().find(|(name, _)| *name == weight).map(|(_, shape)| shape.clone())
    };
    let found: Vec<(String, Vec<usize>)> = tensors_of(&bytes)?
        .into_iter()
        .filter_map(|(name, shape)| Some((names.renamed(&name)?, shape)))
        .collect();
    let reason = match (shape_in(&found), shape_in(&tensor_shapes(model))) {
        (Some(there), Some(here)) if there.len() == 2 && there[0] == here[0] && there[1] != here[1] => {
            Some(format!("its head has {} outputs, and the model's {}", there[1], here[1]))
        }
        _ => None,
    };
    Ok((bytes, reason))
}
