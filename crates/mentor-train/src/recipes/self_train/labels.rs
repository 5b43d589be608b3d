//! The pseudo-labels of a round: written by the teacher, read back, audited, chosen.

use std::path::Path;
use std::sync::Arc;

use mentor_data::Dataset;
use mentor_metrics::calibration::{Prior, calibrate};
use mentor_metrics::classification::SampleResult;
use mentor_metrics::pseudo_labels::audit::{Audit, ClassAudit};
use mentor_metrics::pseudo_labels::{Prediction, changed_labels};
use mentor_run::files::{create_inside, inside};
use mentor_run::records::Picture;
use mentor_run::records::self_training::{ClassSheet, LabelledPicture};

use super::data::Images;
use super::label::{folder, write_shard};
use super::stages::Work;
use crate::engine::error::TrainError;
use crate::engine::outcome::Halt;
use crate::plan::distill::DistillMode;
use crate::plan::self_train::{PerClass, SelfTrainPlan};
use crate::pseudo_labels::{
    Balance, LabelSet, LabelsError, LabelsHeader, Selection, SelectionOptions, Selector, Shard,
    finished_shard,
};
use crate::teachers::images::AugmentedImages;
use crate::teachers::teacher::Teacher;
use crate::teachers::trained::TrainedTeacher;

/// Images of a file, so that a labelling that is cut off loses little.
const SHARD_IMAGES: usize = 65_536;
/// Pictures of a class at each end of the confidences.
const NUM_PICTURES: usize = 5;
/// Classes of which pictures are shown, at most.
const MAX_SHEETS: usize = 20;
/// The two-sided level of audits, as that of alarms.
pub(super) const LEVEL: f64 = 0.95;

/// A teacher with what its scores are divided by, and how right it is at the threshold.
pub(super) struct Calibrated {
    pub(super) teacher: TrainedTeacher,
    pub(super) temperature: f64,
    /// Classes that it gives the validation images.
    pub(super) classes_on_val: Vec<u32>,
    /// On the validation split: its images at the threshold or above, and how many of them are right.
    pub(super) on_val: ClassAudit,
}

impl Calibrated {
    /// Loads the model in `place` and fits its temperature to the validation split, as [`calibrate`] does:
    /// the model keeps its own confidences unless the split bears another temperature out. One that is no
    /// better than chance is then as unsure as the range of temperatures lets it be.
    pub(super) fn load(work: &Work<'_>, place: &str) -> Result<Self, TrainError> {
        let teacher = TrainedTeacher::load(
            &inside(work.out, Path::new(place))?,
            DistillMode::Soft,
            work.execution.device(),
        )?;
        let val: &Arc<Dataset> = &work.images.val;
        let scores = teacher.trained().score_until(
            val,
            work.plan.training.optimizer.batch_size,
            work.execution.stop(),
        )?;
        let num_classes = teacher.classes().len();
        let fit = calibrate(&scores, num_classes, val.targets(), &Prior::None)?;
        let temperature = fit.calibration.temperature;
        let mut on_val = ClassAudit::default();
        let class = |row: &[f32]| Prediction::new(row, 1.0).map_or(0, |prediction| prediction.label);
        let classes_on_val = scores.chunks_exact(num_classes).map(class).collect();
        for (row, &target) in scores.chunks_exact(num_classes).zip(val.targets()) {
            if let Some(label) = confident(row, temperature, work.self_train.threshold) {
                on_val.num_labelled += 1;
                on_val.num_correct += u64::from(label == target);
            }
        }
        Ok(Self { teacher, temperature, classes_on_val, on_val })
    }

    /// What the model calls the audit set; `None` if there is none.
    pub(super) fn audit(&self, work: &Work<'_>) -> Result<Option<Audit>, TrainError> {
        let audit_set = &work.images.audit_set;
        let samples: Vec<u32> = (0..audit_set.len() as u32).collect();
        let scores = self.teacher.outputs(&AugmentedImages::plain(audit_set), 0, &samples)?;
        let num_classes = self.teacher.classes().len();
        let mut audit = Audit::new(num_classes);
        for (row, &target) in scores.chunks_exact(num_classes).zip(audit_set.targets()) {
            audit.push(target, confident(row, self.temperature, work.self_train.threshold));
        }
        Ok((!audit_set.is_empty()).then_some(audit))
    }
}

/// The label of a row at the threshold or above.
fn confident(row: &[f32], temperature: f64, threshold: f64) -> Option<u32> {
    let prediction = Prediction::new(row, temperature)?;
    (prediction.confidence() >= threshold).then_some(prediction.label)
}

/// Whether the audit set's labels are worse than those of validation by more than chance: the Wilson
/// intervals of the two precisions do not touch. Both saw the same model, so that only damaged labels do
/// this. The model was chosen on validation, which flatters it there; one interval against a number would
/// call that damage.
pub(super) fn contradicts_validation(audit: &Audit, on_val: &ClassAudit) -> bool {
    audit.overall().interval(LEVEL).high < on_val.interval(LEVEL).low
}

/// Writes the labels of the pool and the audit set, shard by shard; finished shards are kept.
pub(super) fn write(
    work: &Work<'_>,
    calibrated: &Calibrated,
    number: usize,
    place: &str,
) -> Result<LabelSet, Halt> {
    let images = work.images.to_label();
    let file = &calibrated.teacher.trained().file;
    let header = LabelsHeader {
        teacher_blake3: file.weights_blake3.clone(),
        images_blake3: images.images_blake3(),
        classes: file.classes.clone(),
        round: number as u32,
        temperature: calibrated.temperature,
    };
    let folder = create_inside(work.out, &folder(place))?;
    let count = images.len().div_ceil(SHARD_IMAGES).max(1) as u32;
    for index in 0..count {
        let shard = Shard { index, count };
        let path = folder.join(shard.file_name());
        // A link is none that this run wrote; it is replaced.
        if !path.is_symlink() && finished_shard(&path, &header, shard)?.is_some() {
            continue;
        }
        if index == 0 {
            work.execution.say(format!("round {number}: labels of {} images", images.len()));
        }
        let (teacher, header) = (&calibrated.teacher, header.clone());
        if write_shard(teacher, &images, header, shard, &path, work.execution.stop())?.is_none() {
            return Err(Halt::Stopped { step: None });
        }
    }
    let set = LabelSet::open(&folder)?;
    if set.num_rows() != images.len() as u64 {
        let reason = format!("{} images have {} labels", images.len(), set.num_rows());
        return Err(TrainError::from(LabelsError::Damaged { path: folder, reason }).into());
    }
    Ok(set)
}

/// What is chosen of the labels.
pub(super) struct Chosen {
    /// Its rows are places in the pool.
    pub(super) selection: Selection,
    /// The audit set's labels; `None` without one, and of given labels.
    pub(super) audit: Option<Audit>,
}

/// Reads labels once, row by row: those of the pool are chosen from, those of the audit set audited.
///
/// Of `given` labels the rows are the offered images, which may be more than the pool, and no audit set.
pub(super) fn choose(work: &Work<'_>, set: &LabelSet, given: bool) -> Result<Chosen, TrainError> {
    let Work { images, self_train, .. } = work;
    let Images { pool, audit_set, offered, .. } = images;
    let num_classes = images.taught.classes().len();
    let temperature = set.header().temperature;
    let mut selector = Selector::new(options(self_train, pool.len(), num_classes, temperature), num_classes)?;
    let mut audit = (!given && !audit_set.is_empty()).then(|| Audit::new(num_classes));
    let mut next = 0;
    for (row_number, row) in set.rows().enumerate() {
        let row = row?;
        let of_pool = if given { offered.get(next) == Some(&(row_number as u32)) } else { next < pool.len() };
        if of_pool {
            // By the name it has here: labels are of the image itself, whatever its file was called when it
            // was labelled.
            selector.push(pool.id(next), &row.scores)?;
            next += 1;
        } else if let Some(audit) = &mut audit {
            let target = audit_set.targets()[row_number - pool.len()];
            audit.push(target, confident(&row.scores, temperature, self_train.threshold));
        }
    }
    Ok(Chosen { selection: selector.finish(), audit })
}

fn options(plan: &SelfTrainPlan, pool: usize, num_classes: usize, temperature: f64) -> SelectionOptions {
    let per_class = match plan.per_class {
        PerClass::Average => pool.div_ceil(num_classes),
        PerClass::Count(count) => count.get(),
    };
    SelectionOptions {
        kind: plan.label_kind,
        threshold: plan.threshold,
        temperature,
        balance: plan.balance.then_some(Balance { per_class, max_copies: plan.max_copies }),
    }
}

/// Share of the images whose label is not that of the round before.
pub(super) fn changed(before: &LabelSet, now: &LabelSet, num_classes: usize) -> Result<f64, TrainError> {
    fn labels(
        set: &LabelSet,
    ) -> impl Iterator<Item = Result<(String, u32), crate::pseudo_labels::LabelsError>> + '_ {
        let temperature = set.header().temperature;
        set.rows().map(move |row| {
            let row = row?;
            let label = Prediction::new(&row.scores, temperature).map_or(0, |prediction| prediction.label);
            Ok((row.id, label))
        })
    }
    Ok(changed_labels(labels(before), labels(now), num_classes)?.share())
}

/// The most and the least confident images of each class, with pictures.
pub(super) fn sheets(images: &Images, chosen: &Chosen) -> Result<Vec<ClassSheet>, TrainError> {
    let mut sheets = Vec::new();
    for class in 0..images.taught.classes().len().min(MAX_SHEETS) as u32 {
        let of_class: Vec<_> = chosen.selection.labels.iter().filter(|label| label.label == class).collect();
        let most = of_class.len().min(NUM_PICTURES);
        let least = (of_class.len() - most).min(NUM_PICTURES);
        let shown = |labels: &[&crate::pseudo_labels::PseudoLabel]| -> Result<Vec<_>, TrainError> {
            labels
                .iter()
                .map(|label| {
                    let picture = Picture::thumbnail(&images.pool, label.row as usize)?;
                    Ok(LabelledPicture { id: label.id.clone(), confidence: label.confidence, picture })
                })
                .collect()
        };
        sheets.push(ClassSheet {
            class,
            most: shown(&of_class[..most])?,
            least: shown(&of_class[of_class.len() - least..])?,
        });
    }
    Ok(sheets)
}

/// Predicted classes of samples in order.
pub(super) fn predicted(results: &[SampleResult]) -> Vec<u32> {
    results.iter().map(|result| result.predicted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flattered_validation_is_no_alarm_and_a_wrong_class_order_is() {
        let on_val = ClassAudit { num_labelled: 145, num_correct: 136 };
        let audit_set = |num_correct: u32| {
            let mut audit = Audit::new(2);
            (0..40).for_each(|index| audit.push(0, Some(u32::from(index >= num_correct))));
            audit
        };
        assert!(!contradicts_validation(&audit_set(33), &on_val));
        assert!(contradicts_validation(&audit_set(12), &on_val));
        assert!(!contradicts_validation(&Audit::new(2), &on_val), "nothing labelled says nothing");
        assert!(!contradicts_validation(&audit_set(0), &ClassAudit::default()));
    }
}
