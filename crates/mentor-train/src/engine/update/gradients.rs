//! Tensors by parameter: the gradients of one backward pass, or the velocities of an optimiser.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::container::TensorContainer;
use burn::tensor::{Gradients, Tensor};
use mentor_model::Model;

/// A tensor for each parameter that has one, of the parameter's shape, not on the tape.
#[derive(Debug, Default)]
pub struct ParameterTensors(TensorContainer<ParamId>);

impl ParameterTensors {
    /// None for any parameter.
    pub fn new() -> Self {
        Self::default()
    }

    /// The gradients of a model's parameters, taken out of those of a backward pass. A parameter that the
    /// loss does not depend on has none.
    pub fn of_gradients(mut gradients: Gradients, model: &Model) -> Self {
        let mut taken = Self::new();
        model.visit(&mut Take { from: &mut gradients, to: &mut taken });
        taken
    }

    /// The tensor of a parameter.
    pub fn get<const D: usize>(&self, id: ParamId) -> Option<Tensor<D>> {
        self.0.get(&id)
    }

    /// Takes the tensor of a parameter out.
    pub fn remove<const D: usize>(&mut self, id: ParamId) -> Option<Tensor<D>> {
        self.0.remove(&id)
    }

    /// Sets the tensor of a parameter.
    pub fn register<const D: usize>(&mut self, id: ParamId, tensor: Tensor<D>) {
        self.0.register(id, tensor);
    }

    /// Whether no parameter has a tensor.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

struct Take<'a> {
    from: &'a mut Gradients,
    to: &'a mut ParameterTensors,
}

impl ModuleVisitor for Take<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // Running statistics are not on the tape, and asking for their gradient would panic.
        if !param.is_require_grad() {
            return;
        }
        if let Some(gradient) = param.val().grad_remove(self.from) {
            self.to.register(param.id, gradient);
        }
    }
}
