//! Classification: the classes that scores name, and how often they are right, sure and confused.

mod evaluation;
mod results;

pub use evaluation::{CalibrationBin, ClassMetrics, Evaluation, NUM_CALIBRATION_BINS};
pub use results::{SampleResult, expected_error, judge, ranked, summarise};
