//! Measures of models, on plain slices: no tensors, no files.
//!
//! | module | asks |
//! |---|---|
//! | [`classification`] | how often are scores right, and which classes are confused? |
//! | [`calibration`] | do confidences equal accuracy, and how can they be calibrated? |
//! | [`agreement`] | do two models say the same? |
//! | [`mcnemar()`] | is one of two models better by more than chance? |
//! | [`retrieval`] | are the nearest neighbours of an embedding of its class? |
//! | [`embeddings`] | how far apart are classes, and what is the plane of largest variance? |
//! | [`conformal`] | which classes hold the right one at a stated rate, and how unusual is a sample? |
//! | [`label_errors`] | which given labels are likely wrong? |
//! | [`pseudo_labels`] | which label does a teacher give an image, and is it right? |

pub mod agreement;
pub mod calibration;
pub mod classification;
pub mod conformal;
pub mod embeddings;
mod interval;
pub mod label_errors;
mod mcnemar;
pub mod pseudo_labels;
pub mod retrieval;
mod subsample;

pub use interval::{Interval, accuracy_interval, wilson_interval};
pub use mcnemar::{McNemar, mcnemar};
pub use subsample::{evenly_spread, stratified_subsample};
