//! Solutions against optima found by other means.
#![allow(missing_docs)]

mod bad_input;
mod few_samples;
mod golden;
mod interruption;
mod oracle;
mod paths;
mod random_problems;
mod threads;
