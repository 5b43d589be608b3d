//! What the report needs of one run, as its directory holds it.

use std::path::{Path, PathBuf};

use mentor_run::records::analysis::Analysis;
use mentor_run::records::distillation::Distillation;
use mentor_run::records::embedding_fidelity::EmbeddingFidelity;
use mentor_run::records::embeddings::EmbeddingAnalysis;
use mentor_run::records::self_training::SelfTraining;
use mentor_run::{Config, RunDir, RunDirError, Summary};

use crate::history::History;

/// What the report needs of one run.
#[derive(Debug)]
pub struct RunReport {
    /// The directory, as the user named it.
    pub(crate) path: PathBuf,
    pub(crate) config: Config,
    pub(crate) history: History,
    /// Absent while the run is not complete.
    pub(crate) summary: Option<Summary>,
    /// Absent while the run is not complete.
    pub(crate) analysis: Option<Analysis>,
    /// Absent while the run is not complete, and for a classifier.
    pub(crate) embeddings: Option<EmbeddingAnalysis>,
    /// Of a student that is a classifier.
    pub(crate) distillation: Option<Distillation>,
    /// Of self-training, complete.
    pub(crate) self_training: Option<SelfTraining>,
    /// Of a student that gives embeddings.
    pub(crate) embedding_fidelity: Option<EmbeddingFidelity>,
    /// That of the stored calibration, if the model has been calibrated.
    pub(crate) temperature: Option<f64>,
}

impl RunReport {
    /// Reads the run in `path`; one that is not complete is read as far as it has come.
    ///
    /// # Errors
    ///
    /// When `path` holds no run, or one of its files cannot be read or is damaged.
    pub fn read(path: &Path) -> Result<Self, RunDirError> {
        let dir = RunDir::open(path)?;
        let config = dir.config()?;
        let history = History::new(dir.metrics()?);
        let (summary, analysis) = (unless_incomplete(dir.summary())?, unless_incomplete(dir.analysis())?);
        let (embeddings, distillation) = (dir.embedding_analysis()?, unless_incomplete(dir.distillation())?);
        let self_training = unless_incomplete(dir.self_training())?;
        let embedding_fidelity = unless_incomplete(dir.embedding_fidelity())?;
        let calibration = unless_incomplete(dir.calibration())?.flatten();
        Ok(Self {
            path: path.to_owned(),
            config,
            history,
            summary,
            analysis,
            embeddings,
            distillation,
            self_training,
            embedding_fidelity,
            temperature: calibration.map(|calibration| calibration.temperature),
        })
    }

    /// What else the recipe measures by this name: of the weights that were kept, or of the last epoch so far.
    pub(crate) fn measure(&self, name: &str) -> Option<f64> {
        let measures = match &self.summary {
            Some(summary) => &summary.measures,
            None => &self.history.epochs.last()?.measures,
        };
        measures.get(name).copied()
    }

    /// Name of the class with this index.
    pub(crate) fn class(&self, index: usize) -> String {
        let classes = self.analysis.as_ref().map_or(&[][..], |analysis| &analysis.evaluation.per_class);
        classes.get(index).map_or_else(|| format!("class {index}"), |metrics| metrics.class.clone())
    }
}

/// A file that is written at the end of a run is absent before.
fn unless_incomplete<T>(read: Result<T, RunDirError>) -> Result<Option<T>, RunDirError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(RunDirError::Incomplete { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
