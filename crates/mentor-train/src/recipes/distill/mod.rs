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
mod scores;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use mentor_data::{DataError, Dataset, Source, counted};
use mentor_loss::ScoreLoss;
use mentor_model::Head;
use mentor_run::RunDir;
use mentor_run::files::{exists, inside};

use self::embeddings::DistilledEmbeddings;
use self::objective::{Distilled, judged};
use crate::engine::analysed::Analysed;
use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::engine::objective::Objective;
use crate::engine::outcome::{Halt, Outcome};
use crate::engine::trainee::{Trainee, network};
use crate::engine::training_data::TrainingData;
use crate::inference::error::go_on;
use crate::plan::Plan;
use crate::plan::distill::{DistillMode, DistillPlan};
use crate::plan::loss::{LossPlan, RankingPlan};
use crate::recipes::labels::of_labels;
use crate::recipes::metric_learning::Ranking;
use crate::recipes::supervised::Supervised;
use crate::recipes::told::tell_of_data;
use crate::teachers::cache::CacheError;
use crate::teachers::images::AugmentedImages;
use crate::teachers::outputs::{TeacherOutputs, cached};
use crate::teachers::teacher::{Teacher, fingerprint};
use crate::teachers::trained::{TEACHER_ROWS, TrainedTeacher};

pub use self::scores::DistillationObjective;

/// Trains the student of `plan` into `out`, or continues there.
pub(super) fn train(
    plan: &Plan,
    distill: &DistillPlan,
    out: &Path,
    execution: &Execution<'_>,
) -> Result<Outcome, TrainError> {
    let mut teachers = Vec::with_capacity(distill.teachers.len());
    for run in &distill.teachers {
        teachers.push(TrainedTeacher::load(run, distill.mode, execution.device())?);
    }
    let data = load(plan, distill, &teachers)?;
    Halt::ended(Student { plan, distill, teachers: &teachers, data: &data, out, execution }.train())
}

/// A student, its teachers, and where it is trained.
pub(super) struct Student<'a> {
    pub(super) plan: &'a Plan,
    pub(super) distill: &'a DistillPlan,
    pub(super) teachers: &'a [TrainedTeacher],
    pub(super) data: &'a TrainingData,
    pub(super) out: &'a Path,
    pub(super) execution: &'a Execution<'a>,
}

impl Student<'_> {
    pub(super) fn train(&self) -> Result<Outcome, Halt> {
        let Self { plan, distill, teachers, data, out, execution } = *self;
        let losses = Losses::of(plan, distill, data, teachers, execution.device())?;
        let head = losses.head(data);
        // A network that cannot be built begins no run, and no teacher's work.
        network(plan, data, head, execution.device())?;
        let run_dir = RunDir::create(out, &plan.to_config())?;
        tell_of_data(plan, data, &run_dir, execution)?;
        let outputs = self.teacher_outputs().map_err(|halt| match (halt, run_dir.other_run()) {
            // A teacher that is named otherwise now, and is another one.
            (Halt::Failed(TrainError::Cache(CacheError::Foreign { .. })), Some(other)) => other.into(),
            (halt, _) => halt,
        })?;
        let (_, dataset) = judged(data);
        let judged_outputs = of_all(teachers, dataset, execution.stop())?;
        let (baseline, warnings) = match (distill.baseline, data.train.is_labelled()) {
            (true, true) => (Some(self.baseline()?), Vec::new()),
            (true, false) => {
                let why = "there is no baseline, because a student cannot learn from scratch without labels";
                (None, vec![why.to_owned()])
            }
            (false, _) => (None, Vec::new()),
        };
        execution.say(format!("student: {} with {}", plan.architecture, describe(distill)));
        let objective = self.objective(losses, outputs, judged_outputs, baseline, warnings);
        let trainee = Trainee { plan, data, objective: &*objective, head };
        Ok(trainee.train(&run_dir, execution)?)
    }

    /// What is minimised, with all that it is judged by.
    fn objective<'b>(
        &'b self,
        losses: Losses<'b>,
        outputs: Vec<TeacherOutputs<'b>>,
        judged_outputs: Vec<Vec<f32>>,
        baseline: Option<PathBuf>,
        mut warnings: Vec<String>,
    ) -> Box<dyn Analysed + 'b> {
        let Self { plan, distill, teachers, data, execution, .. } = *self;
        let device = execution.device().clone();
        match losses {
            Losses::Scores { hard, loss } => {
                let labelled = data.train.is_labelled();
                let supervised = labelled.then(|| Supervised::new(plan, data, hard, device.clone()));
                let student = DistillationObjective {
                    loss,
                    outputs,
                    num_classes: data.classes().len(),
                    num_augmentations: distill.views,
                    fingerprint: fingerprint(teachers.iter().map(|teacher| teacher as &dyn Teacher)),
                };
                let judged_scores = judged_outputs;
                Box::new(Distilled {
                    plan,
                    data,
                    student,
                    supervised,
                    teachers,
                    judged_scores,
                    baseline,
                    warnings,
                    device,
                })
            }
            Losses::Embeddings { student, ranking } => {
                if let Some(ranking) = ranking.as_ref().filter(|_| distill.hard_weight > 0.0) {
                    warnings.extend_from_slice(ranking.warnings());
                }
                Box::new(DistilledEmbeddings {
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
                    device,
                })
            }
        }
    }

    /// The run of the same network without teachers, trained now or before.
    fn baseline(&self) -> Result<PathBuf, Halt> {
        let Self { plan, data, execution, .. } = *self;
        let run = inside(self.out, Path::new("baseline"))?;
        let mut plain = plan.on_labels();
        // The student's batches may be of any size, those of ranked labels not.
        if let Some(batch_size) = plan.loss.ranking().and_then(RankingPlan::batch_size) {
            plain.training.optimizer.batch_size = batch_size;
        }
        let (objective, head) = of_labels(&plain, data, execution.device())?;
        let trainee = Trainee { plan: &plain, data, objective: &*objective, head };
        if trainee.completed(&run)?.is_none() {
            execution.say(format!("baseline: {} from scratch", plan.architecture));
            let run_dir = RunDir::create(&run, &plain.to_config())?;
            trainee.train(&run_dir, execution)?.unless_stopped()?;
        }
        Ok(run)
    }

    /// The teachers' scores or embeddings of the training images; none where their part has weight 0.
    fn teacher_outputs(&self) -> Result<Vec<TeacherOutputs<'_>>, Halt> {
        let Self { plan, distill, teachers, data, out, execution } = *self;
        let images = AugmentedImages::new(&data.train, plan.training.augment, plan.training.seed);
        let mut outputs = Vec::new();
        if distill.soft_weight == 0.0 {
            return Ok(outputs);
        }
        for (index, teacher) in teachers.iter().enumerate() {
            if !distill.cache {
                outputs.push(TeacherOutputs::Live(teacher, images));
                continue;
            }
            let path = out.join(format!("teacher-{}.cache", index + 1));
            if !exists(&path) {
                let (name, count, views) = (teacher.name(), data.train.len(), distill.views);
                let does = if distill.mode.is_of_embeddings() { "embeds" } else { "scores" };
                let count = counted(count, "image", "images");
                let versions = counted(views.get() as usize, "version", "versions");
                execution.say(format!("teacher: {name} {does} {count} in {versions}"));
            }
            let (go_on, warn) = (|| execution.go_on(), |text| execution.warn(text));
            let cache = cached::<Halt>(teacher, &images, distill.views, &path, go_on, warn)?;
            outputs.push(TeacherOutputs::Cached(cache));
        }
        Ok(outputs)
    }
}

/// What each teacher gives for the images of a data set as they are.
fn of_all(
    teachers: &[TrainedTeacher],
    dataset: &Dataset,
    stop: &AtomicBool,
) -> Result<Vec<Vec<f32>>, TrainError> {
    let samples: Vec<u32> = (0..dataset.len() as u32).collect();
    let of = |teacher: &TrainedTeacher| {
        let mut outputs = Vec::with_capacity(samples.len() * teacher.width());
        for samples in samples.chunks(TEACHER_ROWS) {
            go_on(stop)?;
            outputs.extend(teacher.outputs(&AugmentedImages::plain(dataset), 0, samples)?);
        }
        Ok(outputs)
    };
    teachers.iter().map(of).collect()
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
        teachers: &[TrainedTeacher],
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

fn describe(distill: &DistillPlan) -> String {
    let DistillPlan { mode, temperature, soft_weight, hard_weight, .. } = distill;
    let weights = format!("soft weight {soft_weight}, hard weight {hard_weight}");
    match temperature {
        None => format!("{mode} targets, {weights}"),
        Some(temperature) => format!("{mode} targets, temperature {temperature}, {weights}"),
    }
}

/// The data, with the classes of the teachers; embeddings know no classes, and may meet new ones.
///
/// Where it is no labelled data set and labels have no weight, its images are taken without.
fn load(plan: &Plan, distill: &DistillPlan, teachers: &[TrainedTeacher]) -> Result<TrainingData, TrainError> {
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
