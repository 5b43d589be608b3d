//! Gradient descent against PyTorch: `reference/sgd.py` wrote the numbers.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use mentor_loss::Penalty;
use mentor_model::{Model, ModelSpec, NamedTensor, parameters, with_parameters};
use mentor_train::ParameterTensors;
use mentor_train::{Optimizer, OptimizerPlan, Schedule, Shape};
use serde_json::Value;

const STEPS: u64 = 10;

/// ∇ ½ Σ a_k w_k² of the weights `[3, 2]`; the second column and the bias have none.
struct Gradient<'a> {
    curvature: &'a [f32],
    gradients: ParameterTensors,
}

impl ModuleVisitor for Gradient<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let weights = param.val().inner();
        let shape = weights.dims();
        let mut values = vec![0.0; shape.iter().product()];
        if D == 2 {
            let weights = weights.clone().try_into_vec_as::<f32>().unwrap();
            for (row, curvature) in self.curvature.iter().enumerate() {
                values[2 * row] = curvature * weights[2 * row];
            }
        }
        self.gradients
            .register(param.id, Tensor::<D>::from_data(TensorData::new(values, shape), &weights.device()));
    }
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

/// The weights after each update, by our optimiser.
fn descend(golden: &Value, case: &Value, schedule: Schedule) -> Vec<Vec<f32>> {
    let option = |name: &str| case["options"][name].as_f64().unwrap_or(0.0);
    let plan = OptimizerPlan {
        full_batch: true,
        learning_rate: option("lr"),
        momentum: option("momentum"),
        nesterov: case["options"]["nesterov"].as_bool().unwrap_or(false),
        batch_size: 1,
        clip_norm: case["max_norm"].as_f64().filter(|&norm| norm > 0.0),
        weight_decay: None,
        layer_decay: None,
    };
    // PyTorch's weight_decay d adds d·w to the gradient, ours 2 λ w.
    let mut optimizer =
        Optimizer::new(plan.clone(), Penalty::new(0.0, option("weight_decay") / 2.0).unwrap());
    let spec = ModelSpec::new("linear", [1, 1, 3], 2);
    let start = numbers(&golden["start"]).into_iter().flat_map(|weight| [weight, 0.0]).collect();
    let mut tensors = parameters(&Model::new(&spec, 0, &Device::flex()).unwrap());
    for tensor in &mut tensors {
        if tensor.is_penalised() {
            *tensor = NamedTensor::new(tensor.path.clone(), vec![3, 2], Vec::clone(&start));
        }
    }
    let mut model =
        with_parameters(Model::new(&spec, 0, &Device::flex().autodiff()).unwrap(), tensors).unwrap();
    (0..STEPS)
        .map(|step| {
            let curvature = numbers(&golden["curvature"]);
            let mut gradient = Gradient { curvature: &curvature, gradients: ParameterTensors::new() };
            model.visit(&mut gradient);
            let rate = plan.learning_rate * schedule.factor(step, 1, STEPS);
            model = optimizer.step(model.clone(), gradient.gradients, rate);
            let weights = parameters(&model).into_iter().find(NamedTensor::is_penalised).unwrap();
            weights.values.iter().copied().step_by(2).collect()
        })
        .collect()
}

#[test]
fn every_update_is_that_of_pytorch() {
    let golden: Value = serde_json::from_str(include_str!("../../../../reference/golden/sgd.json")).unwrap();
    let constant = Schedule { shape: Shape::Constant, warmup_epochs: 0.0 };
    let cases = [
        ("plain", constant),
        ("momentum", constant),
        ("nesterov", constant),
        ("l2", constant),
        ("clipped", constant),
        ("step_4_gamma_0.1", Schedule { shape: Shape::Step { epochs: 4.0, factor: 0.1 }, ..constant }),
        ("cosine", Schedule { shape: Shape::Cosine, ..constant }),
    ];
    for (name, schedule) in cases {
        let case = &golden["cases"][name];
        let ours = descend(&golden, case, schedule);
        for (step, (ours, theirs)) in ours.iter().zip(case["weights"].as_array().unwrap()).enumerate() {
            for (ours, theirs) in ours.iter().zip(numbers(theirs)) {
                assert!((ours - theirs).abs() < 2e-6, "{name}, step {step}: {ours} {theirs}");
            }
        }
    }
}
