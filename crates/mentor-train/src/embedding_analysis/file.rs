//! Where a run keeps its embedding analysis.

use std::io::ErrorKind;

use super::EmbeddingAnalysis;
use crate::run_dir::{RunDir, RunDirError};

/// Name of the file in the run directory.
pub const EMBEDDINGS_FILE: &str = "embeddings.json";

impl RunDir {
    /// The embedding analysis of a run; `None` where the run has none, as for a classifier or before the end.
    ///
    /// # Errors
    ///
    /// [`RunDirError::Io`] if the file cannot be read; [`RunDirError::Damaged`] if it does not parse.
    pub fn embedding_analysis(&self) -> Result<Option<EmbeddingAnalysis>, RunDirError> {
        let path = self.path().join(EMBEDDINGS_FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RunDirError::Io { path, action: "read", source }),
        };
        let damaged = |error: serde_json::Error| RunDirError::Damaged { path, message: error.to_string() };
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }
}
