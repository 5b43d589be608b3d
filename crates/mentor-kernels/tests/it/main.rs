//! Tests of what the crate offers to others.

#![allow(clippy::unwrap_used, reason = "a test panics on what it does not expect")]

mod conv;
