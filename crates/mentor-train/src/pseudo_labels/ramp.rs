//! The weight of pseudo-labels in Lee's method, which trains on its own predictions.

use serde::{Deserialize, Serialize};

/// Lee's schedule of the pseudo-labels' weight α(t).
///
/// **Definition.**
///
/// ```text
/// α(t) = 0                                      t < start
///      = final_weight · (t − start)/(end − start)    start ≤ t < end
///      = final_weight                           t ≥ end
/// ```
///
/// with t in epochs, fractions included. The loss is mean CE(labelled) + α(t) · mean CE(unlabelled, own hard
/// label).
///
/// **Parameters.** Lee's: start 100, end 600, final weight 3, of a run that goes on well past epoch 600.
///
/// **Source.** D.-H. Lee. Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep
/// Neural Networks. ICML 2013 workshop, equations 15 and 16.
///
/// ```
/// use mentor_train::pseudo_labels::WeightRamp;
/// let ramp = WeightRamp::LEE;
/// assert_eq!([99.0, 350.0, 600.0].map(|epoch| ramp.weight(epoch)), [0.0, 1.5, 3.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightRamp {
    /// Epoch from which on pseudo-labels count.
    pub start: f64,
    /// Epoch of the full weight; at or before `start`: a step.
    pub end: f64,
    /// The full weight, at least 0.
    pub final_weight: f64,
}

impl WeightRamp {
    /// As in the paper.
    pub const LEE: Self = Self { start: 100.0, end: 600.0, final_weight: 3.0 };

    /// The paper's ramp for a run of `epochs`: from a tenth to six tenths of it.
    pub fn over(epochs: f64) -> Self {
        Self { start: 0.1 * epochs, end: 0.6 * epochs, ..Self::LEE }
    }

    /// α at `epoch`.
    pub fn weight(&self, epoch: f64) -> f64 {
        match epoch {
            epoch if epoch < self.start => 0.0,
            epoch if epoch < self.end => self.final_weight * (epoch - self.start) / (self.end - self.start),
            _ => self.final_weight,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_is_monotone_and_continuous_at_both_ends() {
        let ramp = WeightRamp::over(20.0);
        let weights: Vec<f64> = (0..=2000).map(|i| ramp.weight(f64::from(i) / 100.0)).collect();
        assert!(weights.windows(2).all(|pair| (0.0..=0.01).contains(&(pair[1] - pair[0]))));
        assert_eq!((weights[200], weights[700], weights[1200]), (0.0, 1.5, 3.0));
    }

    #[test]
    fn an_empty_ramp_is_a_step() {
        let ramp = WeightRamp { start: 2.0, end: 2.0, final_weight: 1.0 };
        assert_eq!([1.9, 2.0].map(|epoch| ramp.weight(epoch)), [0.0, 1.0]);
    }
}
