//! Analysis: what the report draws that needs the model or the data.

pub(crate) mod classifier;
pub(crate) mod embeddings;
pub(crate) mod landscape;
pub(crate) mod trajectory;
pub(crate) mod weights;
