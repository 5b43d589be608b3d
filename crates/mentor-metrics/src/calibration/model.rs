//! What makes probabilities of scores.

use serde::{Deserialize, Serialize};

/// p = softmax(s / T + b), in place of softmax(s).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// T, greater than 0.
    pub temperature: f64,
    /// b, one a class; empty for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub biases: Vec<f64>,
}

impl Calibration {
    /// Temperature 1 and no biases: the raw scores.
    pub const NONE: Self = Self { temperature: 1.0, biases: Vec::new() };

    /// A row of scores as it enters the softmax.
    pub fn apply(&self, scores: &mut [f32]) {
        for (class, score) in scores.iter_mut().enumerate() {
            let bias = self.biases.get(class).copied().unwrap_or(0.0);
            *score = (f64::from(*score) / self.temperature + bias) as f32;
        }
    }

    /// Whether the numbers are ones that can be used on `num_classes` scores.
    pub fn is_valid(&self, num_classes: usize) -> bool {
        let positive = self.temperature.is_finite() && self.temperature > 0.0;
        let fits = self.biases.is_empty() || self.biases.len() == num_classes;
        positive && fits && self.biases.iter().all(|bias| bias.is_finite())
    }

    /// Rows of scores `[N, C]` as they enter the softmax.
    pub fn applied(&self, scores: &[f32], num_classes: usize) -> Vec<f32> {
        let mut applied = scores.to_vec();
        applied.chunks_exact_mut(num_classes).for_each(|row| self.apply(row));
        applied
    }
}
