//! The penalised weights as a whole: R(W), exact zeros, spread.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use mentor_loss::Penalty;
use mentor_model::{Model, is_penalised, parameters};

/// Sums over the penalised weights, in f64.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct WeightStatistics {
    pub(crate) num_weights: usize,
    pub(crate) num_zero: usize,
    sum_abs: f64,
    sum_squares: f64,
}

impl WeightStatistics {
    /// Reads the weights back from the device.
    pub(crate) fn of(model: &Model) -> Self {
        let mut statistics = Self::default();
        for tensor in
            parameters(model).iter().filter(|tensor| tensor.trainable && is_penalised(&tensor.shape))
        {
            statistics.num_weights += tensor.values.len();
            for &value in &tensor.values {
                let value = f64::from(value);
                statistics.num_zero += usize::from(value == 0.0);
                statistics.sum_abs += value.abs();
                statistics.sum_squares += value * value;
            }
        }
        statistics
    }

    /// λ R(W) = λ₁ Σ|w| + λ₂ Σw².
    pub(crate) fn penalty(&self, penalty: &Penalty) -> f64 {
        penalty.l1() * self.sum_abs + penalty.l2() * self.sum_squares
    }

    /// Root mean square.
    pub(crate) fn rms(&self) -> f64 {
        (self.sum_squares / self.num_weights.max(1) as f64).sqrt()
    }
}

/// λ R(W) of a model with autodiff, on its device: the sums of the rows of every penalised tensor, one after
/// the other, whose sum it is. `None` if nothing is penalised.
///
/// Rows, and not one sum: that of a whole large tensor would depend on threads. Nothing is read back.
pub(crate) fn penalty_rows(model: &Model, penalty: &Penalty) -> Option<Tensor<1>> {
    if penalty.is_zero() {
        return None;
    }
    let mut rows = PenaltyRows { penalty, rows: Vec::new() };
    model.visit(&mut rows);
    (!rows.rows.is_empty()).then(|| Tensor::cat(rows.rows, 0))
}

struct PenaltyRows<'a> {
    penalty: &'a Penalty,
    rows: Vec<Tensor<1>>,
}

impl ModuleVisitor for PenaltyRows<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.shape();
        if !is_penalised(&shape) {
            return;
        }
        let (num_rows, len) = (shape[0], shape[1..].iter().product::<usize>());
        let weights = param.val().inner().reshape([num_rows, len]);
        self.rows.push(mentor_kernels::penalty_rows(weights, self.penalty.l1(), self.penalty.l2()));
    }
}
