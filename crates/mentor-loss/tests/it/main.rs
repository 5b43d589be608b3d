//! The ladder that each loss climbs: by hand, oracle, gradient, ugly points, laws, golden numbers.

#![allow(clippy::unwrap_used, reason = "a test panics on what it does not expect")]

mod by_hand;
mod distillation;
mod distillation_laws;
mod golden;
mod gradients;
mod laws;
mod pairs;
mod penalties;
mod ranking;
mod ranking_golden;
mod relational;
mod support;
mod ugly;
