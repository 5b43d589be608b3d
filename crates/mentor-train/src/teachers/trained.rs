//! A trained model as a teacher.

use std::path::Path;

use burn::tensor::Device;
use mentor_data::{DataError, class_differences, shown_path};
use mentor_metrics::retrieval::Metric;
use mentor_model::{Head, Model};
use rayon::prelude::*;

use crate::inference::trained_model::TrainedModel;
use crate::plan::distill::DistillMode;
use crate::teachers::error::TeacherError;
use crate::teachers::images::AugmentedImages;
use crate::teachers::teacher::Teacher;

/// Images of every forward pass of a teacher. Always this many, the last pass filled up with copies: the last
/// bits of an output depend on how many images pass together, and cached and live ones are to be the same.
pub(crate) const TEACHER_ROWS: usize = 128;

/// A trained model that another is to learn from.
#[derive(Debug)]
pub struct TrainedTeacher {
    /// Its run directory.
    name: String,
    trained: TrainedModel,
}

impl TrainedTeacher {
    /// The model of a complete run.
    ///
    /// # Errors
    ///
    /// When the run cannot be loaded or does not hold what `mode` learns from.
    pub fn load(run: &Path, mode: DistillMode, device: &Device) -> Result<Self, TeacherError> {
        let teacher = Self { name: shown_path(run), trained: TrainedModel::load(run, device)? };
        match (teacher.trained.file.spec.head, mode.is_of_embeddings()) {
            (Head::Classifier { .. }, false) | (Head::Embedding { .. }, true) => Ok(teacher),
            (Head::Embedding { .. }, false) => {
                Err(teacher.refused("it gives embeddings", &["set `distill.mode` to relational or cosine"]))
            }
            (Head::Classifier { .. }, true) => Err(teacher.refused(
                &format!("it gives scores, and mode {mode} learns from embeddings"),
                &["leave `distill.mode` out", "name the run of an embedding model"],
            )),
        }
    }

    /// # Errors
    ///
    /// When a student with embeddings of `size` values cannot point where the teacher does.
    pub(crate) fn check_size(&self, size: usize) -> Result<(), TeacherError> {
        let width = self.width();
        if width == size {
            return Ok(());
        }
        let reason = format!(
            "its embeddings have {width} values and the student's {size}, and mode cosine compares them \
             value by value"
        );
        let size = format!("set `model.embedding_size` to {width}");
        Err(self.refused(&reason, &[&size, "set `distill.mode` to relational, which compares distances"]))
    }

    /// # Errors
    ///
    /// When the teacher's classes are not `classes`, with the names that differ; `place` says whose they are.
    pub(crate) fn check_classes(&self, classes: &[String], place: &str) -> Result<(), TeacherError> {
        let own = self.classes();
        if own == classes {
            return Ok(());
        }
        let found = class_differences((place, classes), ("the teacher has", own)).join(", ");
        let ways = ["distil on data with the teacher's classes", "train a teacher on this data"];
        Err(self.refused(&format!("the classes differ ({found})"), &ways))
    }

    fn refused(&self, reason: &str, ways: &[&str]) -> TeacherError {
        let help = ways.iter().map(|&way| way.to_owned()).collect();
        TeacherError::Refused { teacher: self.name.clone(), reason: reason.to_owned(), help }
    }

    pub(crate) fn classes(&self) -> &[String] {
        &self.trained.file.classes
    }

    pub(crate) fn trained(&self) -> &TrainedModel {
        &self.trained
    }

    pub(crate) fn model(&self) -> &Model {
        &self.trained.model
    }

    /// What near means among its embeddings.
    pub(crate) fn metric(&self) -> Metric {
        self.trained.metric()
    }
}

impl Teacher for TrainedTeacher {
    fn name(&self) -> &str {
        &self.name
    }

    fn width(&self) -> usize {
        self.trained.file.spec.head.size()
    }

    fn fingerprint(&self) -> String {
        self.trained.file.weights_blake3.clone()
    }

    fn outputs(
        &self,
        images: &AugmentedImages<'_>,
        draw: u64,
        samples: &[u32],
    ) -> Result<Vec<f32>, TeacherError> {
        let (format, own) = (images.dataset().format(), &self.trained.file.preprocessing.format);
        let image = |&sample: &u32| Ok(own.convert(format, &images.read(draw, sample)?));
        let mut outputs = Vec::with_capacity(samples.len() * self.width());
        for samples in samples.chunks(TEACHER_ROWS) {
            let mut images: Vec<Vec<u8>> = samples.par_iter().map(image).collect::<Result<_, DataError>>()?;
            if let Some(last) = images.last().cloned() {
                images.resize(TEACHER_ROWS, last);
            }
            let rows = match self.trained.file.spec.head {
                Head::Classifier { .. } => self.trained.scores(&images),
                Head::Embedding { .. } => self.trained.embeddings(&images),
            }
            .expect("images were brought to the teacher's own format");
            outputs.extend_from_slice(&rows.values[..samples.len() * rows.width]);
        }
        Ok(outputs)
    }
}
