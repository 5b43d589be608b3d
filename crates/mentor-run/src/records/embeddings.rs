//! What the report draws of an embedding model: `embeddings.json`.
//!
//! Plain data, computed once when a run ends, with [`pca`](mentor_metrics::embeddings::pca) for the map,
//! [`pair_distances`](mentor_metrics::embeddings::pair_distances) for the histograms,
//! [`retrieval`](mentor_metrics::retrieval) for the rows and the metrics, and [`EpochHealth`] for each epoch.

use mentor_metrics::embeddings::PairDistances;
use mentor_metrics::retrieval::{Metric, Retrieval};
use serde::{Deserialize, Serialize};

use super::health::EpochHealth;
use super::picture::Picture;

/// Everything that the report shows of the embeddings of one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingAnalysis {
    /// `train`, `val` or `test`.
    pub split: String,
    /// Values of an embedding.
    pub dim: usize,
    /// What near means.
    pub metric: Metric,
    /// Names of the classes; labels index them.
    pub classes: Vec<String>,
    /// Retrieval of the split's samples among each other.
    pub retrieval: Retrieval,
    /// Distances of pairs.
    pub distances: PairDistances,
    /// The first two principal components.
    pub map: EmbeddingMap,
    /// Some queries with their nearest neighbours.
    pub rows: Vec<RetrievalRow>,
    /// Thumbnails, each once; points and rows refer to them by index.
    pub pictures: Vec<Picture>,
    /// What training said about the embeddings after each epoch.
    pub health: Vec<EpochHealth>,
    /// The margin of the training loss, where it has one.
    pub margin: Option<f64>,
    /// What pixels retrieve; absent in files of earlier versions, and where it is not defined.
    #[serde(default)]
    pub pixels: Option<PixelBaseline>,
}

/// Retrieval by pixels beside that by embeddings, of the same images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PixelBaseline {
    /// Images of the split that were compared with each other.
    pub num_images: usize,
    /// P@1 of the pixels, brought to 32×32, by Euclidean distance.
    pub precision_at_1: f64,
    /// P@1 of the embeddings of these images.
    pub embeddings_precision_at_1: f64,
}

impl PixelBaseline {
    /// Whether the embeddings retrieve better.
    pub fn is_beaten(&self) -> bool {
        self.embeddings_precision_at_1 > self.precision_at_1
    }
}

/// Samples on the plane of their two largest principal components.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingMap {
    /// Share of the variance along each of the two components.
    pub explained: [f64; 2],
    /// The samples.
    pub points: Vec<MapPoint>,
    /// Samples of the split, of which the points may be a part.
    pub num_samples: usize,
    /// Samples that the components were fitted to; absent in files of earlier versions, which took all.
    #[serde(default)]
    pub num_fitted: Option<usize>,
}

/// A sample on the map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapPoint {
    /// Coordinate along the largest component.
    pub x: f32,
    /// Coordinate along the second.
    pub y: f32,
    /// Index of its class.
    pub label: u32,
    /// Id of the sample.
    pub id: String,
    /// Index of its picture, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<usize>,
}

/// A query and its nearest neighbours, itself left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetrievalRow {
    /// The query; its distance is 0.
    pub query: RetrievedSample,
    /// Nearest first.
    pub neighbours: Vec<RetrievedSample>,
}

/// A sample in a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetrievedSample {
    /// Id of the sample.
    pub id: String,
    /// Index of its class.
    pub label: u32,
    /// Distance to the query.
    pub distance: f64,
    /// Index of its picture, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<usize>,
}
