//! Weights in and out: named tensors, safetensors bytes, and a hash of them.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::layers::{is_running_statistic, is_running_variance};
use crate::shapes::{begins_with, tensor_shapes};
use crate::{Model, ModelError};

/// One tensor of a model, on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Path in the network, such as `blocks.0.conv1.weight`.
    pub path: String,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
    /// False for the running statistics of batch normalisation.
    pub trainable: bool,
}

impl NamedTensor {
    /// A tensor of a model; its path says whether it is trainable.
    ///
    /// # Panics
    ///
    /// If there are not as many values as the shape says.
    pub fn new(path: impl Into<String>, shape: Vec<usize>, values: Vec<f32>) -> Self {
        let path = path.into();
        assert_eq!(shape.iter().product::<usize>(), values.len(), "{path}: shape {shape:?}");
        let trainable = !is_running_statistic(&path);
        Self { path, shape, values, trainable }
    }

    /// Whether L1 and L2 apply to it: a trainable tensor for which [`is_penalised`] holds.
    pub fn is_penalised(&self) -> bool {
        self.trainable && is_penalised(&self.shape)
    }
}

/// Whether L1 and L2 apply to a parameter of this shape: weights, and a transformer's positions, have two
/// axes or more, while biases and the parameters of a normalisation have one and are never penalised.
pub fn is_penalised(shape: &[usize]) -> bool {
    shape.len() >= 2
}

/// All tensors of the model in the order of its layers, running statistics included. Reads them from the
/// device.
pub fn parameters(model: &Model) -> Vec<NamedTensor> {
    let mut reader = Reader::default();
    model.visit(&mut reader);
    reader.tensors
}

/// The model's tensors as the bytes of a safetensors file: F32, little-endian, sorted by path, no metadata.
/// Equal weights give equal bytes.
///
/// # Errors
///
/// None for a model of this crate; [`ModelError::DamagedFile`] if the format's limits were exceeded.
pub fn to_safetensors(model: &Model) -> Result<Vec<u8>, ModelError> {
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = parameters(model)
        .into_iter()
        .map(|tensor| (tensor.path, tensor.shape, bytes_of(&tensor.values)))
        .collect();
    let damaged = |error: safetensors::SafeTensorError| ModelError::DamagedFile { reason: error.to_string() };
    let views = tensors
        .iter()
        .map(|(path, shape, bytes)| Ok((path, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(damaged)?;
    safetensors::serialize(views, None).map_err(damaged)
}

/// The model with the weights of a safetensors file.
///
/// # Errors
///
/// A file that is cut short or damaged; a tensor that is missing, unknown, of another shape or of another
/// type than F32; a value that is not finite, or a negative running variance. The file holds the model's
/// tensors exactly, or it is refused.
pub fn load_safetensors(model: Model, bytes: &[u8]) -> Result<Model, ModelError> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| ModelError::DamagedFile { reason: error.to_string() })?;
    let found = file.iter().map(|(path, view)| (path.to_string(), view)).collect();
    let wanted = tensor_shapes(&model);
    fill(model, wanted, found)
}

/// Which tensor of a file becomes which of a model, where they are not the same by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TensorNames {
    /// What names in the file begin with, and what stands for it in the model. Of those that fit a name the
    /// first is taken; a beginning is of whole names, as `blocks.1` of `blocks.1.weight`. An empty one fits
    /// every name.
    pub rename: Vec<(String, String)>,
    /// Beginnings of names in the file, before they are renamed, that are not used.
    pub skip: Vec<String>,
    /// Beginnings of names in the model that keep their first values, whether or not the file has such
    /// tensors.
    pub keep: Vec<String>,
}

impl TensorNames {
    /// The name in the model of a tensor of the file; `None` if it is skipped.
    pub fn renamed(&self, path: &str) -> Option<String> {
        if self.skip.iter().any(|prefix| begins_with(path, prefix)) {
            return None;
        }
        let fits = |(from, _): &&(String, String)| from.is_empty() || begins_with(path, from);
        let Some((from, to)) = self.rename.iter().find(fits) else { return Some(path.to_owned()) };
        let rest = path[from.len()..].trim_start_matches('.');
        let parts = [to.as_str(), rest];
        Some(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("."))
    }
}

/// The model with the weights of a safetensors file of a network that need not be quite the same, to start
/// training from.
///
/// Every tensor of the file is used, named in [`TensorNames::skip`], or one that the model keeps as it is;
/// every tensor of the model is in the file or named in [`TensorNames::keep`]. What is left over is a mistake
/// in a name, and an error.
///
/// # Errors
///
/// As [`load_safetensors`]; [`ModelError::SameTensor`] if two tensors of the file become one.
///
/// ```
/// use burn::tensor::Device;
/// use mentor_model::{Model, ModelSpec, TensorNames, init_from, parameters, to_safetensors};
///
/// let spec = |classes| ModelSpec::new("mlp:8", [1, 4, 4], classes);
/// let model = |seed, classes| Model::new(&spec(classes), seed, &Device::flex());
/// let file = to_safetensors(&model(1, 10)?)?;
///
/// // Three classes instead of ten: the head starts anew.
/// let names = TensorNames { keep: vec!["head".to_owned()], ..TensorNames::default() };
/// let started = init_from(model(2, 3)?, &file, &names)?;
/// assert_eq!(parameters(&started)[0], parameters(&model(1, 10)?)[0]);
/// assert!(init_from(model(2, 3)?, &file, &TensorNames::default()).is_err());
/// # Ok::<(), mentor_model::ModelError>(())
/// ```
pub fn init_from(model: Model, bytes: &[u8], names: &TensorNames) -> Result<Model, ModelError> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| ModelError::DamagedFile { reason: error.to_string() })?;
    let mut found = BTreeMap::new();
    for (path, view) in file.iter() {
        let Some(renamed) = names.renamed(path) else { continue };
        if found.insert(renamed.clone(), view).is_some() {
            return Err(ModelError::SameTensor { path: renamed });
        }
    }
    let keeps = |path: &String| names.keep.iter().any(|prefix| begins_with(path, prefix));
    found.retain(|path, _| !keeps(path));
    let wanted = tensor_shapes(&model).into_iter().filter(|(path, _)| !keeps(path)).collect();
    fill(model, wanted, found)
}

/// Name and shape of every tensor of a safetensors file, in the order of their names.
///
/// # Errors
///
/// [`ModelError::DamagedFile`].
pub fn tensors_of(bytes: &[u8]) -> Result<Vec<(String, Vec<usize>)>, ModelError> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| ModelError::DamagedFile { reason: error.to_string() })?;
    let mut found: Vec<_> =
        file.iter().map(|(path, view)| (path.to_owned(), view.shape().to_vec())).collect();
    found.sort();
    Ok(found)
}

/// The model with these tensors, all of which it wants.
fn fill(
    model: Model,
    wanted: Vec<(String, Vec<usize>)>,
    mut found: BTreeMap<String, TensorView<'_>>,
) -> Result<Model, ModelError> {
    let mut values = BTreeMap::new();
    for (path, expected) in wanted {
        let view = found.remove(&path).ok_or_else(|| ModelError::MissingTensor { path: path.clone() })?;
        values.insert(path.clone(), checked_values(path, expected, &view)?);
    }
    if let Some(path) = found.into_keys().next() {
        return Err(ModelError::UnknownTensor { path });
    }
    Ok(model.map(&mut Writer { path: Vec::new(), values }))
}

/// The model with other values: the inverse of [`parameters`].
///
/// # Errors
///
/// A tensor that is missing, unknown or of another shape.
pub fn with_parameters(model: Model, tensors: Vec<NamedTensor>) -> Result<Model, ModelError> {
    let mut given: BTreeMap<String, NamedTensor> =
        tensors.into_iter().map(|tensor| (tensor.path.clone(), tensor)).collect();
    let mut values = BTreeMap::new();
    for (path, expected) in tensor_shapes(&model) {
        let tensor = given.remove(&path).ok_or_else(|| ModelError::MissingTensor { path: path.clone() })?;
        if tensor.shape != expected {
            return Err(ModelError::WrongShape { path, expected, found: tensor.shape });
        }
        values.insert(path, TensorData::new(tensor.values, expected));
    }
    if let Some(path) = given.into_keys().next() {
        return Err(ModelError::UnknownTensor { path });
    }
    Ok(model.map(&mut Writer { path: Vec::new(), values }))
}

/// blake3, in hexadecimal, of every tensor in sorted order: length and bytes of the path, number of axes and
/// their lengths, values; numbers as little-endian u64, values as little-endian f32.
pub fn weights_blake3(model: &Model) -> String {
    let mut tensors = parameters(model);
    tensors.sort_by(|left, right| left.path.cmp(&right.path));
    let mut hasher = blake3::Hasher::new();
    for tensor in tensors {
        let number = |value: usize| (value as u64).to_le_bytes();
        hasher.update(&number(tensor.path.len())).update(tensor.path.as_bytes());
        hasher.update(&number(tensor.shape.len()));
        for side in tensor.shape {
            hasher.update(&number(side));
        }
        hasher.update(&bytes_of(&tensor.values));
    }
    hasher.finalize().to_hex().to_string()
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn checked_values(
    path: String,
    expected: Vec<usize>,
    view: &TensorView<'_>,
) -> Result<TensorData, ModelError> {
    if view.dtype() != Dtype::F32 {
        return Err(ModelError::WrongDtype { path, found: view.dtype().to_string() });
    }
    if view.shape() != expected {
        return Err(ModelError::WrongShape { path, expected, found: view.shape().to_vec() });
    }
    let mut values = Vec::with_capacity(view.data().len() / 4);
    for (position, bytes) in view.data().chunks_exact(4).enumerate() {
        let value = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        if !value.is_finite() || (is_running_variance(&path) && value < 0.0) {
            return Err(ModelError::InvalidValue { path, position, value });
        }
        values.push(value);
    }
    Ok(TensorData::new(values, expected))
}

#[derive(Default)]
struct Reader {
    path: Vec<String>,
    tensors: Vec<NamedTensor>,
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        let tensor = param.val();
        let shape = tensor.dims().to_vec();
        // A device sync. Models are f32 throughout, so the conversion changes nothing.
        let values = tensor.into_data().iter::<f32>().collect();
        let trainable = !is_running_statistic(&path);
        self.tensors.push(NamedTensor { path, shape, values, trainable });
    }
}

struct Writer {
    path: Vec<String>,
    values: BTreeMap<String, TensorData>,
}

impl ModuleMapper for Writer {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(data) = self.values.remove(&self.path.join(".")) else {
            return param;
        };
        let (id, device) = (param.id, param.lazy_device());
        param.transform_for_load(Tensor::from_data(data, &device), id)
    }
}
