//! Gradient descent: one update of the weights from a gradient.
//!
//! ```text
//! g ← ∇ data loss + 2 λ₂ w         λ₂ w for weights only, never for biases or normalisation
//! g ← g · min(1, clip / ‖g‖)       over all parameters together, where clipping is on
//! v ← μ v + g
//! d ← g + μ v                      with Nesterov, else d ← v
//! w ← w − η d
//! u ← w; w ← soft threshold of u by η λ₁; v ← v + (u − w) / η      with L1, for weights only
//! ```
//!
//! `gd` and `sgd` share it: they differ in how many samples the gradient is the mean of. Velocity and
//! Nesterov are those of PyTorch and Optax (Sutskever et al., ICML 2013); the proximal step is that of
//! Beck and Teboulle (SIAM J. Imaging Sciences 2009, equation 1.4), and makes weights exactly zero.
//!
//! The last assignment makes the minimum that of J. Without it the velocity would sum up the gradient, to g /
//! (1 − μ), but not the threshold, and the weights would settle where λ₁ (1 − μ) is the penalty. Nesterov's
//! form counts the newest gradient more than once, and has no such correction: a plan with L1 does not use
//! it.
//!
//! `adamw` has an update of its own, [`AdamWUpdate`], with the same clipping; its decay is of weights only.

use std::collections::{BTreeMap, HashMap};

use crate::engine::update::gradients::ParameterTensors;
use crate::engine::update::layer_decay::rate_factors;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use mentor_kernels::{AdamWUpdate, SgdUpdate};
use mentor_loss::Penalty;
use mentor_model::{Model, NamedTensor, is_penalised};

use crate::inference::device::to_host;
use crate::plan::OptimizerPlan;

/// The state of an optimiser between two updates.
#[derive(Debug)]
pub struct Optimizer {
    plan: OptimizerPlan,
    penalty: Penalty,
    /// v of each parameter, of AdamW its m; empty before the first update and without momentum.
    velocity: ParameterTensors,
    /// AdamW's v, the mean square of the gradient.
    squares: ParameterTensors,
    /// Updates done.
    num_updates: u64,
    /// What the rate of each parameter is multiplied by, once the model is known.
    rates: Option<HashMap<ParamId, f64>>,
}

/// AdamW's β₁ and β₂, those of its authors.
const BETAS: [f64; 2] = [0.9, 0.999];
/// AdamW's ε.
const EPSILON: f64 = 1e-8;

impl Optimizer {
    /// An optimiser at rest.
    pub fn new(plan: OptimizerPlan, penalty: Penalty) -> Self {
        let (velocity, squares) = (ParameterTensors::new(), ParameterTensors::new());
        Self { plan, penalty, velocity, squares, num_updates: 0, rates: None }
    }

    /// Updates `model` with the gradient of its data loss, at `learning_rate`.
    pub fn step(&mut self, model: Model, gradients: ParameterTensors, learning_rate: f64) -> Model {
        let OptimizerPlan { momentum, nesterov, clip_norm, .. } = self.plan;
        let (l1, l2_slope) = (self.penalty.l1(), 2.0 * self.penalty.l2());
        let mut update = SgdUpdate { learning_rate, momentum, nesterov, l2_slope, scale: 1.0, l1 };
        if let Some(clip_norm) = clip_norm {
            let mut norm = SquaredNorm { gradients: &gradients, update, sum: 0.0 };
            model.visit(&mut norm);
            // A gradient of norm 0 needs no clipping: the quotient is infinite, and the minimum 1.
            update.scale = (clip_norm / norm.sum.sqrt()).min(1.0);
        }
        if let (None, Some(decay)) = (&self.rates, self.plan.layer_decay) {
            self.rates = Some(rate_factors(&model, decay));
        }
        self.num_updates += 1;
        model.map(&mut Update { optimizer: self, gradients, update })
    }

    /// The velocities by the path of their parameter, for a checkpoint; of AdamW its first moments.
    pub fn velocities(&self, model: &Model) -> Vec<NamedTensor> {
        collect(&self.velocity, model)
    }

    /// AdamW's second moments by the path of their parameter, for a checkpoint; none of the others.
    pub fn squares(&self, model: &Model) -> Vec<NamedTensor> {
        collect(&self.squares, model)
    }

    /// Takes velocities and second moments after `num_updates` back from a checkpoint.
    pub fn restore(
        &mut self,
        model: &Model,
        [velocities, squares]: [Vec<NamedTensor>; 2],
        num_updates: u64,
        device: &Device,
    ) {
        self.num_updates = num_updates;
        for (tensors, stored) in [(&mut self.velocity, velocities), (&mut self.squares, squares)] {
            let stored = stored.into_iter().map(|tensor| (tensor.path.clone(), tensor)).collect();
            let mut restore =
                RestoreTensors { tensors: std::mem::take(tensors), path: Vec::new(), stored, device };
            model.visit(&mut restore);
            *tensors = restore.tensors;
        }
    }
}

fn collect(tensors: &ParameterTensors, model: &Model) -> Vec<NamedTensor> {
    let mut collect = CollectTensors { tensors, path: Vec::new(), found: Vec::new() };
    model.visit(&mut collect);
    collect.found
}

/// Adds the gradients of one more batch to a sum.
pub(crate) fn accumulate(sum: &mut ParameterTensors, gradients: ParameterTensors, model: &Model) {
    if sum.is_empty() {
        *sum = gradients;
    } else {
        model.visit(&mut Accumulate { sum, gradients });
    }
}

struct Accumulate<'a> {
    sum: &'a mut ParameterTensors,
    gradients: ParameterTensors,
}

impl ModuleVisitor for Accumulate<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let sum = match self.sum.remove::<D>(param.id) {
                Some(sum) => sum + gradient,
                None => gradient,
            };
            self.sum.register(param.id, sum);
        }
    }
}

/// The squared norm of the gradient of data loss and L2 penalty, over all parameters.
struct SquaredNorm<'a> {
    gradients: &'a ParameterTensors,
    update: SgdUpdate,
    sum: f64,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let update = of_parameter(self.update, &param.shape());
            let squares = update.squares(param.val().inner(), gradient);
            // A sum a row, and their sum here in order: that of a whole large tensor would depend on threads.
            let rows = to_host(squares.sum_dim(D - 1));
            self.sum += rows.into_iter().map(f64::from).sum::<f64>();
        }
    }
}

struct Update<'a> {
    optimizer: &'a mut Optimizer,
    gradients: ParameterTensors,
    update: SgdUpdate,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, weights, mapper) = param.consume();
        // Running statistics have no gradient, and are not the optimiser's to change.
        let Some(gradient) = self.gradients.remove::<D>(id) else {
            return Param::from_mapped_value(id, weights, mapper);
        };
        let weights = weights.inner();
        let weights = match self.optimizer.plan.weight_decay {
            Some(weight_decay) => self.adamw(id, weights, gradient, weight_decay),
            None => self.descend(id, weights, gradient),
        };
        Param::from_mapped_value(id, weights.autodiff().require_grad(), mapper)
    }
}

impl Update<'_> {
    fn learning_rate(&self, id: ParamId) -> f64 {
        let factor = self.optimizer.rates.as_ref().and_then(|rates| rates.get(&id));
        self.update.learning_rate * factor.unwrap_or(&1.0)
    }

    fn adamw<const D: usize>(
        &mut self,
        id: ParamId,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        weight_decay: f64,
    ) -> Tensor<D> {
        let learning_rate = self.learning_rate(id);
        let Optimizer { velocity, squares, num_updates, .. } = &mut *self.optimizer;
        let update = AdamWUpdate {
            learning_rate,
            betas: BETAS,
            epsilon: EPSILON,
            weight_decay: if is_penalised(&weights.shape()) { weight_decay } else { 0.0 },
            scale: self.update.scale,
            step: *num_updates,
        };
        let moments = velocity.remove::<D>(id).zip(squares.remove::<D>(id)).map(|(m, v)| [m, v]);
        let (weights, [m, v]) = update.apply(weights, gradient, moments);
        velocity.register(id, m);
        squares.register(id, v);
        weights
    }

    fn descend<const D: usize>(&mut self, id: ParamId, weights: Tensor<D>, gradient: Tensor<D>) -> Tensor<D> {
        let velocity = self.optimizer.velocity.remove::<D>(id);
        let update = SgdUpdate { learning_rate: self.learning_rate(id), ..self.update };
        let update = of_parameter(update, &weights.shape());
        let (weights, velocity) = update.apply(weights, gradient, velocity);
        if let Some(velocity) = velocity {
            self.optimizer.velocity.register(id, velocity);
        }
        weights
    }
}

/// The update of a parameter of this shape: penalties act on weights alone.
fn of_parameter(update: SgdUpdate, shape: &[usize]) -> SgdUpdate {
    if is_penalised(shape) { update } else { SgdUpdate { l2_slope: 0.0, l1: 0.0, ..update } }
}

struct CollectTensors<'a> {
    tensors: &'a ParameterTensors,
    path: Vec<String>,
    found: Vec<NamedTensor>,
}

impl ModuleVisitor for CollectTensors<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(tensor) = self.tensors.get::<D>(param.id) {
            let shape = tensor.dims().to_vec();
            self.found.push(NamedTensor::new(self.path.join("."), shape, to_host(tensor)));
        }
    }
}

struct RestoreTensors<'a> {
    tensors: ParameterTensors,
    path: Vec<String>,
    stored: BTreeMap<String, NamedTensor>,
    device: &'a Device,
}

impl ModuleVisitor for RestoreTensors<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(tensor) = self.stored.remove(&self.path.join(".")) {
            let data = TensorData::new(tensor.values, tensor.shape);
            self.tensors.register(param.id, Tensor::<D>::from_data(data, self.device));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mentor_model::{ModelSpec, parameters};

    /// Weights of one input and two classes after each of three updates with gradient 1 and rate 1.
    fn three_updates(momentum: f64, nesterov: bool, penalty: Penalty) -> Vec<f32> {
        updates([1.0; 3], momentum, nesterov, penalty)
    }

    /// The same with these rates.
    fn updates(rates: [f64; 3], momentum: f64, nesterov: bool, penalty: Penalty) -> Vec<f32> {
        struct Ones<'a>(&'a mut ParameterTensors);
        impl ModuleVisitor for Ones<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.register(param.id, param.val().inner().ones_like());
            }
        }
        let plan = OptimizerPlan {
            full_batch: false,
            learning_rate: 1.0,
            momentum,
            nesterov,
            batch_size: 1,
            clip_norm: None,
            weight_decay: None,
            layer_decay: None,
        };
        let mut optimizer = Optimizer::new(plan, penalty);
        let mut model =
            Model::new(&ModelSpec::new("linear", [1, 1, 1], 2), 0, &Device::flex().autodiff()).unwrap();
        rates
            .into_iter()
            .map(|rate| {
                let mut gradients = ParameterTensors::new();
                model.visit(&mut Ones(&mut gradients));
                model = optimizer.step(model.clone(), gradients, rate);
                let tensors = parameters(&model);
                tensors.iter().find(|tensor| tensor.is_penalised()).unwrap().values[0]
            })
            .collect()
    }

    #[test]
    fn a_rate_too_small_for_an_f32_changes_nothing() {
        let l1 = Penalty::new(0.25, 0.0).unwrap();
        assert_close(&updates([1.0, 1e-50, 1e-50], 0.9, false, l1), [-0.75; 3]);
    }

    fn assert_close(found: &[f32], expected: [f32; 3]) {
        assert!(
            found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-5),
            "{found:?}"
        );
    }

    #[test]
    fn velocities_under_a_constant_gradient_are_those_of_pytorch() {
        // v = 1, 1.9, 2.71; the weights are minus their running sum.
        assert_close(&three_updates(0.9, false, Penalty::default()), [-1.0, -2.9, -5.61]);
        // g + 0.9 v = 1.9, 2.71, 3.439.
        assert_close(&three_updates(0.9, true, Penalty::default()), [-1.9, -4.61, -8.049]);
        assert_close(&three_updates(0.0, false, Penalty::default()), [-1.0, -2.0, -3.0]);
    }

    #[test]
    fn the_gradient_of_l2_is_twice_lambda_times_the_weight() {
        // w: 0 → -1 → -1 - (1 - 2·0.1·1) = -1.8 → -1.8 - (1 - 0.36) = -2.44
        assert_close(&three_updates(0.0, false, Penalty::new(0.0, 0.1).unwrap()), [-1.0, -1.8, -2.44]);
    }

    #[test]
    fn the_proximal_step_shrinks_by_rate_times_lambda_and_stops_at_zero() {
        assert_close(&three_updates(0.0, false, Penalty::new(0.25, 0.0).unwrap()), [-0.75, -1.5, -2.25]);
        assert_eq!(three_updates(0.0, false, Penalty::new(5.0, 0.0).unwrap()), [0.0; 3]);
        // A weight whose gradient is smaller than λ stays at zero, with momentum too.
        assert_eq!(three_updates(0.9, false, Penalty::new(1.5, 0.0).unwrap()), [0.0; 3]);
        // g - λ = 0.75 is what the velocity sums up: 0.75, 1.425, 2.0325.
        assert_close(&three_updates(0.9, false, Penalty::new(0.25, 0.0).unwrap()), [-0.75, -2.175, -4.2075]);
    }
}
