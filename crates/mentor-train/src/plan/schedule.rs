//! Learning-rate schedules: linear warm-up, then constant, stepped or cosine.
//!
//! A schedule is a function of the fraction of epochs done, so that it does not depend on the batch size.

/// How the learning rate changes over a run, as a factor of its full value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// What follows the warm-up.
    pub shape: Shape,
    /// Epochs over which the factor rises linearly to 1, from the first update on: no update has the factor 0.
    pub warmup_epochs: f64,
}

/// What follows the warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// 1 throughout.
    Constant,
    /// Multiplied by `factor` each `epochs` epochs.
    Step {
        /// Epochs between two drops, counted from the first epoch of the run.
        epochs: f64,
        /// Factor of each drop.
        factor: f64,
    },
    /// Half a cosine from 1 to 0 (Loshchilov and Hutter, ICLR 2017, equation 5, without restarts).
    Cosine,
}

impl Schedule {
    /// The factor of update `step` (from 0) out of `num_steps`, with `steps_per_epoch`.
    ///
    /// Warm-up gives its `k`-th update `(k + 1) / w` of the full rate, `w` the updates of the warm-up,
    /// so that no update is lost at rate 0.
    ///
    /// ```
    /// use mentor_train::{Schedule, Shape};
    /// let cosine = Schedule { shape: Shape::Cosine, warmup_epochs: 1.0 };
    /// assert_eq!(cosine.factor(0, 10, 50), 0.1);
    /// assert_eq!(cosine.factor(10, 10, 50), 1.0);
    /// assert!((cosine.factor(30, 10, 50) - 0.5).abs() < 1e-12);
    /// ```
    pub fn factor(&self, step: u64, steps_per_epoch: u64, num_steps: u64) -> f64 {
        let warmup_steps = self.warmup_epochs * steps_per_epoch as f64;
        let step = step as f64;
        if step < warmup_steps {
            return ((step + 1.0) / warmup_steps).min(1.0);
        }
        match self.shape {
            Shape::Constant => 1.0,
            Shape::Step { epochs, factor } => factor.powf((step / (epochs * steps_per_epoch as f64)).floor()),
            Shape::Cosine => {
                let rest = (num_steps as f64 - warmup_steps).max(1.0);
                0.5 * (1.0 + (std::f64::consts::PI * ((step - warmup_steps) / rest).min(1.0)).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_drops_at_its_epochs() {
        let schedule = Schedule { shape: Shape::Step { epochs: 2.0, factor: 0.1 }, warmup_epochs: 0.0 };
        let factors: Vec<f64> = [0, 19, 20, 40].iter().map(|&step| schedule.factor(step, 10, 60)).collect();
        for (factor, expected) in factors.iter().zip([1.0, 1.0, 0.1, 0.01]) {
            assert!((factor - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn every_shape_stays_in_the_unit_interval() {
        for shape in [Shape::Constant, Shape::Cosine, Shape::Step { epochs: 1.5, factor: 0.3 }] {
            for warmup_epochs in [0.0, 0.05, 2.5, 100.0] {
                let schedule = Schedule { shape, warmup_epochs };
                for step in 0..60 {
                    let factor = schedule.factor(step, 10, 60);
                    assert!(factor > 0.0 && factor <= 1.0, "{shape:?} {warmup_epochs} {step}: {factor}");
                }
            }
        }
    }
}
