//! What a model must be able to do.

use mentor_data::{ImageFormat, Limits};
use serde::Serialize;

/// What is known of a model without running it.
#[derive(Clone, Debug)]
pub struct Description {
    /// Its name in paths and answers.
    pub name: String,
    /// The network, for people.
    pub architecture: String,
    /// Names of the classes, in the order of the probabilities; none of an embedding model.
    pub classes: Vec<String>,
    /// What pictures are brought to.
    pub format: ImageFormat,
    /// Sizes of picture files that are refused.
    pub limits: Limits,
    /// Values of an embedding.
    pub embedding_size: usize,
    /// Pictures that are searched; 0 without an index.
    pub num_indexed: usize,
}

/// A picture of the index, and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Neighbour {
    /// The picture.
    pub path: String,
    /// In the model's distance.
    pub distance: f64,
}

/// A model. One thread asks it; it may divide its work among others.
///
/// Images are bytes `[channels, height, width]` in [`Description::format`]. An error is one line.
pub trait ServedModel: Send + Sync + 'static {
    /// What is known of it.
    fn description(&self) -> &Description;

    /// The probability of each class, one row an image. It is asked of classifiers alone.
    ///
    /// # Errors
    ///
    /// If the model fails.
    fn probabilities(&self, images: &[Vec<u8>]) -> Result<Vec<Vec<f64>>, String>;

    /// One row an image.
    ///
    /// # Errors
    ///
    /// If the model fails.
    fn embeddings(&self, images: &[Vec<u8>]) -> Result<Vec<Vec<f32>>, String>;

    /// The pictures of the index that are nearest to an embedding, the nearest first. It is asked of models
    /// with an index alone, by any thread.
    ///
    /// # Errors
    ///
    /// If the search fails.
    fn nearest(&self, embedding: &[f32], count: usize) -> Result<Vec<Neighbour>, String>;
}
