//! An embedding model that was distilled beside its teachers: what `embedding-fidelity.json` holds.

use std::collections::BTreeMap;

use mentor_metrics::retrieval::Retrieval;
use serde::{Deserialize, Serialize};

use super::distillation::{BaselineSummary, Speed};

/// Student, teachers and baseline by what their embeddings find.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingFidelity {
    /// The split that all was measured on: `val`, or `train` if there is none.
    pub split: String,
    /// Its samples.
    pub num_samples: usize,
    /// The student first, then each teacher, then the baseline.
    pub models: Vec<MeasuredEmbeddings>,
    /// The student against the baseline, where there is one.
    pub baseline: Option<BaselineSummary>,
}

/// An embedding model, how large, how good and how fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasuredEmbeddings {
    /// `student`, the teacher's run directory, or `baseline`.
    pub name: String,
    /// Name of the network.
    pub architecture: String,
    /// Trainable parameters.
    pub num_params: usize,
    /// Values of an embedding.
    pub dim: usize,
    /// Share of samples whose nearest other one is of their class; undefined, as the next two, if no sample
    /// has another of its class.
    pub precision_at_1: Option<f64>,
    /// Mean share of their class among the R nearest, R the number of others of the class.
    pub r_precision: Option<f64>,
    /// As [`Retrieval::map_at_r`].
    pub map_at_r: Option<f64>,
    /// Time and images, unless it is the student's network again.
    pub speed: Option<Speed>,
}

impl MeasuredEmbeddings {
    /// As a summary names them.
    pub fn measures(&self) -> BTreeMap<String, f64> {
        named([self.precision_at_1, self.r_precision, self.map_at_r])
    }
}

/// Precision at 1, R-precision and MAP@R under the names that metrics and summaries have for them.
pub fn measures(found: &Retrieval) -> BTreeMap<String, f64> {
    named([found.precision_at_1, found.r_precision, found.map_at_r])
}

/// Those that are defined.
fn named(values: [Option<f64>; 3]) -> BTreeMap<String, f64> {
    let names = ["val_precision_at_1", "val_r_precision", "val_map_at_r"];
    names.into_iter().zip(values).filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_go_by_the_names_of_metrics() {
        let found = named([Some(1.0), None, Some(0.25)]);
        assert_eq!((found["val_map_at_r"], found.len()), (0.25, 2));
    }
}
