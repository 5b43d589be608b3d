//! What is exported: a network as named tensors, and what its use needs.

use std::collections::BTreeMap;

use mentor_data::Preprocessing;
use mentor_metrics::calibration::Calibration;

use crate::error::ExportError;

/// A trained model as plain values. Its graph follows from the name of the architecture and the shapes of the
/// tensors, so that no engine is needed.
#[derive(Clone, Debug)]
pub struct ExportModel {
    /// The network's name, such as `resnet-20`.
    pub architecture: String,
    /// The network's tensors by their names in `model.safetensors`, running statistics included.
    pub tensors: Tensors,
    /// What the network gives.
    pub output: Output,
    /// What is done to a picture before the network sees it.
    pub preprocessing: Preprocessing,
    /// Entries of the file's metadata beside `classes` and `preprocessing`, such as `run_blake3`.
    pub metadata: Vec<(String, String)>,
}

/// What a network gives for a picture.
#[derive(Clone, Debug)]
pub enum Output {
    /// Probabilities of classes, and as the embedding the features that the last layer sees.
    Classifier {
        /// The names of the classes, in the order of the scores.
        classes: Vec<String>,
        /// What makes probabilities of the scores; `None` for their softmax.
        calibration: Option<Calibration>,
    },
    /// A point whose distance from another is their dissimilarity.
    Embedding {
        /// Whether it is divided by its Euclidean norm.
        unit_norm: bool,
    },
}

impl Output {
    /// The names of the classes; none of an embedding model.
    pub fn classes(&self) -> &[String] {
        match self {
            Self::Classifier { classes, .. } => classes,
            Self::Embedding { .. } => &[],
        }
    }
}

/// Tensors by name, in row-major order.
#[derive(Clone, Debug, Default)]
pub struct Tensors(BTreeMap<String, Tensor>);

/// Shape and values.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

impl FromIterator<(String, Vec<usize>, Vec<f32>)> for Tensors {
    /// Name, shape and values of each tensor.
    fn from_iter<I: IntoIterator<Item = (String, Vec<usize>, Vec<f32>)>>(tensors: I) -> Self {
        Self(tensors.into_iter().map(|(name, shape, values)| (name, Tensor { shape, values })).collect())
    }
}

impl Tensors {
    /// Bytes of all values.
    pub(crate) fn num_bytes(&self) -> u64 {
        self.0.values().map(|tensor| 4 * tensor.values.len() as u64).sum()
    }

    pub(crate) fn contains(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// All of them, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Tensor)> {
        self.0.iter()
    }

    /// The tensor of this name.
    ///
    /// # Errors
    ///
    /// [`ExportError::Tensor`] if there is none.
    pub(crate) fn find(&self, path: &str) -> Result<&Tensor, ExportError> {
        let missing = || ExportError::Tensor { path: path.to_owned(), problem: "is missing".to_owned() };
        self.0.get(path).ok_or_else(missing)
    }

    /// The tensor of this name, with the lengths of its `D` axes.
    ///
    /// # Errors
    ///
    /// [`ExportError::Tensor`] if there is none, it has another number of axes, or values that are not those
    /// of its shape or not finite.
    pub(crate) fn get<const D: usize>(&self, path: &str) -> Result<([usize; D], &[f32]), ExportError> {
        let problem = |problem: String| ExportError::Tensor { path: path.to_owned(), problem };
        let tensor = self.find(path)?;
        let axes = <[usize; D]>::try_from(tensor.shape.as_slice())
            .map_err(|_| problem(format!("has the shape {:?}, and {D} axes are needed", tensor.shape)))?;
        let count = axes.iter().try_fold(1_usize, |product, &side| product.checked_mul(side));
        if count != Some(tensor.values.len()) {
            return Err(problem(format!("has {} values for the shape {axes:?}", tensor.values.len())));
        }
        match tensor.values.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(problem(format!("holds {value}"))),
            None => Ok((axes, &tensor.values)),
        }
    }
}
