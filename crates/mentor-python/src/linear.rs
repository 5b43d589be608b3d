//! The certified solver of linear classifiers.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use mentor_linear::{Loss, Problem, Solution, SolveOptions, solve};
use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::{contiguous, matrix};
use crate::errors::{Kind, Refused};
use crate::work::{Ended, compute_long};

/// Minimises the objective of `features` `[N, D]` and `targets` `[N]`, classes from 0 on.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "all are parameters of the problem")]
pub(crate) fn solve_linear<'py>(
    py: Python<'py>,
    features: PyReadonlyArray2<'py, f32>,
    targets: PyReadonlyArray1<'py, u32>,
    num_classes: usize,
    sample_weights: Option<PyReadonlyArray1<'py, f32>>,
    loss: &str,
    margin: f64,
    l2: f64,
    l1: f64,
    bias: bool,
    gap: f64,
    max_iterations: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let loss = match loss {
        "softmax" => Loss::Softmax,
        "svm" => Loss::WestonWatkins { margin },
        "crammer-singer" => Loss::CrammerSinger { margin },
        other => {
            let what = format!("there is no loss named {other:?}; there are softmax, svm, crammer-singer");
            return Err(Refused::new(Kind::Config, what, &[]).into());
        }
    };
    let num_features = features.shape()[1];
    let problem = Problem {
        features: contiguous(&features)?,
        num_features,
        targets: contiguous(&targets)?,
        num_classes,
        sample_weights: sample_weights.as_ref().map(contiguous).transpose()?,
        class_weights: None,
        loss,
        l2,
        l1,
        bias,
    };
    let options = SolveOptions { relative_gap: gap, max_iterations, ..SolveOptions::default() };
    let ended = compute_long(
        py,
        |()| Ok(()),
        |stop, _events| {
            let mut observe = |_: &_| match stop.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            Ok(solve(&problem, &options, &mut observe)?)
        },
    )?;
    let Solution {
        weights, bias, primal, dual, gap, relative_gap, certified, num_iterations, reason, ..
    } = match ended {
        Ended::Done(solution) => solution,
        Ended::Asked { error, .. } => return Err(error),
    };
    let result = PyDict::new(py);
    result.set_item("weights", matrix(py, weights, num_features)?)?;
    result.set_item("bias", numpy::PyArray1::from_vec(py, bias))?;
    result.set_item("primal", primal)?;
    result.set_item("dual", dual)?;
    result.set_item("gap", gap)?;
    result.set_item("relative_gap", relative_gap)?;
    result.set_item("certified", certified)?;
    result.set_item("num_iterations", num_iterations)?;
    result.set_item("reason", reason.name())?;
    result.set_item("help", reason.help().join(", or "))?;
    Ok(result)
}
