//! The stages of self-training as runs of their own, below the run directory.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use mentor_data::shown_path;
use mentor_loss::{ScoreLoss, SoftmaxCrossEntropy};
use mentor_model::{Architecture, Model};
use mentor_run::files::inside;
use mentor_run::records::self_training::Round;
use mentor_run::{DistillConfig, ModelConfig, RunDir, Summary, TrainEvent};

use super::data::{Batches, Images};
use super::objective::{NoisyStudent, Unlabelled};
use super::places::{BASELINE, DISTILLED, PSEUDO_LABEL, TEACHER};
use crate::engine::error::TrainError;
use crate::engine::outcome::{Halt, Outcome};
use crate::engine::trainee::{Trainee, train_on};
use crate::engine::training_data::TrainingData;
use crate::plan::Plan;
use crate::plan::checker::PlanError;
use crate::plan::loss::{LossPlan, ScoreLossPlan};
use crate::plan::self_train::SelfTrainPlan;
use crate::pseudo_labels::{LabelSet, WeightRamp};
use crate::recipes::distill::{Place, distill_on};
use crate::recipes::supervised::Supervised;
use crate::teachers::teacher::Teacher;

/// What all stages know.
pub(super) struct Work<'a> {
    pub(super) plan: &'a Plan,
    pub(super) self_train: &'a SelfTrainPlan,
    pub(super) images: &'a Images,
    pub(super) out: &'a Path,
    pub(super) device: &'a Device,
    pub(super) device_name: &'a str,
    pub(super) stop: &'a AtomicBool,
    pub(super) observer: &'a mut dyn FnMut(&TrainEvent),
    /// Updates of teacher and baseline, if they were found and are not those of a student.
    pub(super) length: Option<u64>,
}

/// What the stages came to.
pub(super) struct Done {
    /// Name and place, below the run, of every model.
    pub(super) models: Vec<(String, String)>,
    /// Place of the final one.
    pub(super) chosen: String,
    pub(super) rounds: Vec<Round>,
}

impl Work<'_> {
    pub(super) fn say(&mut self, text: String) {
        (self.observer)(&TrainEvent::Stage(text));
    }

    pub(super) fn warn(&mut self, text: String) {
        (self.observer)(&TrainEvent::Warning(text));
    }

    /// # Errors
    ///
    /// Once the user wants to stop.
    pub(super) fn go_on(&self) -> Result<(), Halt> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Halt::Stopped { step: 0 }),
            false => Ok(()),
        }
    }

    pub(super) fn batches(&self) -> Batches {
        Batches::new(self.plan, self.self_train, self.images)
    }

    /// The plan of training on labels alone.
    pub(super) fn plain(&self) -> Plan {
        Plan { self_train: None, ..self.plan.clone() }
    }

    /// The plan of the student of round `number`, with its noise. Each has first weights of its own.
    pub(super) fn noisy(&self, number: usize) -> Plan {
        let SelfTrainPlan { student, augment, dropout, stochastic_depth, .. } = self.self_train;
        Plan {
            architecture: student.clone(),
            augment: *augment,
            dropout: *dropout,
            stochastic_depth: *stochastic_depth,
            // A configuration holds seeds below 2^63.
            seed: self.plan.seed.wrapping_add(number as u64) & i64::MAX as u64,
            ..self.plain()
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
        let linear = Architecture::Linear;
        let simpler = self.self_train.student == linear && self.plan.architecture != linear;
        let smaller = student.num_params() < teacher.num_params();
        if smaller || simpler {
            warnings.push(format!(
                "the student {} has {} parameters and its teacher {} {}: {} forgets what it is taught; give \
                 --student one as large, and --distill-to the small one",
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
        let objective = Supervised::new(plan, data, loss, self.device.clone());
        Trainee { plan, data, objective: &objective, head: data.classifier() }.model(self.device)
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
    pub(super) fn train(&mut self, place: &str, title: &str, trainee: &Trainee<'_>) -> Result<Summary, Halt> {
        let place = inside(self.out, Path::new(place))?;
        if let Some(summary) = trainee.completed(&place)? {
            return Ok(summary);
        }
        self.go_on()?;
        self.say(format!("{title}: {}", trainee.plan.architecture));
        let run_dir = RunDir::create(&place, &trainee.plan.to_config())?;
        let Self { device, device_name, stop, .. } = *self;
        match train_on(trainee, &run_dir, device, device_name, stop, self.observer)? {
            Outcome::Complete(summary) | Outcome::AlreadyComplete(summary) => Ok(summary),
            Outcome::Interrupted { step } => Err(Halt::Stopped { step }),
        }
    }

    /// Trains on labels alone.
    fn train_on_labels(
        &mut self,
        place: &str,
        title: &str,
        plan: Plan,
        data: &TrainingData,
    ) -> Result<Summary, Halt> {
        let (plan, batches_per_epoch) = self.on_labels(plan);
        let order = self.batches().labelled(data.train.len(), batches_per_epoch);
        let objective = Supervised::new(&plan, data, self.loss()?.0, self.device.clone()).in_order(order);
        let trainee = Trainee { plan: &plan, data, objective: &objective, head: data.classifier() };
        self.train(place, title, &trainee)
    }

    pub(super) fn train_teacher(&mut self) -> Result<Summary, Halt> {
        let data = &self.images.taught;
        self.train_on_labels(TEACHER, "teacher on the labels", self.plain(), data)
    }

    /// The student's network on all labels, the canary's too, and no other images.
    pub(super) fn train_baseline(&mut self, models: &mut Vec<(String, String)>) -> Result<(), Halt> {
        if self.self_train.baseline {
            let data = &self.images.labelled;
            self.train_on_labels(BASELINE, "baseline, on the labels alone", self.baseline(), data)?;
            models.push(("baseline".to_owned(), BASELINE.to_owned()));
        }
        Ok(())
    }

    /// The student of one round, or of Lee's method.
    pub(super) fn train_student(
        &mut self,
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
            supervised: Supervised::new(plan, &self.images.taught, loss, self.device.clone()).in_order(order),
            num_labelled: num_labelled as u32,
            unlabelled,
            ratio: self.self_train.ratio,
            labelled_loss,
        };
        let trainee = Trainee { plan, data, objective: &objective, head: data.classifier() };
        self.train(place, title, &trainee)
    }

    /// Lee's method: one network that learns from its own classes.
    pub(super) fn pseudo_label(&mut self) -> Result<Done, Halt> {
        let mut models = Vec::new();
        self.train_baseline(&mut models)?;
        let rows: Vec<u32> = (0..self.images.pool.len() as u32).collect();
        // Their labels here are never looked at: each update has its own.
        let data = self.images.with_rows(&rows, &vec![0; rows.len()], b"own classes");
        let unlabelled = Unlabelled::Own {
            ramp: WeightRamp::over(self.plan.epochs as f64),
            steps_per_epoch: self.batches().per_epoch as f64,
        };
        let plan = self.noisy(1);
        self.train_student(PSEUDO_LABEL, "pseudo-label, from its own classes", &plan, &data, unlabelled)?;
        models.push(("pseudo-label".to_owned(), PSEUDO_LABEL.to_owned()));
        let chosen = PSEUDO_LABEL.to_owned();
        self.train_distilled(&chosen, &mut models)?;
        Ok(Done { models, chosen, rounds: Vec::new() })
    }

    /// The plan of the small network that learns from the final model in `teacher`: as `mentor distill` makes it of soft targets
    /// alone, with the optimiser and schedule of the other stages.
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
    pub(super) fn train_distilled(
        &mut self,
        chosen: &str,
        models: &mut Vec<(String, String)>,
    ) -> Result<(), Halt> {
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
            found => found.is_some(),
        };
        if !complete {
            self.go_on()?;
            let Self { device, device_name, stop, .. } = *self;
            let distill = plan.distill.as_ref().expect("a plan of distillation");
            let teachers = [Teacher::load(&teacher, distill.mode, device)?];
            let place = Place { out: &place, device, device_name, stop };
            let outcome = distill_on(&plan, distill, &teachers, &data, &place, self.observer)?;
            if let Outcome::Interrupted { step } = outcome {
                return Err(Halt::Stopped { step });
            }
        }
        models.push(("distilled".to_owned(), DISTILLED.to_owned()));
        Ok(())
    }
}
