//! Where the tensors of a network come from, under the names of a layout.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::architecture::Architecture;
use crate::error::BackboneError;
use crate::network::convolution::Filters;
use crate::tensor::Tensors;

/// Tensors by name.
pub(crate) trait Source {
    /// The values of a tensor of this shape.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>, BackboneError>;

    /// The shape that the tensor has, if it is there.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;

    /// A name that is no part of the network, but of how it was trained.
    fn skip(&mut self, name: &str);
}

/// Of a file.
pub(crate) struct FileSource<'a> {
    architecture: &'static Architecture,
    tensors: &'a Tensors,
    used: BTreeSet<String>,
    pub(crate) skipped: BTreeSet<String>,
}

impl<'a> FileSource<'a> {
    pub(crate) fn new(architecture: &'static Architecture, tensors: &'a Tensors) -> Self {
        Self { architecture, tensors, used: BTreeSet::new(), skipped: BTreeSet::new() }
    }

    /// The number of tensors that were taken; an error if one of the file was neither taken nor skipped.
    pub(crate) fn finish(&self) -> Result<usize, BackboneError> {
        let is_left = |name: &&String| !self.used.contains(*name) && !self.skipped.contains(*name);
        let mut left = self.tensors.keys().filter(is_left);
        match left.next() {
            None => Ok(self.used.len()),
            Some(name) => Err(BackboneError::UnknownTensor {
                architecture: self.architecture.name,
                name: name.clone(),
                count: left.count() + 1,
            }),
        }
    }
}

impl Source for FileSource<'_> {
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>, BackboneError> {
        let architecture = self.architecture.name;
        let Some(tensor) = self.tensors.get(name) else {
            return Err(BackboneError::MissingTensor { architecture, name: name.to_owned() });
        };
        if tensor.shape != shape {
            let (expected, found) = (shape.to_vec(), tensor.shape.clone());
            return Err(BackboneError::WrongShape { architecture, name: name.to_owned(), expected, found });
        }
        if !tensor.is_float {
            let what = "whole numbers instead of weights";
            return Err(BackboneError::BadValue { name: name.to_owned(), what });
        }
        self.used.insert(name.to_owned());
        Ok(Cow::Borrowed(&tensor.values))
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|tensor| tensor.shape.clone())
    }

    fn skip(&mut self, name: &str) {
        if self.tensors.contains_key(name) {
            self.skipped.insert(name.to_owned());
        }
    }
}

/// Names and shapes that a network asks for; its values are zeros.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) shapes: Vec<(String, Vec<usize>)>,
}

/// Classes of a recorded head.
const CLASSES: usize = 10;

impl Source for Recorder {
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>, BackboneError> {
        self.shapes.push((name.to_owned(), shape.to_vec()));
        Ok(Cow::Owned(vec![0.0; shape.iter().product()]))
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        name.ends_with("bias").then(|| vec![CLASSES])
    }

    fn skip(&mut self, _: &str) {}
}

/// A convolution without bias and the normalisation after it, as one with bias.
///
/// ```text
/// w' = w · γ / √(σ² + ε)        b' = β − μ · γ / √(σ² + ε)
/// ```
pub(crate) fn folded(
    source: &mut dyn Source,
    convolution: &str,
    norm: &str,
    shape: [usize; 4],
    epsilon: f64,
) -> Result<Filters, BackboneError> {
    let mut weights = source.take(&format!("{convolution}.weight"), &shape)?.into_owned();
    let mut vector = |part: &str| -> Result<Vec<f32>, BackboneError> {
        Ok(source.take(&format!("{norm}.{part}"), &shape[..1])?.into_owned())
    };
    let (gain, shift) = (vector("weight")?, vector("bias")?);
    let (mean, variance) = (vector("running_mean")?, vector("running_var")?);
    source.skip(&format!("{norm}.num_batches_tracked"));
    if let Some(negative) = variance.iter().find(|&&variance| variance < 0.0) {
        debug_assert!(*negative < 0.0);
        let (name, what) = (format!("{norm}.running_var"), "a negative variance");
        return Err(BackboneError::BadValue { name, what });
    }
    let scales: Vec<f64> = gain
        .iter()
        .zip(&variance)
        .map(|(&gain, &variance)| f64::from(gain) / (f64::from(variance) + epsilon).sqrt())
        .collect();
    let filter = shape[1..].iter().product::<usize>().max(1);
    for (weights, scale) in weights.chunks_exact_mut(filter).zip(&scales) {
        weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * scale) as f32);
    }
    let shifted =
        |((&shift, &mean), scale): ((&f32, &f32), &f64)| (f64::from(shift) - f64::from(mean) * scale) as f32;
    let bias = shift.iter().zip(&mean).zip(&scales).map(shifted).collect();
    Ok(Filters { shape, weights, bias })
}

/// A layer with a bias, whose weights lie as `[out, in]` or as a convolution's `[out, in, k, k]`.
pub(crate) fn biased(
    source: &mut dyn Source,
    name: &str,
    shape: [usize; 4],
    is_convolution: bool,
) -> Result<Filters, BackboneError> {
    let axes = if is_convolution { 4 } else { 2 };
    let weights = source.take(&format!("{name}.weight"), &shape[..axes])?.into_owned();
    let bias = source.take(&format!("{name}.bias"), &shape[..1])?.into_owned();
    Ok(Filters { shape, weights, bias })
}

/// The head, if the file has one: a dense layer to any number of classes.
pub(crate) fn head(
    source: &mut dyn Source,
    name: &str,
    num_features: usize,
) -> Result<Option<Filters>, BackboneError> {
    match source.shape(&format!("{name}.bias")).as_deref() {
        Some(&[classes]) if classes > 0 => {
            biased(source, name, [classes, num_features, 1, 1], false).map(Some)
        }
        _ => Ok(None),
    }
}
