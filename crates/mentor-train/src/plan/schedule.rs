//! Learning-rate schedules: linear warm-up, then constant, stepped or cosine.
//!
//! A schedule is a function of the fraction of epochs done, so that it does not depend on the batch size.

use mentor_run::ScheduleConfig;

use super::checker::{Checker, NON_NEGATIVE, POSITIVE};

/// How the learning rate changes over a run, as a factor of its full value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// What follows the warm-up.
    pub shape: Shape,
    /// Epochs over which the factor rises linearly to 1, from the first update on: no update has the factor
    /// 0.
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
    /// A warm-up of `w` updates, a fraction or not, gives every update `k < w` the factor `min(1, (k + 1) /
    /// w)`: no update is lost at rate 0, and none is above the full rate.
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

impl Schedule {
    /// Checks what the user wrote of it, for a run of `epochs`.
    pub(super) fn check(
        config: &ScheduleConfig,
        epochs: usize,
        default_warmup: f64,
        full_batch: bool,
        check: &mut Checker,
    ) -> Self {
        let shape = match config.name.as_deref().unwrap_or(if full_batch { "constant" } else { "cosine" }) {
            "constant" => Shape::Constant,
            "cosine" => Shape::Cosine,
            "step" => {
                let factor = check.number(
                    "step_factor",
                    config.step_factor.unwrap_or(0.1),
                    |x| x > 0.0 && x <= 1.0,
                    "in (0, 1]",
                );
                let epochs = check.number(
                    "step_epochs",
                    config.step_epochs.unwrap_or((epochs as f64 / 3.0).max(1.0)),
                    POSITIVE.0,
                    POSITIVE.1,
                );
                Shape::Step { epochs, factor }
            }
            other => {
                check
                    .problems
                    .push(format!("schedule \"{other}\" is not known; there are constant, step and cosine"));
                Shape::Constant
            }
        };
        if !matches!(shape, Shape::Step { .. }) {
            check.check(config.step_epochs.is_none() && config.step_factor.is_none(), || {
                "step_epochs and step_factor need schedule step".into()
            });
        }
        // A default warm-up never takes more than a tenth of a short run.
        let warmup = config.warmup_epochs.unwrap_or_else(|| default_warmup.min(epochs as f64 / 10.0));
        let warmup_epochs = check.number("warmup_epochs", warmup, NON_NEGATIVE.0, NON_NEGATIVE.1);
        Self { shape, warmup_epochs }
    }

    /// The same over a run that is `factor` times as long: warm-up and steps grow with it.
    pub(crate) fn stretched(&self, factor: f64) -> Self {
        let shape = match self.shape {
            Shape::Step { epochs, factor: drop } => Shape::Step { epochs: epochs * factor, factor: drop },
            other => other,
        };
        Self { shape, warmup_epochs: self.warmup_epochs * factor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warm_up_of_a_fractional_number_of_updates_is_min_1_t_plus_1_over_u() {
        for num_updates in [0.3_f64, 0.5, 1.0, 1.5, 2.5, 3.999, 7.25] {
            let schedule = Schedule { shape: Shape::Constant, warmup_epochs: num_updates / 10.0 };
            for step in 0..12 {
                let expected = ((step as f64 + 1.0) / (num_updates / 10.0 * 10.0)).min(1.0);
                assert!((schedule.factor(step, 10, 60) - expected).abs() < 1e-12, "{num_updates} {step}");
            }
        }
        // 2.5 updates: 0.4, 0.8, 1; cosine starts at 1 there, half an update on.
        let cosine = Schedule { shape: Shape::Cosine, warmup_epochs: 0.25 };
        let factors: Vec<f64> = (0..4).map(|step| cosine.factor(step, 10, 10)).collect();
        let next = 0.5 * (1.0 + (std::f64::consts::PI * 0.5 / 7.5).cos());
        for (factor, expected) in factors.iter().zip([0.4, 0.8, 1.0, next]) {
            assert!((factor - expected).abs() < 1e-12, "{factors:?}");
        }
    }

    #[test]
    fn a_stretched_schedule_has_the_same_factor_at_the_same_share_of_the_run() {
        let shapes = [Shape::Constant, Shape::Step { epochs: 2.0, factor: 0.5 }, Shape::Cosine];
        for schedule in shapes.map(|shape| Schedule { shape, warmup_epochs: 1.0 }) {
            for step in [19, 20, 25, 40, 59] {
                let (short, long) =
                    (schedule.factor(step, 10, 60), schedule.stretched(4.0).factor(4 * step, 10, 240));
                assert!((short - long).abs() < 1e-12, "{schedule:?} {step}: {short} {long}");
            }
        }
    }

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
