//! What a student of classifiers minimises.

use std::num::NonZeroU64;

use burn::tensor::{Device, Tensor, TensorData};
use mentor_data::HostBatch;
use mentor_loss::{Distillation as Loss, DistillationTerms, ScoreLoss, SoftmaxCrossEntropy};
use mentor_model::{Model, Pass};

use crate::engine::error::TrainError;
use crate::engine::objective::Objective;
use crate::engine::objective::batch_loss::{BatchLoss, Measure};
use crate::engine::objective::validation::Validation;
use crate::engine::objective::validation_set::ValidationSet;
use crate::inference::device::targets_to_device;
use crate::plan::loss::ScoreLossPlan;
use crate::teachers::error::TeacherError;
use crate::teachers::images::AugmentedImages;
use crate::teachers::outputs::TeacherOutputs;
use crate::teachers::teacher::{Teacher, fingerprint};

/// The distillation loss of a student that learns from the scores of teachers, and from labels beside them;
/// an objective of [`Trainer`](crate::Trainer). It is judged by accuracy on the labels of the validation
/// split.
pub struct DistillationObjective<'a> {
    pub(super) loss: Loss,
    /// Of the training samples; empty if the teachers' part has weight 0.
    pub(super) outputs: Vec<TeacherOutputs<'a>>,
    pub(super) num_classes: usize,
    /// Fixed augmented versions of each image.
    pub(super) num_augmentations: NonZeroU64,
    pub(super) fingerprint: String,
}

impl<'a> DistillationObjective<'a> {
    /// `images` are the training images as the student sees them: with the augmentation and the seed of its
    /// training. Each update asks the teachers for the images of its batch.
    ///
    /// # Errors
    ///
    /// If there is no teacher, or they give different numbers of scores.
    pub fn new(
        loss: Loss,
        teachers: &[&'a dyn Teacher],
        images: AugmentedImages<'a>,
    ) -> Result<Self, TeacherError> {
        let Some(first) = teachers.first() else {
            return Err(TeacherError::failed("no teacher", "there is none to learn from"));
        };
        let num_classes = first.width();
        if let Some(other) = teachers.iter().find(|other| other.width() != num_classes) {
            let reason =
                format!("it gives {} scores, and {} gives {num_classes}", other.width(), first.name());
            return Err(TeacherError::failed(other.name(), reason));
        }
        Ok(Self {
            loss,
            outputs: teachers.iter().map(|&teacher| TeacherOutputs::Live(teacher, images)).collect(),
            num_classes,
            num_augmentations: NonZeroU64::MIN,
            fingerprint: fingerprint(teachers.iter().copied()),
        })
    }

    /// Shows student and teachers `count` fixed augmented versions of each image, instead of 1.
    #[must_use]
    pub fn with_num_augmentations(self, count: NonZeroU64) -> Self {
        Self { num_augmentations: count, ..self }
    }

    /// `[N, C]` on `device`.
    pub(super) fn tensor(&self, rows: Vec<f32>, device: &Device) -> Tensor<2> {
        let num_rows = rows.len() / self.num_classes;
        Tensor::from_data(TensorData::new(rows, [num_rows, self.num_classes]), device)
    }
}

impl Objective for DistillationObjective<'_> {
    fn fingerprint(&self) -> Option<String> {
        Some(self.fingerprint.clone())
    }

    fn num_augmentations(&self) -> Option<NonZeroU64> {
        // Without teachers it is plain training, which shows a new version every epoch.
        (!self.outputs.is_empty()).then_some(self.num_augmentations)
    }

    fn batch_loss(
        &self,
        model: &Model,
        images: Tensor<4>,
        batch: &HostBatch,
        pass: &Pass<'_>,
    ) -> Result<BatchLoss, TrainError> {
        let device = images.device();
        let draw = pass.draw() % self.num_augmentations;
        let labelled = !batch.targets.is_empty();
        let targets = labelled.then(|| targets_to_device(&batch.targets, &device));
        let mut teachers = Vec::with_capacity(self.outputs.len());
        for outputs in &self.outputs {
            teachers.push(self.tensor(outputs.rows(draw, &batch.samples)?, &device));
        }
        let scores = model.scores(images, pass);
        let weight = batch.samples.len() as f64;
        let mut measures = Vec::new();
        let mut measure = |name, values: Option<Tensor<1>>| {
            measures.extend(values.map(|values| Measure { weight, ..Measure::of_values(name, values) }));
        };
        // Which of the two drives the student: of one batch an epoch, that of the first sample.
        if batch.samples.contains(&0) {
            let DistillationTerms { soft, hard } =
                self.loss.gradient_norms(scores.clone(), &teachers, targets.clone());
            measure("soft_gradient_norm", soft);
            measure("hard_gradient_norm", hard);
        }
        let terms = self.loss.terms(scores.clone(), &teachers, targets);
        measure("soft_loss", terms.soft.clone());
        measure("hard_loss", terms.hard.clone());
        let losses = self.loss.weigh(terms);
        Ok(BatchLoss { losses, scores: labelled.then_some(scores), measures })
    }

    /// The soft part is at most T² ln C: no distribution is further from the uniform one.
    fn loss_of_zero_scores(&self) -> Option<f64> {
        let hard = ScoreLossPlan::SOFTMAX.of_zero_scores(self.num_classes);
        let temperature = self.loss.temperature();
        let soft_weight = self.loss.soft_weight() * temperature * temperature;
        Some((soft_weight + self.loss.hard_weight()) * hard)
    }

    fn validate(&self, model: &Model, val: &ValidationSet<'_>) -> Result<Validation, TrainError> {
        if !val.dataset().is_labelled() {
            // Nothing says which model is better: the last one is kept.
            return Ok(Validation::default());
        }
        ScoreLoss::Softmax(SoftmaxCrossEntropy::new()).validate(model, val)
    }
}
