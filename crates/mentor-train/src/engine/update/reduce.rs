//! What joins the processes that train one model together.

use crate::engine::error::TrainError;

/// The processes that train one model together, called ranks: R of them, numbered from 0.
///
/// Each batch is divided into a fixed number V of virtual shards
/// ([`TrainingPlan::virtual_shards`](crate::TrainingPlan)), of which each rank computes V / R consecutive
/// ones. The loop adds the gradients of two neighbours, then the sums of two neighbours, and so on; it sends
/// partial sums by [`Reduce::swap`]. Which sums are made does not depend on R, so that 1, 2, 4, … ranks end
/// in the same weights, bit for bit, on processors of one kind. All ranks make every update, from the same
/// sum.
///
/// Every rank makes the same calls in the same order. A rank that ends early, by an error or a signal, says
/// so in the next [`Reduce::gather`], and all ranks end. There is no recovery inside a call: an error ends
/// training, and the run is continued from its checkpoint, with any number of ranks.
///
/// [`OneProcess`] is what an [`Execution`](crate::Execution) has by default.
pub trait Reduce {
    /// The number of this process, below [`Reduce::size`].
    fn rank(&self) -> usize;

    /// The number of processes, a power of 2.
    fn size(&self) -> usize;

    /// Sends `values` to another rank, which makes the same call with this rank, and gives what that one
    /// sent: as many.
    ///
    /// # Errors
    ///
    /// Training ends with any.
    fn swap(&self, values: &[f32], partner: usize) -> Result<Vec<f32>, TrainError>;

    /// Sends `bytes` to every rank, and gives what each sent, in the order of the ranks, that of this one
    /// included. Their lengths may differ.
    ///
    /// # Errors
    ///
    /// Training ends with any.
    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, TrainError>;
}

/// One process, which talks to nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OneProcess;

impl Reduce for OneProcess {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn swap(&self, values: &[f32], _: usize) -> Result<Vec<f32>, TrainError> {
        Ok(values.to_vec())
    }

    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, TrainError> {
        Ok(vec![bytes.to_vec()])
    }
}
