//! Analysis: what the report draws that needs the model or the data.

pub(crate) mod classifier;
pub(crate) mod embeddings;
pub(crate) mod error;
pub(crate) mod landscape;
pub(crate) mod pixels;
pub(crate) mod subject;
pub(crate) mod trajectory;
