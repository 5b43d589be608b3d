//! Linear classifiers on features, to a proven distance from the optimum of their objective.
//!
//! Features come from anywhere: the pixels of images ([`features::of_images`]), or a network. The solvers are
//! those of `mentor-linear`; here their events are told, and their weights become numbers of 32 bits, of
//! which the certificate is.

pub(crate) mod features;
mod given;
pub(crate) mod path;

use std::ops::ControlFlow;
use std::time::Instant;

use mentor_linear::{
    Bounds, LinearError, Loss, Problem, Reason, Solution, SolveOptions, Start, bounds, solve,
};
use mentor_loss::{Hinge, Penalty, ScoreLoss};
use mentor_model::{Model, is_penalised, parameters, with_parameters};
use mentor_run::{Certificate, IterationMetrics, TrainEvent};

use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::plan::OptimumPlan;

pub(crate) use given::certify;

/// The share of the gap that is left for what rounding the weights to 32 bits may cost.
const FOR_ROUNDING: f64 = 0.01;

/// A linear classifier's objective on features.
pub(crate) struct LinearTask<'a> {
    /// `[N, D]`, row-major.
    pub(crate) features: &'a [f32],
    /// D.
    pub(crate) num_features: usize,
    /// `[N]`.
    pub(crate) targets: &'a [u32],
    /// `[N]`; 1 if not given.
    pub(crate) sample_weights: Option<&'a [f32]>,
    /// C.
    pub(crate) num_classes: usize,
    /// Without label smoothing; an SVM with a margin greater than 0.
    pub(crate) loss: &'a ScoreLoss,
    pub(crate) penalty: Penalty,
}

/// Weights of a linear classifier, and what is proven of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Optimum {
    /// `[C, D]`, row-major.
    pub(crate) weights: Vec<f32>,
    /// `[C]`.
    pub(crate) bias: Vec<f32>,
    pub(crate) certificate: Certificate,
}

/// Minimises the objective of `task` until the gap of `plan` is proven, or until nothing more can be.
///
/// `observe` hears of each iteration before `execution` does. The weights have the same bits for any number
/// of threads.
///
/// # Errors
///
/// [`TrainError::Linear`] if the problem has no optimum, [`TrainError::Interrupted`] once training is to
/// stop, and those of `observe`.
pub(crate) fn optimum(
    task: &LinearTask<'_>,
    plan: &OptimumPlan,
    execution: &Execution<'_>,
    observe: &mut dyn FnMut(&IterationMetrics) -> Result<(), TrainError>,
) -> Result<Optimum, TrainError> {
    let class_weights = task.class_weights();
    let problem = task.problem(class_weights.as_deref())?;
    let options = SolveOptions {
        relative_gap: plan.gap * (1.0 - FOR_ROUNDING),
        max_iterations: plan.max_iterations(),
        start: None,
    };
    let clock = Instant::now();
    let mut failed = None;
    let solution = solve(&problem, &options, &mut |progress| {
        let metrics = IterationMetrics {
            iteration: progress.iteration as u64,
            primal: progress.primal,
            dual: progress.dual,
            gap: progress.gap,
            secs: clock.elapsed().as_secs_f64(),
        };
        // Of the iterations in coordinates nothing is proven.
        if progress.iteration > 0 {
            failed = observe(&metrics).err();
            execution.tell(&TrainEvent::Iteration(metrics));
        }
        if failed.is_some() || execution.is_stopped() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    if solution.reason == Reason::Interrupted {
        return Err(TrainError::Interrupted);
    }
    let rounded = |values: &[f64]| -> Vec<f32> { values.iter().map(|&value| value as f32).collect() };
    let (weights, bias) = (rounded(&solution.weights), rounded(&solution.bias));
    let at = bounds(&problem, &start(&weights, &bias))?;
    let certificate = certificate(&at, &solution, solution.reason.name(), |gap| gap <= plan.gap);
    Ok(Optimum { weights, bias, certificate })
}

/// What a solution proves of weights that have `at`.
fn certificate(
    at: &Bounds,
    solution: &Solution,
    reason: &str,
    is_enough: impl Fn(f64) -> bool,
) -> Certificate {
    // The solution has one bound on both roundings.
    let (dual, dual_rounding) = match at.dual - at.dual_rounding > solution.dual - solution.rounding {
        true => (at.dual, at.dual_rounding),
        false => (solution.dual, solution.rounding),
    };
    let gap = (at.primal - dual).max(0.0) + at.primal_rounding + dual_rounding;
    let relative_gap = if at.primal > 0.0 { gap / at.primal } else { 0.0 };
    Certificate {
        primal: at.primal,
        dual,
        gap,
        relative_gap,
        num_iterations: solution.num_iterations as u64,
        reason: reason.to_owned(),
        certified: is_enough(relative_gap),
    }
}

fn start(weights: &[f32], bias: &[f32]) -> Start {
    let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect();
    Start { weights: wide(weights), bias: wide(bias) }
}

impl LinearTask<'_> {
    /// Those of the loss as the engine has them, in 32 bits.
    pub(crate) fn class_weights(&self) -> Option<Vec<f32>> {
        let ScoreLoss::Softmax(softmax) = self.loss else { return None };
        softmax.class_weights().map(|weights| weights.iter().map(|&weight| weight as f32).collect())
    }

    /// As the solvers take it; `class_weights` are those of [`LinearTask::class_weights`].
    pub(crate) fn problem<'a>(&'a self, class_weights: Option<&'a [f32]>) -> Result<Problem<'a>, TrainError> {
        let loss = match self.loss {
            ScoreLoss::Softmax(_) => Loss::Softmax,
            ScoreLoss::Svm(svm) => match svm.hinge() {
                Hinge::WestonWatkins => Loss::WestonWatkins { margin: svm.margin() },
                Hinge::CrammerSinger => Loss::CrammerSinger { margin: svm.margin() },
            },
            other => return Err(TrainError::Other(format!("{} has no solver", other.name()).into())),
        };
        Ok(Problem {
            features: self.features,
            num_features: self.num_features,
            targets: self.targets,
            num_classes: self.num_classes,
            sample_weights: self.sample_weights,
            class_weights,
            loss,
            l2: self.penalty.l2(),
            l1: self.penalty.l1(),
            bias: true,
        })
    }

    /// The reason why there is no optimum to go to, if nothing is penalised.
    pub(crate) fn check_penalty(&self) -> Result<(), TrainError> {
        if !self.penalty.is_zero() {
            return Ok(());
        }
        let class_weights = self.class_weights();
        let problem = self.problem(class_weights.as_deref())?;
        let refused = solve(&problem, &SolveOptions::default(), &mut |_| ControlFlow::Continue(()));
        Err(refused.err().unwrap_or(LinearError::NoPenalty).into())
    }
}

/// The linear classifier with these weights.
pub(crate) fn with_weights(model: Model, weights: &[f32], bias: &[f32]) -> Result<Model, TrainError> {
    let num_classes = bias.len();
    let mut tensors = parameters(&model);
    for tensor in &mut tensors {
        match is_penalised(&tensor.shape) {
            // [D, C] in the network.
            true => tensor.values = transposed(weights, num_classes),
            false => tensor.values = bias.to_vec(),
        }
    }
    Ok(with_parameters(model, tensors)?)
}

/// The weights `[C, D]` and the biases `[C]` of a linear classifier.
fn weights_of(model: &Model) -> (Vec<f32>, Vec<f32>) {
    let (mut weights, mut bias) = (Vec::new(), Vec::new());
    for tensor in parameters(model) {
        match is_penalised(&tensor.shape) {
            true => weights = transposed(&tensor.values, tensor.shape[0]),
            false => bias = tensor.values,
        }
    }
    (weights, bias)
}

/// `[rows, any]` as `[any, rows]`.
fn transposed(values: &[f32], num_rows: usize) -> Vec<f32> {
    let width = values.len() / num_rows.max(1);
    (0..width).flat_map(|column| (0..num_rows).map(move |row| values[row * width + column])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_transposed() {
        assert_eq!(transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
