//! One function for each form of what a stranger may have written. It takes any bytes, and what comes of them
//! must be a value or an error: no panic, no unbounded memory, no unbounded time.
//!
//! The two modules are also those of a test of the crate `mentor`, which replays every stored input.
//! Therefore they name crates alone, and each other.

#[cfg(feature = "engine")]
pub mod engine;
pub mod parsers;
