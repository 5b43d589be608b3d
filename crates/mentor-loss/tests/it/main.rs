//! The ladder that each loss climbs: by hand, oracle, gradient, ugly points, laws, golden numbers.

mod by_hand;
mod golden;
mod gradients;
mod laws;
mod penalties;
mod support;
mod ugly;
