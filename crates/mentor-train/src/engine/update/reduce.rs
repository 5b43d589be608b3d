//! What happens to gradients between the backward pass and the update.

use mentor_model::Model;

use crate::engine::error::TrainError;
use crate::engine::update::gradients::ParameterTensors;

/// What happens to the gradients of an update between the backward pass and the optimiser, such as a mean
/// over the processes that train one model together.
///
/// Every update calls it once, with the gradient of the mean data loss over the samples that this process has
/// seen. Clipping, the penalty and the update follow, so that processes which start from equal weights and
/// get equal gradients here keep equal weights.
///
/// [`OneProcess`] changes nothing, and is what an [`Execution`](crate::Execution) has by default.
pub trait Reduce {
    /// The gradients that update `model`.
    ///
    /// # Errors
    ///
    /// Training ends with any.
    fn reduce(&self, gradients: ParameterTensors, model: &Model) -> Result<ParameterTensors, TrainError>;
}

/// Gradients as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OneProcess;

impl Reduce for OneProcess {
    fn reduce(&self, gradients: ParameterTensors, _: &Model) -> Result<ParameterTensors, TrainError> {
        Ok(gradients)
    }
}
