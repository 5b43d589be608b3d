//! What retrieval can refuse.

/// Embeddings or options that cannot be evaluated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RetrievalError {
    /// Values that do not fill rows of the dimension.
    #[error("{num_values} values do not make rows of {dim}")]
    Shape {
        /// Number of values.
        num_values: usize,
        /// Values in a row.
        dim: usize,
    },
    /// A value that is infinite or not a number.
    #[error("embedding {row} has the value {value} at {column}")]
    NotFinite {
        /// The sample.
        row: usize,
        /// The coordinate.
        column: usize,
        /// The value.
        value: f32,
    },
    /// Embeddings and labels that differ in number.
    #[error("{num_labels} labels for {num_embeddings} embeddings")]
    Labels {
        /// Number of labels.
        num_labels: usize,
        /// Number of embeddings.
        num_embeddings: usize,
    },
    /// Queries and gallery of different dimensions.
    #[error("queries have {queries} dimensions, the gallery has {gallery}")]
    Dimensions {
        /// Of the queries.
        queries: usize,
        /// Of the gallery.
        gallery: usize,
    },
    /// More samples than an index can name.
    #[error("{count} samples, at most {} can be ranked", u32::MAX)]
    TooMany {
        /// Number of samples.
        count: usize,
    },
    /// An option outside its range.
    #[error("{name} = {value}: must be at least 1")]
    Option {
        /// The option.
        name: &'static str,
        /// Its value.
        value: usize,
    },
}

impl RetrievalError {
    /// What to do next: ways of which one is enough.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        let ways: &[&str] = match self {
            Self::Shape { .. } => &["give one row a sample"],
            Self::NotFinite { .. } => &["only finite values have distances"],
            Self::Labels { .. } => &["give one a sample"],
            Self::Dimensions { .. } => &["use one model for both"],
            Self::TooMany { .. } | Self::Option { .. } => &[],
        };
        ways.iter().map(|&way| way.to_owned()).collect()
    }
}
