//! Calibration: makes a model's confidences equal its accuracy.
//!
//! [`fit_temperature`] fits one number, [`match_prior`] one bias a class, [`calibrate`] both.

mod error;
mod fit;
mod model;
mod prior;
mod temperature;

pub use error::CalibrationError;
pub use fit::{CalibrationFit, ClassPrior, NotKept, Prior, calibrate};
pub use model::Calibration;
pub use prior::{PRIOR_TOLERANCE, PriorMatch, class_shares, match_prior};
pub use temperature::{TEMPERATURES, TemperatureFit, fit_temperature};
