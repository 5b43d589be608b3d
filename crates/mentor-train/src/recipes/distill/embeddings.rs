//! What a student of an embedding model minimises, and how it is judged beside its teachers.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Device, Tensor, TensorData};
use mentor_data::{HostBatch, Order};
use mentor_loss::{EmbeddingCosine, RelationalDistance};
use mentor_metrics::retrieval::{Neighbourhoods, Retrieval};
use mentor_metrics::{McNemar, mcnemar};
use mentor_model::{Model, Pass};
use mentor_run::records::distillation::{BaselineSummary, Speed, TeacherSummary};
use mentor_run::records::embedding_fidelity::{
    EmbeddingFidelity, MeasuredEmbeddings, measures as retrieval_measures,
};

use super::objective::judged;
use crate::engine::analysed::{Analyse, Ended, Findings};
use crate::engine::error::TrainError;
use crate::engine::objective::Objective;
use crate::engine::objective::batch_loss::{BatchLoss, Measure, Sum};
use crate::engine::objective::validation::Validation;
use crate::engine::objective::validation_set::ValidationSet;
use crate::engine::training_data::TrainingData;
use crate::inference::device::to_host;
use crate::inference::evaluate::{embed_samples, in_order};
use crate::inference::speed::speed;
use crate::inference::trained_model::TrainedModel;
use crate::plan::Plan;
use crate::plan::distill::{DistillMode, DistillPlan};
use crate::plan::loss::RankingPlan;
use crate::recipes::metric_learning::Ranking;
use crate::teachers::outputs::TeacherOutputs;
use crate::teachers::teacher::{Teacher, fingerprint};
use crate::teachers::trained::TrainedTeacher;

/// The relational or cosine loss, and with a hard weight the ranking loss of the labels; judged by MAP@R, or
/// without labels by the loss.
pub(super) struct DistilledEmbeddings<'a> {
    pub(super) plan: &'a Plan,
    pub(super) distill: &'a DistillPlan,
    pub(super) student: &'a RankingPlan,
    pub(super) data: &'a TrainingData,
    /// What there is with labels.
    pub(super) ranking: Option<Ranking<'a>>,
    pub(super) teachers: &'a [TrainedTeacher],
    /// Embeddings of the training samples; empty where the teachers' part has weight 0.
    pub(super) outputs: Vec<TeacherOutputs<'a>>,
    /// Embeddings of the judged samples, one list a teacher.
    pub(super) judged_outputs: Vec<Vec<f32>>,
    /// The run of the same network without teachers.
    pub(super) baseline: Option<PathBuf>,
    pub(super) warnings: Vec<String>,
    /// Without gradients.
    pub(super) device: Device,
}

impl DistilledEmbeddings<'_> {
    /// The ranking of labels, where its loss has a weight.
    fn hard(&self) -> Option<&Ranking<'_>> {
        self.ranking.as_ref().filter(|_| self.distill.hard_weight > 0.0)
    }

    /// The mean over the teachers of the loss of a batch, `[1]`; `teachers` are their embeddings, row-major.
    fn soft(&self, student: &Tensor<2>, teachers: &[Vec<f32>]) -> Option<Tensor<1>> {
        let [num_samples, _] = student.dims();
        let losses = self.teachers.iter().zip(teachers).map(|(teacher, values)| {
            let values = TensorData::new(values.clone(), [num_samples, teacher.width()]);
            let wanted = Tensor::<2>::from_data(values, &student.device());
            match self.distill.mode {
                DistillMode::Cosine => EmbeddingCosine::new().per_sample(student.clone(), wanted).mean(),
                _ => RelationalDistance::new().batch(student.clone(), wanted),
            }
        });
        let sum = losses.reduce(|sum, loss| sum + loss)?;
        Some(sum.div_scalar(self.teachers.len() as f64))
    }

    /// The loss of the teachers on samples in order, of which these are the student's embeddings: in batches
    /// as in training, because a relation is one within a batch.
    fn soft_of(&self, values: &[f32]) -> f64 {
        let (dim, batch_size) = (self.student.embedding_size, self.plan.training.optimizer.batch_size);
        let (mut sum, num_samples) = (0.0, values.len() / dim);
        for (index, values) in values.chunks(batch_size * dim).enumerate() {
            let count = values.len() / dim;
            let teachers: Vec<Vec<f32>> = self
                .teachers
                .iter()
                .zip(&self.judged_outputs)
                .map(|(teacher, all)| {
                    let width = teacher.width();
                    all[index * batch_size * width..][..count * width].to_vec()
                })
                .collect();
            let student =
                Tensor::<2>::from_data(TensorData::new(values.to_vec(), [count, dim]), &self.device);
            let loss = self.soft(&student, &teachers).map_or(0.0, |loss| f64::from(to_host(loss)[0]));
            sum += loss * count as f64;
        }
        sum / num_samples.max(1) as f64
    }

    /// The student beside its teachers and the baseline.
    fn compare(&self, student: &Model, stop: &AtomicBool) -> Result<EmbeddingFidelity, TrainError> {
        let (split, dataset) = judged(self.data);
        let labels = dataset.targets();
        let batch_size = self.plan.training.optimizer.batch_size;
        let loader = in_order(dataset, &self.data.preprocessing, batch_size);
        let embed = |model| embed_samples(model, &loader, &self.device, stop);
        let measured = |name: &str, model: &Model, values: &[f32], metric, timed: bool| {
            let found = Neighbourhoods::of(values, labels, metric, stop)?.ok_or(TrainError::Interrupted)?;
            let speed = timed.then(|| speed(model, &self.device, stop)).transpose()?;
            Ok::<_, TrainError>((describe(name, model, &found, speed), found))
        };
        let own = self.student.metric();
        let (model, student_finds) = measured("student", student, &embed(student)?, own, true)?;
        let mut models = vec![model];
        for (teacher, values) in self.teachers.iter().zip(&self.judged_outputs) {
            models.push(measured(teacher.name(), teacher.model(), values, teacher.metric(), true)?.0);
        }
        let mut baseline = None;
        if let Some(run) = &self.baseline {
            let trained = TrainedModel::load(run, &self.device)?;
            let (model, finds) = measured("baseline", &trained.model, &embed(&trained.model)?, own, false)?;
            let McNemar { only_first, only_second, p_value } =
                mcnemar(labels, &student_finds.nearest_labels, &finds.nearest_labels);
            baseline = Some(BaselineSummary {
                test_accuracy: None,
                val_accuracy: None,
                only_student: only_first,
                only_baseline: only_second,
                p_value,
                measures: model.measures(),
            });
            models.push(model);
        }
        Ok(EmbeddingFidelity { split: split.to_owned(), num_samples: dataset.len(), models, baseline })
    }
}

/// What the report says of one of the models.
fn describe(name: &str, model: &Model, found: &Neighbourhoods, speed: Option<Speed>) -> MeasuredEmbeddings {
    let Retrieval { precision_at_1, r_precision, map_at_r, .. } = found.retrieval;
    MeasuredEmbeddings {
        name: name.to_owned(),
        architecture: model.spec().architecture.clone(),
        num_params: model.num_params(),
        dim: found.dim,
        precision_at_1,
        r_precision,
        map_at_r,
        speed,
    }
}

impl Objective for DistilledEmbeddings<'_> {
    fn order(&self) -> Order {
        self.hard().map_or(Order::Shuffled, Objective::order)
    }

    fn fingerprint(&self) -> Option<String> {
        // Of the labels' part too, which may have triplets.
        let of_labels = self.hard().and_then(Objective::fingerprint).unwrap_or_default();
        Some(fingerprint(self.teachers.iter().map(|teacher| teacher as &dyn Teacher)) + &of_labels)
    }

    fn num_augmentations(&self) -> Option<NonZeroU64> {
        // Without teachers it is plain training, which shows a new version every epoch.
        (!self.outputs.is_empty()).then_some(self.distill.views)
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn batch_loss(
        &self,
        model: &Model,
        images: Tensor<4>,
        batch: &HostBatch,
        pass: &Pass<'_>,
    ) -> Result<BatchLoss, TrainError> {
        let draw = pass.draw();
        let embeddings = model.embeddings(images, pass);
        let mut measures = Vec::new();
        let mut measure = |name, loss: &Tensor<1>| {
            measures.push(Measure { name, sum: Sum::Device(Box::new(loss.clone())), weight: 1.0 });
        };
        let mut teachers = Vec::with_capacity(self.outputs.len());
        for outputs in &self.outputs {
            teachers.push(outputs.rows(draw % self.distill.views, &batch.samples)?);
        }
        let soft = self.soft(&embeddings, &teachers);
        if let Some(soft) = &soft {
            measure("soft_loss", soft);
        }
        let hard = self.hard().map(|ranking| ranking.of_embeddings(embeddings.clone(), batch)).transpose()?;
        if let Some(hard) = &hard {
            measure("hard_loss", &hard.losses);
        }
        let (hard, told) = hard.map_or((None, Vec::new()), |hard| (Some(hard.losses), hard.measures));
        measures.extend(told);
        let soft = soft.map(|soft| soft.mul_scalar(self.distill.soft_weight));
        let hard = hard.map(|hard| hard.mul_scalar(self.distill.hard_weight));
        let losses = match (soft, hard) {
            (Some(soft), Some(hard)) => soft + hard,
            // A plan has one weight above 0.
            (one, other) => one.or(other).unwrap_or_else(|| embeddings.sum().mul_scalar(0.0)),
        };
        Ok(BatchLoss { losses, scores: None, measures })
    }

    fn validate(&self, model: &Model, val: &ValidationSet<'_>) -> Result<Validation, TrainError> {
        let values = val.embeddings(model)?;
        if values.iter().any(|value| !value.is_finite()) {
            return Ok(Validation { data_loss: Some(f64::NAN), ..Validation::default() });
        }
        let labels = val.dataset().targets();
        let DistillPlan { soft_weight, hard_weight, .. } = *self.distill;
        let soft = self.soft_of(&values);
        let mut measures = BTreeMap::from([("val_soft_loss".to_owned(), soft)]);
        let mut data_loss = Some(if soft_weight > 0.0 { soft_weight * soft } else { 0.0 });
        if let Some(ranking) = self.hard() {
            let hard = ranking.data_loss(&values, labels)?;
            data_loss = data_loss.zip(hard).map(|(soft, hard)| soft + hard_weight * hard);
        }
        let Some(ranking) = &self.ranking else {
            return Ok(Validation {
                score: data_loss.map(|loss| -loss),
                data_loss,
                accuracy: None,
                measures,
            });
        };
        let found = ranking.retrieval(&values, labels)?;
        measures.extend(retrieval_measures(&found));
        Ok(Validation { score: found.map_at_r, data_loss, accuracy: None, measures })
    }
}

impl Analyse for DistilledEmbeddings<'_> {
    fn analyse(&self, ended: &Ended<'_>) -> Result<Findings, TrainError> {
        let num_params = self.teachers.iter().map(|teacher| teacher.model().num_params()).sum();
        let mut teacher = TeacherSummary { val_accuracy: None, num_params, measures: BTreeMap::new() };
        let Some(ranking) = &self.ranking else {
            return Ok(Findings { teacher: Some(teacher), ..Findings::default() });
        };
        let findings = ranking.analyse(ended)?;
        let found = self.compare(ended.chosen, ended.stop)?;
        let on_val = found.split == "val";
        if on_val {
            // Embeddings of several teachers have no mean: the best of them is what the student could reach.
            let teachers = found.models.iter().skip(1).take(self.teachers.len());
            let best = teachers.max_by(|a, b| {
                let key = |model: &MeasuredEmbeddings| model.map_at_r.unwrap_or(f64::NEG_INFINITY);
                key(a).total_cmp(&key(b))
            });
            teacher.measures = best.map(MeasuredEmbeddings::measures).unwrap_or_default();
        }
        Ok(Findings {
            teacher: Some(teacher),
            baseline: found.baseline.clone().filter(|_| on_val),
            fidelity: Some(found),
            ..findings
        })
    }
}
