//! A classifier under analysis: its data, and how it is judged.

use std::sync::Arc;

use mentor_data::Dataset;
use mentor_loss::Penalty;
use mentor_metrics::classification::SampleResult;
use mentor_model::Model;

use crate::inference::error::InferenceError;

/// Judges a model on every sample of a data set, in order; once the analysis is to stop, with that error.
pub(crate) type Judge<'a> = dyn Fn(&Model, &Arc<Dataset>) -> Result<Vec<SampleResult>, InferenceError> + 'a;

/// What the analysis of a classifier needs beside the weights.
pub(crate) struct Subject<'a> {
    /// Whether its weights can be seen as images.
    pub(crate) is_linear: bool,
    pub(crate) penalty: Penalty,
    /// Epochs of its training.
    pub(crate) epochs: usize,
    pub(crate) train: &'a Arc<Dataset>,
    pub(crate) val: Option<&'a Arc<Dataset>>,
    pub(crate) judge: &'a Judge<'a>,
}
