//! What the report needs of one run, as its directory holds it.

use std::path::{Path, PathBuf};

use mentor_run::records::analysis::Analysis;
use mentor_run::records::distillation::Distillation;
use mentor_run::records::embedding_fidelity::EmbeddingFidelity;
use mentor_run::records::embeddings::EmbeddingAnalysis;
use mentor_run::records::path::PenaltyPath;
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
    /// Of a linear classifier whose penalty was chosen by cross-validation.
    pub(crate) penalty_path: Option<PenaltyPath>,
    /// That of the stored calibration, if the model has been calibrated.
    pub(crate) temperature: Option<f64>,
    /// What of the run's files is missing or damaged, a sentence each.
    pub(crate) gaps: Vec<String>,
}

impl RunReport {
    /// Reads the run in `path`; one that is not complete is read as far as it has come.
    ///
    /// # Errors
    ///
    /// When `path` holds no run, or one of its files cannot be read or is damaged. A file that is missing is
    /// a gap.
    pub fn read(path: &Path) -> Result<Self, RunDirError> {
        let dir = RunDir::open(path)?;
        let config = dir.config()?;
        let log = dir.metrics_log()?;
        let (summary, analysis) = (unless_absent(dir.summary())?, unless_absent(dir.analysis())?);
        let (embeddings, distillation) = (dir.embedding_analysis()?, unless_absent(dir.distillation())?);
        let self_training = unless_absent(dir.self_training())?;
        let embedding_fidelity = unless_absent(dir.embedding_fidelity())?;
        let penalty_path = dir.penalty_path()?;
        let model = unless_absent(dir.calibration())?;
        let found = Found {
            analysis: analysis.is_some(),
            embeddings: embeddings.is_some(),
            distillation: distillation.is_some(),
            self_training: self_training.is_some(),
            embedding_fidelity: embedding_fidelity.is_some(),
            penalty_path: penalty_path.is_some(),
            model: model.is_some(),
            num_damaged_lines: log.num_damaged,
        };
        let gaps = found.gaps(&config, summary.as_ref());
        let calibration = model.flatten();
        Ok(Self {
            path: path.to_owned(),
            config,
            gaps,
            history: History::new(log.lines),
            summary,
            analysis,
            embeddings,
            distillation,
            self_training,
            embedding_fidelity,
            penalty_path,
            temperature: calibration.map(|calibration| calibration.temperature),
        })
    }

    /// What else the recipe measures by this name: of the weights that were kept, or of the last epoch so
    /// far.
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

/// What was found of the files of a run.
struct Found {
    analysis: bool,
    embeddings: bool,
    distillation: bool,
    self_training: bool,
    embedding_fidelity: bool,
    penalty_path: bool,
    model: bool,
    num_damaged_lines: usize,
}

impl Found {
    /// What a run of `config` has at its end, and this one has not.
    fn gaps(&self, config: &Config, summary: Option<&Summary>) -> Vec<String> {
        let mut gaps = Vec::new();
        if let Some(summary) = summary {
            let embeds = matches!(config.loss.name.as_deref(), Some("triplet" | "contrastive"));
            let distils = config.distill.is_some();
            // Students of images without labels have less to show.
            let ranked = embeds && (!distils || summary.measures.contains_key("val_map_at_r"));
            let scored = !embeds && (!distils || summary.train_accuracy.is_some());
            let wanted = [
                ("model.json", true, self.model),
                ("analysis.json", scored, self.analysis),
                ("embeddings.json", ranked, self.embeddings),
                ("distillation.json", distils && !embeds, self.distillation),
                ("embedding-fidelity.json", distils && ranked, self.embedding_fidelity),
                ("path.json", config.path.is_some(), self.penalty_path),
                ("self_training.json", config.self_train.is_some(), self.self_training),
            ];
            let missing = wanted.into_iter().filter(|(_, wanted, found)| *wanted && !found);
            gaps.extend(
                missing.map(|(name, ..)| format!("{name} is missing, so what it holds is not shown.")),
            );
        }
        match self.num_damaged_lines {
            0 => {}
            1 => gaps.push("1 line of metrics.jsonl is damaged and left out of the curves.".to_owned()),
            num => gaps.push(format!("{num} lines of metrics.jsonl are damaged and left out of the curves.")),
        }
        gaps
    }
}

/// A file that is written at the end of a run is absent before, and may have been lost since.
fn unless_absent<T>(read: Result<T, RunDirError>) -> Result<Option<T>, RunDirError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(RunDirError::Incomplete { .. } | RunDirError::MissingFile { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
