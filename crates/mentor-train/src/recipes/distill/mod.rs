//! Distillation: a large teacher, or several → a small student.
//!
//! ```text
//! teachers ─▶ their scores of every training image in every view ─▶ teacher-N.cache
//! labels   ─▶ the student's network from scratch                 ─▶ baseline/
//! both     ─▶ the student
//! ```
//!
//! Each part continues where it was cut off, and is kept when it is done.

mod objective;
pub(super) mod teacher;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use mentor_data::{DataError, Source};

use self::objective::{Distilled, judged};
use self::teacher::{Shown, Teacher, TeacherScores, cached};
use super::{Outcome, Trainee, train_on};
use crate::distill_plan::DistillPlan;
use crate::error::TrainError;
use crate::event::TrainEvent;
use crate::loss_plan::{LossPlan, ScoreLossPlan};
use crate::plan::Plan;
use crate::recipes::supervised::Supervised;
use crate::run_dir::RunDir;
use crate::training_data::TrainingData;

/// Why the teachers' part ends early.
enum Halt {
    Stopped,
    Failed(TrainError),
}

impl From<TrainError> for Halt {
    fn from(error: TrainError) -> Self {
        Self::Failed(error)
    }
}

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
        teachers.push(Teacher::load(run, device)?);
    }
    let data = load(plan, distill, &teachers)?;
    distill_on(plan, &teachers, &data, out, device, device_name, stop, observer)
}

/// As [`distill`], of given teachers on given data.
#[allow(clippy::too_many_arguments, reason = "they are those of every recipe, and what this one is given")]
pub(super) fn distill_on(
    plan: &Plan,
    teachers: &[Teacher],
    data: &TrainingData,
    out: &Path,
    device: &Device,
    device_name: &str,
    stop: &AtomicBool,
    observer: &mut dyn FnMut(&TrainEvent),
) -> Result<Outcome, TrainError> {
    let Some(distill) = &plan.distill else { unreachable!("the caller distils") };
    let loss_plan = match &plan.loss {
        LossPlan::Scores(loss) => loss.clone(),
        LossPlan::Ranking(_) => ScoreLossPlan::SOFTMAX,
    };
    let hard = loss_plan.build(data.classes().len())?;
    let loss = distill.build(&hard)?;
    let labelled = data.train.is_labelled();
    let run_dir = RunDir::create(out, &plan.to_config())?;

    let scores = match teacher_scores(plan, distill, teachers, data, out, stop, observer) {
        Ok(scores) => scores,
        Err(Halt::Stopped) => return Ok(Outcome::Interrupted { step: 0 }),
        Err(Halt::Failed(error)) => return Err(error),
    };
    let (_, dataset) = judged(data);
    let samples: Vec<u32> = (0..dataset.len() as u32).collect();
    let mut judged_scores = Vec::with_capacity(teachers.len());
    for teacher in teachers {
        judged_scores.push(teacher.scores(&Shown::plain(dataset), 0, &samples)?);
    }

    let mut warnings = Vec::new();
    let mut baseline = None;
    if distill.baseline && !labelled {
        warnings
            .push("there is no baseline, because a student cannot learn from scratch without labels".into());
    } else if distill.baseline {
        let place = out.join("baseline");
        let plain = Plan { distill: None, ..plan.clone() };
        let config = plain.to_config();
        if RunDir::completed(&place, &config)?.is_none() {
            observer(&TrainEvent::Stage(format!("baseline: {} from scratch", plan.architecture)));
            let supervised = Supervised::new(&plain, data, hard.clone(), device.clone());
            let trainee = Trainee { plan: &plain, data, objective: &supervised, head: data.classifier() };
            let run_dir = RunDir::create(&place, &config)?;
            let outcome = train_on(&trainee, &run_dir, device, device_name, stop, observer)?;
            if let Outcome::Interrupted { .. } = outcome {
                return Ok(outcome);
            }
        }
        baseline = Some(place);
    }

    observer(&TrainEvent::Stage(format!("student: {} with {}", plan.architecture, describe(distill))));
    let supervised = labelled.then(|| Supervised::new(plan, data, hard, device.clone()));
    let device_of = device.clone();
    let objective = Distilled {
        plan,
        distill,
        data,
        loss,
        supervised,
        teachers,
        scores,
        judged_scores,
        baseline,
        warnings,
        device: device_of,
    };
    let trainee = Trainee { plan, data, objective: &objective, head: data.classifier() };
    train_on(&trainee, &run_dir, device, device_name, stop, observer)
}

fn describe(distill: &DistillPlan) -> String {
    let DistillPlan { mode, temperature, soft_weight, hard_weight, .. } = distill;
    format!("{mode} targets, temperature {temperature}, soft weight {soft_weight}, hard weight {hard_weight}")
}

/// The data, with the classes of the teachers.
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
                let hint = "set --hard-weight 0 to learn from the teacher alone, or give labelled data";
                source.check_labelled("a hard weight above 0", hint)?;
            }
            source
        }
        Err(error) => return Err(error.into()),
    };
    let mut data = TrainingData::of(&source)?;
    if let Some(first) = teachers.first() {
        for other in &teachers[1..] {
            other.check_classes(first.classes(), "the first teacher has")?;
        }
        if source.is_labelled() {
            first.check_classes(data.classes(), "the data has")?;
        } else {
            data.classes = first.classes().to_vec();
        }
    }
    Ok(data)
}

/// The teachers' scores of the training images; none where their part has weight 0.
fn teacher_scores<'a>(
    plan: &Plan,
    distill: &DistillPlan,
    teachers: &'a [Teacher],
    data: &'a TrainingData,
    out: &Path,
    stop: &AtomicBool,
    observer: &mut dyn FnMut(&TrainEvent),
) -> Result<Vec<TeacherScores<'a>>, Halt> {
    let shown = Shown::training(plan, &data.train);
    let mut scores = Vec::new();
    if distill.soft_weight == 0.0 {
        return Ok(scores);
    }
    for (index, teacher) in teachers.iter().enumerate() {
        if !distill.cache {
            scores.push(TeacherScores::Live(teacher, shown));
            continue;
        }
        let path = out.join(format!("teacher-{}.cache", index + 1));
        if !path.exists() {
            let (name, count, views) = (&teacher.name, data.train.len(), distill.views);
            let text = format!("teacher: {name} scores {count} images in {views} version(s)");
            observer(&TrainEvent::Stage(text));
        }
        let go_on = || if stop.load(Ordering::Relaxed) { Err(Halt::Stopped) } else { Ok(()) };
        scores.push(TeacherScores::Cached(cached(teacher, &shown, distill.views, &path, go_on)?));
    }
    Ok(scores)
}
