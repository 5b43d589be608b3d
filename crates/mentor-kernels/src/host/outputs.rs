//! Operations of several outputs, on a tape that knows operations of one.
//!
//! The operation is a node without values. Each of its outputs is a node below it, whose backward pass only
//! hands its gradient over. The tape runs a node after all nodes below it, so the operation's backward pass
//! then finds the gradients of those outputs that the loss depends on.
//!
//! The same values may be handed out twice. Two layers that read them then have a gradient each, and the
//! operation adds the two while it reads them; the tape would add them in a pass of its own, on one thread.

use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

use crate::host::buffer::{CpuTensor, to_tensor};

/// Gradients of the `N` outputs of one operation.
#[derive(Clone, Debug)]
pub(crate) struct OutputGradients<const N: usize>(Arc<Mutex<[Option<CpuTensor>; N]>>);

impl<const N: usize> OutputGradients<N> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new([const { None }; N])))
    }

    /// The outputs as nodes below `operation`, which was recorded with [`no_values`] and keeps a clone of
    /// `self`.
    pub(crate) fn record<C: CheckpointStrategy>(
        self,
        operation: &FloatTensor<Autodiff<Flex>>,
        outputs: [CpuTensor; N],
    ) -> [FloatTensor<Autodiff<Flex>>; N] {
        let mut index = 0;
        outputs.map(|output| {
            let state = Output { index, gradients: self.clone() };
            index += 1;
            match OutputBackward::<N>.prepare::<C>([operation.node()]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish(state, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            }
        })
    }

    /// The gradients in the order of the outputs; `None` where the loss does not depend on one.
    pub(crate) fn take(self) -> [Option<CpuTensor>; N] {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), [const { None }; N])
    }
}

/// What stands for the values of an operation, and for its gradient, which tells the tape only that there is
/// one.
pub(crate) fn no_values() -> CpuTensor {
    to_tensor(vec![0.0], &[1])
}

#[derive(Debug)]
struct OutputBackward<const N: usize>;

#[derive(Clone, Debug)]
struct Output<const N: usize> {
    index: usize,
    gradients: OutputGradients<N>,
}

impl<const N: usize> Backward<Flex, 1> for OutputBackward<N> {
    type State = Output<N>;

    fn backward(self, ops: Ops<Output<N>, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let Output { index, gradients } = ops.state;
        gradients.0.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(gradient);
        if let [Some(operation)] = ops.parents {
            grads.register::<Flex>(operation.id, no_values());
        }
    }
}
