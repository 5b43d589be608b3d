//! Measures against slower ones that are plainly right, and against other libraries.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod retrieval;
