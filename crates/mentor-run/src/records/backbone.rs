//! The pretrained network that a model stands on.

use serde::{Deserialize, Serialize};

/// A pretrained network that a model stands on. What is made of its weights is under their licence too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackboneRecord {
    /// Name of the network, such as `tf-efficientnet-lite0`.
    pub architecture: String,
    /// blake3 of the bytes of its file of weights.
    pub weights_blake3: String,
    /// Where such weights are published.
    pub source: String,
    /// The licence of the weights that are published there.
    pub licence: String,
}
