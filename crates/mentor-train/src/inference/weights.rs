//! The penalised weights as a whole: R(W), exact zeros, spread.

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
