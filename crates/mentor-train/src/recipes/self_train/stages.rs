//! The stages of self-training as runs of their own, below the run directory.

use std::path::Path;

use mentor_data::shown_path;
use mentor_loss::{ScoreLoss, SoftmaxCrossEntropy};
use mentor_model::Model;
use mentor_run::files::inside;
use mentor_run::records::self_training::Round;
use mentor_run::{DistillConfig, ModelConfig, RunDir, Summary};

use super::data::{Batches, Images};
use super::objective::{NoisyStudent, Unlabelled};
use super::places::{BASELINE, DISTILLED, PSEUDO_LABEL, TEACHER};
use crate::engine::error::TrainError;
use crate::engine::execution::Execution;
use crate::engine::outcome::Halt;
use crate::engine::trainee::Trainee;
use crate::engine::training_data::TrainingData;
use crate::plan::checker::PlanError;
use crate::plan::loss::{LossPlan, ScoreLossPlan};
use crate::plan::self_train::SelfTrainPlan;
use crate::plan::{Plan, TrainingPlan};
use crate::pseudo_labels::{LabelSet, WeightRamp};
use crate::recipes::distill::Student;
use crate::recipes::supervised::Supervised;
use crate::teachers::trained::TrainedTeacher;

/// What all stages know.
pub(super) struct Work<'a> {
    pub(super) plan: &'a Plan,
    pub(super) self_train: &'a SelfTrainPlan,
    pub(super) images: &'a Images,
    pub(super) out: &'a Path,
    pub(super) execution: &'a Execution<'a>,
    /// Updates of teacher and baseline, if they were found and are not those of a student.
    pub(super) length: Option<u64>,
}

/// A model that a stage made.
pub(super) struct StageModel {
    pub(super) name: String,
    /// Its run, below the whole one.
    pub(super) place: String,
    pub(super) summary: Summary,
}

impl StageModel {
    pub(super) fn new(name: impl Into<String>, place: impl Into<String>, summary: Summary) -> Self {
        Self { name: name.into(), place: place.into(), summary }
    }
}

/// What the stages came to.
pub(super) struct Done {
    pub(super) models: Vec<StageModel>,
    /// Place of the final one.
    pub(super) chosen: String,
    pub(super) rounds: Vec<Round>,
}

impl Work<'_> {
    pub(super) fn batches(&self) -> Batches {
        Batches::new(self.plan, self.self_train, self.images)
    }

    /// The plan of training on labels alone.
    pub(super) fn plain(&self) -> Plan {
        self.plan.on_labels()
    }

    /// The plan of the student of round `number`, with its noise. Each has first weights of its own.
    pub(super) fn noisy(&self, number: usize) -> Plan {
        let SelfTrainPlan { student, augment, dropout, stochastic_depth, .. } = self.self_train;
        let plain = self.plain();
        // A configuration holds seeds below 2^63.
        let seed = plain.training.seed.wrapping_add(number as u64) & i64::MAX as u64;
        Plan {
            architecture: student.clone(),
            dropout: *dropout,
            stochastic_depth: *stochastic_depth,
            training: TrainingPlan { augment: *augment, seed, ..plain.training },
            ..plain
        }
    }

    /// The plan of the student's network on labels alone, of any length, with the teacher's noise as far as
    /// it has a place for it.
    pub(super) fn baseline(&self) -> Plan {
        let student = &self.self_train.student;
        let plain = self.plain();
        Plan {
            architecture: student.clone(),
            dropout: if student.has_dropout() { plain.dropout } else { 0.0 },
            stochastic_depth: if student.has_stochastic_depth() { plain.stochastic_depth } else { 0.0 },
            ..plain
        }
    }

    /// The loss of the labels.
    pub(super) fn loss(&self) -> Result<(ScoreLoss, SoftmaxCrossEntropy), TrainError> {
        let plan = match &self.plan.loss {
            LossPlan::Scores(loss) => loss.clone(),
            LossPlan::Ranking(_) => ScoreLossPlan::SOFTMAX,
        };
        let loss = plan.build(self.images.taught.classes().len())?;
        let cross_entropy = match &loss {
            ScoreLoss::Softmax(cross_entropy) => cross_entropy.clone(),
            _ => SoftmaxCrossEntropy::new(),
        };
        Ok((loss, cross_entropy))
    }

    /// Builds each network once, and warns where the student is the smaller one.
    pub(super) fn check_networks(&self) -> Result<Vec<String>, TrainError> {
        let (teacher, student) = (self.model(&self.plain())?, self.model(&self.noisy(1))?);
        if self.self_train.baseline {
            self.model(&self.baseline())?;
        }
        if self.self_train.distill_to.is_some() {
            self.model(&self.distilled(&self.out.join(TEACHER))?)?;
        }
        let mut warnings = Vec::new();
        // A linear one knows less, however few weights its teacher has.
        let simpler = self.self_train.student.is_linear() && !self.plan.architecture.is_linear();
        let smaller = student.num_params() < teacher.num_params();
        if smaller || simpler {
            warnings.push(format!(
                "the student {} has {} parameters and its teacher {} {}: {} cannot learn all pseudo-labels; \
                 name a network as large with --student, and the small one with --distill-to",
                self.self_train.student,
                student.num_params(),
                self.plan.architecture,
                teacher.num_params(),
                if smaller { "a smaller student" } else { "a simpler student" },
            ));
        }
        Ok(warnings)
    }

    fn model(&self, plan: &Plan) -> Result<Model, TrainError> {
        let data = &self.images.taught;
        let (loss, _) = self.loss()?;
        let objective = Supervised::new(plan, data, loss, self.execution.device().clone());
        Trainee { plan, data, objective: &objective, head: data.classifier() }.model(self.execution.device())
    }

    /// Given files of pseudo-labels, checked as far as they can be without reading the rows.
    pub(super) fn open_labels(&self) -> Result<Option<LabelSet>, TrainError> {
        let Some(path) = &self.self_train.labels else { return Ok(None) };
        let set = LabelSet::open(path)?;
        let refused = |reason: &str, help| {
            Err(TrainError::SelfTrain { what: shown_path(path), reason: reason.to_owned(), help })
        };
        if set.header().classes != self.images.taught.classes() {
            return refused(
                "labels other classes than the data has",
                "label with a teacher of these classes",
            );
        }
        if set.header().images_blake3 != self.images.offered_blake3 {
            return refused(
                "labels other images than those without labels",
                "give the folder that was labelled as `self_train.unlabelled`",
            );
        }
        Ok(Some(set))
    }

    /// Trains into `place`, or continues there; what is complete is kept.
    pub(super) fn train(&self, place: &str, title: &str, trainee: &Trainee<'_>) -> Result<Summary, Halt> {
        let place = inside(self.out, Path::new(place))?;
        if let Some(summary) = trainee.completed(&place)? {
            return Ok(summary);
        }
        self.execution.go_on()?;
        self.execution.say(format!("{title}: {}", trainee.plan.architecture));
        let run_dir = RunDir::create(&place, &trainee.plan.to_config())?;
        trainee.train(&run_dir, self.execution)?.unless_stopped()
    }

    /// Trains on labels alone.
    fn train_on_labels(
        &self,
        place: &str,
        title: &str,
        plan: Plan,
        data: &TrainingData,
    ) -> Result<Summary, Halt> {
        let (plan, batches_per_epoch) = self.on_labels(plan);
        let order = self.batches().labelled(data.train.len(), batches_per_epoch);
        let objective =
            Supervised::new(&plan, data, self.loss()?.0, self.execution.device().clone()).in_order(order);
        let trainee = Trainee { plan: &plan, data, objective: &objective, head: data.classifier() };
        self.train(place, title, &trainee)
    }

    pub(super) fn train_teacher(&self) -> Result<Summary, Halt> {
        let data = &self.images.taught;
        self.train_on_labels(TEACHER, "teacher on the labels", self.plain(), data)
    }

    /// The student's network on all labels, those of the audit set too, and no other images.
    pub(super) fn train_baseline(&self, models: &mut Vec<StageModel>) -> Result<(), Halt> {
        if self.self_train.baseline {
            let data = &self.images.labelled;
            let title = "baseline, on the labels alone";
            let summary = self.train_on_labels(BASELINE, title, self.baseline(), data)?;
            models.push(StageModel::new("baseline", BASELINE, summary));
        }
        Ok(())
    }

    /// The student of one round, or of Lee's method.
    pub(super) fn train_student(
        &self,
        place: &str,
        title: &str,
        plan: &Plan,
        data: &TrainingData,
        unlabelled: Unlabelled,
    ) -> Result<Summary, Halt> {
        let num_labelled = self.images.taught.train.len();
        let (loss, labelled_loss) = self.loss()?;
        let order = self.batches().both(num_labelled, data.train.len());
        let objective = NoisyStudent {
            supervised: Supervised::new(plan, &self.images.taught, loss, self.execution.device().clone())
                .in_order(order),
            num_labelled: num_labelled as u32,
            unlabelled,
            ratio: self.self_train.ratio,
            labelled_loss,
        };
        let trainee = Trainee { plan, data, objective: &objective, head: data.classifier() };
        self.train(place, title, &trainee)
    }

    /// Lee's method: one network that learns from its own classes.
    pub(super) fn pseudo_label(&self) -> Result<Done, Halt> {
        let mut models = Vec::new();
        self.train_baseline(&mut models)?;
        let rows: Vec<u32> = (0..self.images.pool.len() as u32).collect();
        // Their labels here are never looked at: each update has its own.
        let data = self.images.with_rows(&rows, &vec![0; rows.len()], b"own classes");
        let unlabelled = Unlabelled::Own {
            ramp: WeightRamp::over(self.plan.training.epochs as f64),
            steps_per_epoch: self.batches().per_epoch as f64,
        };
        let plan = self.noisy(1);
        let title = "pseudo-label, from its own classes";
        let summary = self.train_student(PSEUDO_LABEL, title, &plan, &data, unlabelled)?;
        models.push(StageModel::new("pseudo-label", PSEUDO_LABEL, summary));
        let chosen = PSEUDO_LABEL.to_owned();
        self.train_distilled(&chosen, &mut models)?;
        Ok(Done { models, chosen, rounds: Vec::new() })
    }

    /// The plan of the small network that learns from the final model in `teacher`: as `mentor distill` makes
    /// it of soft targets alone, with the optimiser and schedule of the other stages.
    pub(super) fn distilled(&self, teacher: &Path) -> Result<Plan, PlanError> {
        let mut config = self.plain().to_config();
        let small = self.self_train.distill_to.as_ref().unwrap_or(&self.self_train.student);
        config.model = ModelConfig { name: Some(small.to_string()), ..ModelConfig::default() };
        // Soft targets are clipped unless the user clips already.
        config.optimizer.clip_norm = config.optimizer.clip_norm.filter(|&norm| norm > 0.0);
        config.distill = Some(DistillConfig {
            teachers: vec![teacher.to_owned()],
            soft_weight: Some(1.0),
            hard_weight: Some(0.0),
            baseline: Some(false),
            ..DistillConfig::default()
        });
        Plan::try_from(config)
    }

    /// Distils the final model, in `chosen`, into the small one, if one is wanted.
    pub(super) fn train_distilled(&self, chosen: &str, models: &mut Vec<StageModel>) -> Result<(), Halt> {
        if self.self_train.distill_to.is_none() {
            return Ok(());
        }
        let teacher = inside(self.out, Path::new(chosen))?;
        // Seen from the small model's run, so that the whole can be moved.
        let plan = self.distilled(&Path::new("..").join(chosen))?;
        let rows: Vec<u32> = (0..self.images.pool.len() as u32).collect();
        let mut data = self.images.with_rows(&rows, &vec![0; rows.len()], b"distillation");
        data.train = std::sync::Arc::new((*data.train).clone().without_labels());
        let place = inside(self.out, Path::new(DISTILLED))?;
        let complete = match RunDir::completed_elsewhere(&place, &plan.to_config())? {
            // Its teacher is named by its place in this run: another place is another stage.
            Some((run, _)) if run.moved().iter().any(|field| field != "data.source") => {
                return Err(Halt::Failed(
                    run.other_run().map_or(TrainError::LessonsChanged, TrainError::from),
                ));
            }
            Some((run, summary)) if summary.data_blake3 != data.fingerprint => {
                return Err(Halt::Failed(run.other_run().map_or(TrainError::DataChanged, TrainError::from)));
            }
            found => found.map(|(_, summary)| summary),
        };
        let summary = match complete {
            Some(summary) => summary,
            None => {
                self.execution.go_on()?;
                let distill = plan.distill().expect("a plan of distillation");
                let teachers = [TrainedTeacher::load(&teacher, distill.mode, self.execution.device())?];
                let student = Student {
                    plan: &plan,
                    distill,
                    teachers: &teachers,
                    data: &data,
                    out: &place,
                    execution: self.execution,
                };
                student.train()?.unless_stopped()?
            }
        };
        models.push(StageModel::new("distilled", DISTILLED, summary));
        Ok(())
    }
}
