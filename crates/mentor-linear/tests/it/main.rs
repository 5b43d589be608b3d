//! Solutions against optima found by other means.
#![allow(missing_docs)]

mod bad_input;
mod oracle;
mod random_problems;
mod threads;
