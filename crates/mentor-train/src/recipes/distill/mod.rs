//! Distillation: a large teacher, or several → a small student.
//!
//! ```text
//! teachers ─▶ their scores, or embeddings, of every training image in every view ─▶ teacher-N.cache
//! labels   ─▶ the student's network from scratch                                ─▶ baseline/
//! both     ─▶ the student
//! ```
//!
//! Each part continues where it was cut off, and is kept when it is done.

mod embeddings;
mod objective;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use mentor_data::{DataError, Source, counted};
use mentor_loss::ScoreLoss;
use mentor_model::Head;
use mentor_run::files::{exists, inside};
use mentor_run::{RunDir, TrainEvent};

use self::embeddings::DistilledEmbeddings;
use self::objective::{Distilled, judged};
use crate::engine::error::TrainError;
use crate::engine::objective::Objective;
use crate::engine::outcome::{Halt, Outcome};
use crate::engine::trainee::{Trainee, network, tell_of_data, train_on};
use crate::engine::training_data::TrainingData;
use crate::inference::error::go_on;
use crate::plan::Plan;
use crate::plan::distill::{DistillMode, DistillPlan};
use crate::plan::loss::{LossPlan, RankingPlan};
use crate::recipes::labels::of_labels;
use crate::recipes::metric_learning::Ranking;
use crate::recipes::supervised::Supervised;
use crate::teachers::cache::CacheError;
use crate::teachers::teacher::{Shown, TEACHER_ROWS, Teacher, TeacherOutputs, cached};

/// Trains the student of `plan` into `out`, or continues there.
pub(super) fn distill(
    plan: &Plan,
    distill: &DistillPlan,
    out: &Path,
    device: &Device,
    device_name: &str,
    stop: &AtomicBool,
    observer: &mut dyn FnMut(&TrainEvent),
) -> Result<Outcome, TrainError> {
    let mut teachers = Vec::with_capacity(distill.teachers.len());
    for run in &distill.teachers {
        teachers.push(Teacher::load(run, distill.mode, device)?);
    }
    let data = load(plan, distill, &teachers)?;
    let place = Place { out, device, device_name, stop };
    distill_on(plan, distill, &teachers, &data, &place, observer)
}

/// Where it is done, and until when.
pub(super) struct Place<'a> {
    pub(super) out: &'a Path,
    pub(super) device: &'a Device,
    pub(super) device_name: &'a str,
    pub(super) stop: &'a AtomicBool,
}

/// As [`distill`], of given teachers on given data.
pub(super) fn distill_on(
    plan: &Plan,
    distill: &DistillPlan,
    teachers: &[Teacher],
    data: &TrainingData,
    place: &Place<'_>,
    observer: &mut dyn FnMut(&TrainEvent),
) -> Result<Outcome, TrainError> {
    Halt::ended(student(plan, distill, teachers, data, place, observer))
}

fn student(
    plan: &Plan,
    distill: &DistillPlan,
    teachers: &[Teacher],
    data: &TrainingData,
    place: &Place<'_>,
    observer: &mut dyn FnMut(&TrainEvent),
) -> Result<Outcome, Halt> {
    let Place { out, device, device_name, stop } = *place;
    let losses = Losses::of(plan, distill, data, teachers, device)?;
    let head = losses.head(data);
    // A network that cannot be built begins no run, and no teacher's work.
    network(plan, data, head, device)?;
    let run_dir = RunDir::create(out, &plan.to_config())?;
    tell_of_data(plan, data, &run_dir, observer)?;
    let outputs = teacher_outputs(plan, distill, teachers, data, place, observer);
    let outputs = outputs.map_err(|halt| match (halt, run_dir.other_run()) {
        // A teacher that is named otherwise now, and is another one.
        (Halt::Failed(TrainError::Cache(CacheError::Foreign { .. })), Some(other)) => other.into(),
        (halt, _) => halt,
    })?;
    let (_, dataset) = judged(data);
    let samples: Vec<u32> = (0..dataset.len() as u32).collect();
    let mut judged_outputs = Vec::with_capacity(teachers.len());
    for teacher in teachers {
        let mut outputs = Vec::with_capacity(samples.len() * teacher.width());
        for samples in samples.chunks(TEACHER_ROWS) {
            go_on(stop)?;
            outputs.extend(teacher.outputs(&Shown::plain(dataset), 0, samples)?);
        }
        judged_outputs.push(outputs);
    }
    let (baseline, mut warnings) = match (distill.baseline, data.train.is_labelled()) {
        (true, true) => (Some(baseline(plan, data, place, observer)?), Vec::new()),
        (true, false) => {
            let why = "there is no baseline, because a student cannot learn from scratch without labels";
            (None, vec![why.to_owned()])
        }
        (false, _) => (None, Vec::new()),
    };

    observer(&TrainEvent::Stage(format!("student: {} with {}", plan.architecture, describe(distill))));
    let objective: Box<dyn Objective> = match losses {
        Losses::Scores { hard, loss } => {
            let supervised =
                data.train.is_labelled().then(|| Supervised::new(plan, data, hard, device.clone()));
            let objective = Distilled {
                plan,
                distill,
                data,
                loss,
                supervised,
                teachers,
                scores: outputs,
                judged_scores: judged_outputs,
                baseline,
                warnings,
                device: device.clone(),
            };
            Box::new(objective)
        }
        Losses::Embeddings { student, ranking } => {
            if let Some(ranking) = ranking.as_ref().filter(|_| distill.hard_weight > 0.0) {
                warnings.extend_from_slice(ranking.warnings());
            }
            let objective = DistilledEmbeddings {
                plan,
                distill,
                student,
                data,
                ranking,
                teachers,
                outputs,
                judged_outputs,
                baseline,
                warnings,
                device: device.clone(),
            };
            Box::new(objective)
        }
    };
    let trainee = Trainee { plan, data, objective: &*objective, head };
    Ok(train_on(&trainee, &run_dir, device, device_name, stop, observer)?)
}

/// What is minimised, of scores or of embeddings.
enum Losses<'a> {
    Scores { hard: ScoreLoss, loss: mentor_loss::Distillation },
    Embeddings { student: &'a RankingPlan, ranking: Option<Ranking<'a>> },
}

impl<'a> Losses<'a> {
    /// What the student ends with.
    fn head(&self, data: &TrainingData) -> Head {
        match self {
            Self::Scores { .. } => data.classifier(),
            Self::Embeddings { student, .. } => student.head(),
        }
    }

    /// # Errors
    ///
    /// When the data or the teachers do not suit the student: before anything is written.
    fn of(
        plan: &'a Plan,
        distill: &DistillPlan,
        data: &'a TrainingData,
        teachers: &[Teacher],
        device: &Device,
    ) -> Result<Self, TrainError> {
        match &plan.loss {
            LossPlan::Scores(loss) => {
                let hard = loss.build(data.classes().len())?;
                Ok(Self::Scores { loss: distill.build(&hard)?, hard })
            }
            LossPlan::Ranking(student) => {
                if distill.mode == DistillMode::Cosine {
                    teachers.iter().try_for_each(|teacher| teacher.check_size(student.embedding_size))?;
                }
                let labelled = data.train.is_labelled();
                let ranking = labelled.then(|| Ranking::new(plan, student, data, device.clone()));
                Ok(Self::Embeddings { student, ranking: ranking.transpose()? })
            }
        }
    }
}

/// The run of the same network without teachers, trained now or before.
fn baseline(
    plan: &Plan,
    data: &TrainingData,
    place: &Place<'_>,
    observer: &mut dyn FnMut(&TrainEvent),
) -> Result<PathBuf, Halt> {
    let run = inside(place.out, Path::new("baseline"))?;
    let mut plain = Plan { distill: None, ..plan.clone() };
    // The student's batches may be of any size, those of ranked labels not.
    if let Some(batch_size) = plan.loss.ranking().and_then(RankingPlan::batch_size) {
        plain.optimizer.batch_size = batch_size;
    }
    let (objective, head) = of_labels(&plain, data, place.device)?;
    let trainee = Trainee { plan: &plain, data, objective: &*objective, head };
    if trainee.completed(&run)?.is_none() {
        observer(&TrainEvent::Stage(format!("baseline: {} from scratch", plan.architecture)));
        let run_dir = RunDir::create(&run, &plain.to_config())?;
        let Place { device, device_name, stop, .. } = *place;
        let outcome = train_on(&trainee, &run_dir, device, device_name, stop, observer)?;
        if let Outcome::Interrupted { step } = outcome {
            return Err(Halt::Stopped { step });
        }
    }
    Ok(run)
}

fn describe(distill: &DistillPlan) -> String {
    let DistillPlan { mode, temperature, soft_weight, hard_weight, .. } = distill;
    let weights = format!("soft weight {soft_weight}, hard weight {hard_weight}");
    if mode.is_of_embeddings() {
        return format!("{mode} targets, {weights}");
    }
    format!("{mode} targets, temperature {temperature}, {weights}")
}

/// The data, with the classes of the teachers; embeddings know no classes, and may meet new ones.
///
/// Where it is no labelled data set and labels have no weight, its images are taken without.
fn load(plan: &Plan, distill: &DistillPlan, teachers: &[Teacher]) -> Result<TrainingData, TrainError> {
    let source = match Source::open(&plan.source, &plan.options) {
        Ok(source) => source,
        Err(error @ (DataError::Empty { .. } | DataError::OneClass { .. })) => {
            let Ok(source) = Source::open_unlabelled(&plan.source, &plan.options) else {
                return Err(error.into());
            };
            if distill.hard_weight > 0.0 {
                let hint = "set `distill.hard_weight` to 0 to learn from the teacher alone";
                source.check_labelled("a hard weight above 0", hint)?;
            }
            source
        }
        Err(error) => return Err(error.into()),
    };
    let mut data = TrainingData::of(&source)?;
    if let Some(first) = teachers.first() {
        if !distill.mode.is_of_embeddings() {
            for other in &teachers[1..] {
                other.check_classes(first.classes(), "the first teacher has")?;
            }
            if source.is_labelled() {
                first.check_classes(data.classes(), "the data has")?;
            }
        }
        if !source.is_labelled() {
            data.classes = first.classes().to_vec();
        }
    }
    Ok(data)
}

/// The teachers' scores or embeddings of the training images; none where their part has weight 0.
fn teacher_outputs<'a>(
    plan: &Plan,
    distill: &DistillPlan,
    teachers: &'a [Teacher],
    data: &'a TrainingData,
    place: &Place<'_>,
    observer: &mut dyn FnMut(&TrainEvent),
) -> Result<Vec<TeacherOutputs<'a>>, Halt> {
    let shown = Shown::training(plan, &data.train);
    let mut outputs = Vec::new();
    if distill.soft_weight == 0.0 {
        return Ok(outputs);
    }
    for (index, teacher) in teachers.iter().enumerate() {
        if !distill.cache {
            outputs.push(TeacherOutputs::Live(teacher, shown));
            continue;
        }
        let path = place.out.join(format!("teacher-{}.cache", index + 1));
        if !exists(&path) {
            let (name, count, views) = (&teacher.name, data.train.len(), distill.views);
            let does = if distill.mode.is_of_embeddings() { "embeds" } else { "scores" };
            let images = counted(count, "image", "images");
            let versions = counted(views.get() as usize, "version", "versions");
            let text = format!("teacher: {name} {does} {images} in {versions}");
            observer(&TrainEvent::Stage(text));
        }
        let stop = place.stop;
        let go_on = || if stop.load(Ordering::Relaxed) { Err(Halt::Stopped { step: 0 }) } else { Ok(()) };
        let warn = |text: String| observer(&TrainEvent::Warning(text));
        outputs.push(TeacherOutputs::Cached(cached(teacher, &shown, distill.views, &path, go_on, warn)?));
    }
    Ok(outputs)
}
