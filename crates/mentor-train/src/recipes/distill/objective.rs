//! A student of classifiers beside its teachers.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Device, Tensor};
use mentor_data::{Dataset, HostBatch};
use mentor_metrics::agreement::{Probabilities, accuracy};
use mentor_metrics::{McNemar, mcnemar};
use mentor_model::{Model, Pass};
use mentor_run::records::Picture;
use mentor_run::records::distillation::{
    BaselineSummary, Disagreement, Distillation, Measured, TeacherSummary,
};

use super::scores::DistillationObjective;
use crate::engine::analysed::{Analyse, Ended, Findings};
use crate::engine::error::TrainError;
use crate::engine::objective::Objective;
use crate::engine::objective::batch_loss::BatchLoss;
use crate::engine::objective::validation::Validation;
use crate::engine::objective::validation_set::ValidationSet;
use crate::engine::training_data::TrainingData;
use crate::inference::device::{images_to_device, targets_to_device, to_host};
use crate::inference::error::{NEVER, go_on};
use crate::inference::evaluate::in_order;
use crate::inference::speed::speed;
use crate::inference::trained_model::TrainedModel;
use crate::plan::Plan;
use crate::recipes::supervised::Supervised;
use crate::teachers::teacher::Teacher;
use crate::teachers::trained::TrainedTeacher;

/// Samples shown on which student and teachers disagree, at most.
const NUM_DISAGREEMENTS: usize = 24;

/// The distillation loss of a recipe; judged by accuracy, or without labels by agreement with the teachers.
pub(super) struct Distilled<'a> {
    pub(super) plan: &'a Plan,
    pub(super) data: &'a TrainingData,
    pub(super) student: DistillationObjective<'a>,
    /// Analyses what there is with labels.
    pub(super) supervised: Option<Supervised<'a>>,
    pub(super) teachers: &'a [TrainedTeacher],
    /// Of the judged samples, one list a teacher.
    pub(super) judged_scores: Vec<Vec<f32>>,
    /// The run of the same network without teachers.
    pub(super) baseline: Option<PathBuf>,
    pub(super) warnings: Vec<String>,
    /// Without gradients.
    pub(super) device: Device,
}

/// The samples on which student and teachers are compared: those of validation, or if there are none of
/// training.
pub(super) fn judged(data: &TrainingData) -> (&'static str, &Arc<Dataset>) {
    match &data.val {
        Some(val) => ("val", val),
        None => ("train", &data.train),
    }
}

impl Distilled<'_> {
    fn num_classes(&self) -> usize {
        self.student.num_classes
    }

    /// The student's scores of a data set as it is, and its loss of each sample given those of the teachers.
    fn score(
        &self,
        model: &Model,
        dataset: &Arc<Dataset>,
        teachers: &[Vec<f32>],
        stop: &AtomicBool,
    ) -> Result<(Vec<f32>, f64), TrainError> {
        let loader = in_order(dataset, &self.data.preprocessing, self.plan.training.optimizer.batch_size);
        let (mut rows, mut losses) = (Vec::new(), Vec::new());
        for batch in loader.epoch(0, 0) {
            go_on(stop)?;
            let mut batch = batch?;
            let scores = model.scores(images_to_device(&mut batch, &self.device), &Pass::Inference);
            let at = rows.len()..rows.len() + batch.samples.len() * self.num_classes();
            let teachers: Vec<_> = teachers
                .iter()
                .map(|all| self.student.tensor(all[at.clone()].to_vec(), &self.device))
                .collect();
            let targets = dataset.is_labelled().then(|| targets_to_device(&batch.targets, &self.device));
            losses.extend(to_host(self.student.loss.per_sample(scores.clone(), &teachers, targets)));
            rows.extend(to_host(scores));
        }
        let loss = losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len().max(1) as f64;
        Ok((rows, loss))
    }

    fn disagreements(
        &self,
        dataset: &Dataset,
        student: &[(u32, f64)],
        teacher: &[(u32, f64)],
    ) -> Result<Vec<Disagreement>, TrainError> {
        let mut found: Vec<usize> =
            (0..student.len()).filter(|&index| student[index].0 != teacher[index].0).collect();
        found.sort_by(|&a, &b| teacher[b].1.total_cmp(&teacher[a].1).then(a.cmp(&b)));
        let shown = found.into_iter().take(NUM_DISAGREEMENTS).map(|index| {
            Ok(Disagreement {
                id: dataset.id(index).to_owned(),
                target: dataset.targets().get(index).copied(),
                student: student[index].0,
                teacher: teacher[index].0,
                teacher_confidence: teacher[index].1,
                student_confidence: student[index].1,
                picture: Picture::of(dataset, index)?,
            })
        });
        shown.collect()
    }

    /// The student beside its teachers and the baseline.
    fn compare(&self, student: &Model, stop: &AtomicBool) -> Result<Distillation, TrainError> {
        let (split, dataset) = judged(self.data);
        let (targets, num_classes) = (dataset.targets(), self.num_classes());
        let of_labels =
            |predictions: &[(u32, f64)]| dataset.is_labelled().then(|| accuracy(predictions, targets));
        let (scores, _) = self.score(student, dataset, &self.judged_scores, stop)?;
        let student_says = Probabilities::of(&scores, num_classes);
        let teachers_say = Probabilities::mean_of(&self.judged_scores, num_classes);
        let (agreement, mean_kl) = teachers_say.compare(&student_says);
        let (student_says, teachers_say) = (student_says.predictions(), teachers_say.predictions());
        let measured = |name: &str, model: &Model, accuracy| {
            Ok::<_, TrainError>(Measured {
                name: name.to_owned(),
                architecture: model.spec().architecture.clone(),
                num_params: model.num_params(),
                accuracy,
                speed: Some(speed(model, &self.device, stop)?),
            })
        };
        let mut models = vec![measured("student", student, of_labels(&student_says))?];
        for (teacher, scores) in self.teachers.iter().zip(&self.judged_scores) {
            let says = Probabilities::of(scores, num_classes).predictions();
            models.push(measured(teacher.name(), teacher.model(), of_labels(&says))?);
        }
        let mut baseline = None;
        if let Some(run) = &self.baseline {
            let trained = TrainedModel::load(run, &self.device)?;
            let (scores, _) = self.score(&trained.model, dataset, &self.judged_scores, stop)?;
            let says = Probabilities::of(&scores, num_classes).predictions();
            let classes =
                |says: &[(u32, f64)]| says.iter().map(|(predicted, _)| *predicted).collect::<Vec<_>>();
            let McNemar { only_first, only_second, p_value } =
                mcnemar(targets, &classes(&student_says), &classes(&says));
            let val_accuracy = accuracy(&says, targets);
            models.push(Measured {
                name: "baseline".to_owned(),
                architecture: student.spec().architecture.clone(),
                num_params: trained.model.num_params(),
                accuracy: Some(val_accuracy),
                speed: None,
            });
            baseline = Some(BaselineSummary {
                val_accuracy: Some(val_accuracy),
                test_accuracy: None,
                only_student: only_first,
                only_baseline: only_second,
                p_value,
                measures: BTreeMap::new(),
            });
        }
        Ok(Distillation {
            split: split.to_owned(),
            num_samples: dataset.len(),
            agreement,
            mean_kl,
            models,
            teacher_accuracy: of_labels(&teachers_say),
            baseline,
            disagreements: self.disagreements(dataset, &student_says, &teachers_say)?,
        })
    }
}

impl Objective for Distilled<'_> {
    fn fingerprint(&self) -> Option<String> {
        self.student.fingerprint()
    }

    fn num_augmentations(&self) -> Option<NonZeroU64> {
        self.student.num_augmentations()
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn loss_of_zero_scores(&self) -> Option<f64> {
        self.student.loss_of_zero_scores()
    }

    fn batch_loss(
        &self,
        model: &Model,
        images: Tensor<4>,
        batch: &HostBatch,
        pass: &Pass<'_>,
    ) -> Result<BatchLoss, TrainError> {
        self.student.batch_loss(model, images, batch, pass)
    }

    fn validate(&self, model: &Model, val: &ValidationSet<'_>) -> Result<Validation, TrainError> {
        let val = val.dataset();
        let (scores, data_loss) = self.score(model, val, &self.judged_scores, &NEVER)?;
        let student = Probabilities::of(&scores, self.num_classes());
        let teachers = Probabilities::mean_of(&self.judged_scores, self.num_classes());
        let (agreement, mean_kl) = teachers.compare(&student);
        let accuracy = val.is_labelled().then(|| accuracy(&student.predictions(), val.targets()));
        let measures = BTreeMap::from([("agreement".to_owned(), agreement), ("mean_kl".to_owned(), mean_kl)]);
        let score = Some(accuracy.unwrap_or(agreement));
        Ok(Validation { score, data_loss: Some(data_loss), accuracy, measures })
    }
}

impl Analyse for Distilled<'_> {
    fn analyse(&self, ended: &Ended<'_>) -> Result<Findings, TrainError> {
        let findings = match &self.supervised {
            Some(supervised) => supervised.analyse(ended)?,
            None => Findings::default(),
        };
        let found = self.compare(ended.chosen, ended.stop)?;
        let num_params = self.teachers.iter().map(|teacher| teacher.model().num_params()).sum();
        let on_val = found.split == "val";
        let val_accuracy = found.teacher_accuracy.filter(|_| on_val);
        Ok(Findings {
            teacher: Some(TeacherSummary { val_accuracy, num_params, measures: BTreeMap::new() }),
            baseline: found.baseline.clone().filter(|_| on_val),
            measures: BTreeMap::from([
                ("agreement".to_owned(), found.agreement),
                ("mean_kl".to_owned(), found.mean_kl),
            ]),
            distillation: Some(found),
            ..findings
        })
    }
}
