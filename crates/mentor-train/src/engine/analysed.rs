//! What a recipe makes of a trained model beside its weights: what the report draws, and its part of the
//! summary.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use mentor_model::Model;
use mentor_run::Certificate;
use mentor_run::records::analysis::Analysis;
use mentor_run::records::distillation::{BaselineSummary, Distillation, TeacherSummary};
use mentor_run::records::embedding_fidelity::EmbeddingFidelity;
use mentor_run::records::embeddings::{EmbeddingAnalysis, PixelBaseline};
use mentor_run::{
    DISTILLATION_FILE, EMBEDDING_FIDELITY_FILE, EMBEDDINGS_FILE, EpochMetrics, RunDir, Summary,
};

use crate::analysis::trajectory::Trajectory;
use crate::engine::error::TrainError;
use crate::engine::objective::Objective;

/// An objective of a recipe.
pub(crate) trait Analysed: Objective + Analyse {}

impl<T: Objective + Analyse> Analysed for T {}

/// What finds something in a trained model.
pub(crate) trait Analyse {
    /// What there is to say of the trained model. Ends with [`TrainError::Interrupted`] within a second or a
    /// batch once training is to stop.
    fn analyse(&self, _: &Ended<'_>) -> Result<Findings, TrainError> {
        Ok(Findings::default())
    }
}

/// A training that has come to its end.
pub(crate) struct Ended<'a> {
    /// The model that is kept; without gradients, as the last one.
    pub(crate) chosen: &'a Model,
    pub(crate) last: &'a Model,
    /// The way to the last one.
    pub(crate) trajectory: &'a Trajectory,
    /// Every epoch, also of earlier calls that this one continued.
    pub(crate) epochs: &'a [EpochMetrics],
    pub(crate) stop: &'a AtomicBool,
}

/// What was found; each recipe has some of it.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) analysis: Option<Analysis>,
    pub(crate) embeddings: Option<EmbeddingAnalysis>,
    pub(crate) distillation: Option<Distillation>,
    pub(crate) fidelity: Option<EmbeddingFidelity>,
    /// For the summary.
    pub(crate) certificate: Option<Certificate>,
    pub(crate) teacher: Option<TeacherSummary>,
    pub(crate) baseline: Option<BaselineSummary>,
    pub(crate) features_secs: Option<f64>,
    pub(crate) measures: BTreeMap<String, f64>,
}

impl Findings {
    /// Writes each in its file.
    pub(crate) fn write(&self, run_dir: &RunDir) -> Result<(), TrainError> {
        let Self { analysis, embeddings, distillation, fidelity, .. } = self;
        if let Some(analysis) = analysis {
            run_dir.write_json("analysis.json", analysis)?;
        }
        if let Some(embeddings) = embeddings {
            run_dir.write_json(EMBEDDINGS_FILE, embeddings)?;
        }
        if let Some(distillation) = distillation {
            run_dir.write_json(DISTILLATION_FILE, distillation)?;
        }
        if let Some(fidelity) = fidelity {
            run_dir.write_json(EMBEDDING_FIDELITY_FILE, fidelity)?;
        }
        Ok(())
    }

    /// Adds what the summary tells of it.
    pub(crate) fn complete(self, summary: &mut Summary) {
        summary.certificate = self.certificate.or(summary.certificate.take());
        summary.teacher = self.teacher;
        summary.baseline = self.baseline;
        if let Some(pixels) = self.embeddings.and_then(|embeddings| embeddings.pixels) {
            let PixelBaseline { precision_at_1, embeddings_precision_at_1, .. } = pixels;
            summary.measures.insert("pixels_precision_at_1".to_owned(), precision_at_1);
            summary.measures.insert("beside_pixels_precision_at_1".to_owned(), embeddings_precision_at_1);
        }
        summary.features_secs = self.features_secs;
        summary.measures.extend(self.measures);
    }
}
