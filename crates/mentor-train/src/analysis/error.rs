//! Why a model could not be analysed.

use mentor_data::DataError;
use mentor_metrics::retrieval::RetrievalError;
use mentor_model::ModelError;

use crate::inference::error::InferenceError;

/// Why a model could not be analysed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnalysisError {
    /// Images cannot be read, or are not to be.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// Pictures cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Other weights do not fit the network.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Embeddings cannot be ranked.
    #[error(transparent)]
    Retrieval(#[from] RetrievalError),
    /// The losses of the last weights are not finite numbers.
    #[error("the weights have overflowed in epoch {epoch}")]
    Overflowed {
        /// The epoch, from 1.
        epoch: usize,
    },
}
