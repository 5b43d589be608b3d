//! Classification: the classes that scores name, and how often they are right, sure and confused.

mod confusion;
mod evaluation;
mod results;

pub use confusion::{Cell, Confusion};
pub use evaluation::{CalibrationBin, ClassMetrics, Evaluation, NUM_CALIBRATION_BINS};
pub use results::{SampleResult, expected_error, judge, ranked, summarise};
