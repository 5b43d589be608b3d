//! What is built: a name, the input's shape, what the last layer gives, and how much noise.

use serde::{Deserialize, Serialize};

/// Everything that, with a seed, determines a model. Stored next to the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Name of the network, such as `cnn` or `wrn-16-2`; see [`Architecture`](crate::Architecture).
    pub architecture: String,
    /// Channels, height and width of the images.
    pub input: [usize; 3],
    /// What the last layer gives.
    pub head: Head,
    /// Probability in `[0, 1)` that a unit is dropped in training. 0 removes the operation.
    pub dropout: f64,
    /// Probability in `[0, 1)` that the last residual block is skipped in training; block l of L is skipped
    /// with l/L of it (Huang et al. 2016). 0 removes the operation.
    pub stochastic_depth: f64,
}

/// What the last fully connected layer of a network gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Head {
    /// One score a class.
    Classifier {
        /// At least 2.
        num_classes: usize,
    },
    /// A point of a space in which distance means dissimilarity.
    Embedding {
        /// Its dimension, at least 1.
        size: usize,
        /// Whether each embedding is divided by its Euclidean norm.
        unit_norm: bool,
    },
}

impl Head {
    /// Number of values that the last layer gives for an image.
    pub fn size(&self) -> usize {
        match *self {
            Self::Classifier { num_classes } => num_classes,
            Self::Embedding { size, .. } => size,
        }
    }
}

impl ModelSpec {
    /// A classifier without dropout and stochastic depth.
    pub fn new(architecture: impl Into<String>, input: [usize; 3], num_classes: usize) -> Self {
        let head = Head::Classifier { num_classes };
        Self { architecture: architecture.into(), input, head, dropout: 0.0, stochastic_depth: 0.0 }
    }
}
