//! The report of one or several runs: one HTML file that needs no network.
//!
//! [`RunReport::read`] takes what a run directory holds, [`render`] draws it. Every figure is inline SVG or a
//! small PNG, drawn here; colours are CSS variables, so the same file serves light, dark and paper.

use std::path::{Path, PathBuf};

use mentor_train::analysis::Analysis;
use mentor_train::embedding_analysis::EmbeddingAnalysis;
use mentor_train::embedding_fidelity::EmbeddingFidelity;
use mentor_train::fidelity::Distillation;
use mentor_train::self_training::SelfTraining;
use mentor_train::{Config, RunDir, RunDirError, Summary};

mod axis;
mod calibration;
mod chart;
mod classes;
mod compare;
mod config;
mod confusion;
mod curves;
mod distances;
mod embeddings;
mod fidelity;
#[cfg(test)]
mod fixture;
mod hardest;
mod header;
mod health;
mod history;
mod html;
mod landscape;
mod map;
mod neighbours;
mod numbers;
mod page;
mod picture;
mod self_training;
mod sheet;
mod svg;
#[cfg(test)]
mod tests;
mod weights;

use history::History;

/// What the report needs of one run.
#[derive(Debug)]
pub(crate) struct RunReport {
    /// The directory, as the user named it.
    path: PathBuf,
    config: Config,
    history: History,
    /// Absent while the run is not complete.
    summary: Option<Summary>,
    /// Absent while the run is not complete.
    analysis: Option<Analysis>,
    /// Absent while the run is not complete, and for a classifier.
    embeddings: Option<EmbeddingAnalysis>,
    /// Of a student that is a classifier.
    distillation: Option<Distillation>,
    /// Of self-training, complete.
    self_training: Option<SelfTraining>,
    /// Of a student that gives embeddings.
    embedding_fidelity: Option<EmbeddingFidelity>,
    /// That of the stored calibration, if the model has been calibrated.
    temperature: Option<f64>,
}

impl RunReport {
    /// Reads the run in `path`; one that is not complete is read as far as it has come.
    ///
    /// # Errors
    ///
    /// When `path` holds no run, or one of its files cannot be read or is damaged.
    pub(crate) fn read(path: &Path) -> Result<Self, RunDirError> {
        let dir = RunDir::open(path)?;
        let config = dir.config()?;
        let history = History::new(dir.metrics()?);
        let (summary, analysis) = (unless_incomplete(dir.summary())?, unless_incomplete(dir.analysis())?);
        let (embeddings, distillation) = (dir.embedding_analysis()?, unless_incomplete(dir.distillation())?);
        let self_training = unless_incomplete(dir.self_training())?;
        let embedding_fidelity = unless_incomplete(dir.embedding_fidelity())?;
        let calibration = unless_incomplete(dir.model_file())?.and_then(|file| file.calibration);
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
    fn measure(&self, name: &str) -> Option<f64> {
        let measures = match &self.summary {
            Some(summary) => &summary.measures,
            None => &self.history.epochs.last()?.measures,
        };
        measures.get(name).copied()
    }

    /// Name of the class with this index.
    fn class(&self, index: usize) -> String {
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

/// The report as one HTML document. Several runs are compared first, then shown one after the other.
pub(crate) fn render(runs: &[RunReport]) -> String {
    page::document(runs)
}
