//! The optimisation path: the weights after some epochs, for models that are small enough.

use std::num::NonZeroUsize;

use mentor_model::{Model, NamedTensor, parameters};

/// Values kept at most: 4 MB.
pub(crate) const MAX_VALUES: usize = 1 << 20;
/// With fewer points than this there is no way to see.
const MIN_POINTS: usize = 8;

/// Trainable parameters of a model at several moments, flattened in the order of [`parameters`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trajectory {
    /// Epochs between two points; `None` keeps none.
    stride: Option<NonZeroUsize>,
    pub(crate) steps: Vec<u64>,
    pub(crate) values: Vec<f32>,
}

impl Trajectory {
    /// A trajectory of a run of `epochs` of a model with `num_params`.
    pub(crate) fn new(epochs: usize, num_params: usize) -> Self {
        let num_points = (MAX_VALUES / num_params.max(1)).min(epochs + 1);
        let stride = (num_points >= MIN_POINTS).then(|| epochs.div_ceil(num_points - 1));
        let stride = stride.and_then(NonZeroUsize::new);
        Self { stride, steps: Vec::new(), values: Vec::new() }
    }

    /// Whether the weights after `epochs_done` belong to it.
    pub(crate) fn wants(&self, epochs_done: usize) -> bool {
        self.stride.is_some_and(|stride| epochs_done.is_multiple_of(stride.get()))
    }

    /// Points after `epochs_done`.
    pub(crate) fn num_points(&self, epochs_done: usize) -> usize {
        self.stride.map_or(0, |stride| epochs_done / stride + 1)
    }

    /// Adds the weights after `step` updates.
    pub(crate) fn record(&mut self, model: &Model, step: u64) {
        self.steps.push(step);
        self.values.extend(flatten(&parameters(model)));
    }

    /// The points: updates done, and the weights.
    pub(crate) fn points(&self) -> impl Iterator<Item = (u64, &[f32])> {
        let len = self.values.len() / self.steps.len().max(1);
        self.steps.iter().copied().zip(self.values.chunks_exact(len.max(1)))
    }
}

/// The trainable parameters, one after the other.
pub(crate) fn flatten(parameters: &[NamedTensor]) -> Vec<f32> {
    parameters
        .iter()
        .filter(|tensor| tensor.trainable)
        .flat_map(|tensor| tensor.values.iter().copied())
        .collect()
}

/// Puts a flattened vector back into the trainable ones of `parameters`.
pub(crate) fn unflatten(parameters: &mut [NamedTensor], mut flat: &[f32]) {
    for tensor in parameters.iter_mut().filter(|tensor| tensor.trainable) {
        let (head, tail) = flat.split_at(tensor.values.len());
        tensor.values.copy_from_slice(head);
        flat = tail;
    }
}
