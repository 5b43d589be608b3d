//! A local page on which a person labels pictures, while a linear classifier learns from the answers.
//!
//! ```text
//! browser ─▶ routes ─▶ Session ─▶ LabelsFile (append, fsync)
//!                         └─▶ Learner: a thread that fits a head and says what comes next
//! ```
//!
//! [`annotate`] serves on 127.0.0.1 alone, under an address with a random token. An answer is on disk before
//! the next picture is named.

mod error;
mod labels_file;
mod learner;
mod picture;
mod routes;
mod server;
mod session;

pub use error::AnnotateError;
pub use server::{Annotation, annotate};
