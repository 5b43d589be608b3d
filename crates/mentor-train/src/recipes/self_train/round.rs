//! One round: label, choose, learn, compare; then accept the student as the next teacher, or roll back.

use std::cmp::Ordering;
use std::path::Path;

use mentor_data::listed;
use mentor_metrics::mcnemar;
use mentor_metrics::pseudo_labels::audit::{Alarm, Audit, alarms};
use mentor_run::files::{create_inside, exists, inside};
use mentor_run::records::self_training::{Round, RoundSummary};
use mentor_run::{RunDir, RunDirError, Summary};

use super::label::folder;
use super::labels::{Calibrated, Chosen, LEVEL, changed, choose, contradicts_validation, sheets, write};
use super::objective::Unlabelled;
use super::places::TEACHER;
use super::stages::{Done, StageModel, Work};
use crate::engine::error::TrainError;
use crate::engine::outcome::Halt;
use crate::pseudo_labels::{LabelSet, Selection};

/// The record of a finished round, in its directory.
const ROUND_FILE: &str = "round.json";

/// What a round starts from.
struct Before<'a> {
    number: usize,
    /// Place of the teacher, below the run.
    teacher: &'a str,
    teacher_val_accuracy: f64,
    /// The audit set's labels in the last accepted round.
    reference: Option<&'a Audit>,
    /// Files of pseudo-labels for this round.
    given: Option<&'a LabelSet>,
}

impl Work<'_> {
    /// Teacher, baseline, then round after round.
    pub(super) fn noisy_student(&self, given: Option<&LabelSet>) -> Result<Done, Halt> {
        let summary = self.train_teacher()?;
        let (mut teacher, mut accuracy) = (TEACHER.to_owned(), val_accuracy(&summary));
        let mut models = vec![StageModel::new("teacher", TEACHER, summary)];
        self.train_baseline(&mut models)?;
        let mut reference: Option<Audit> = None;
        let mut rounds = Vec::new();
        for number in 1..=self.self_train.rounds {
            let before = Before {
                number,
                teacher: &teacher,
                teacher_val_accuracy: accuracy,
                reference: reference.as_ref(),
                given: given.filter(|_| number == 1),
            };
            let (round, student) = self.round(&before)?;
            if let (Some(val_accuracy), Some(summary)) = (round.summary.val_accuracy, student) {
                let student = student_of(number);
                models.push(StageModel::new(format!("round {number}"), &student, summary));
                if round.summary.accepted {
                    (teacher, accuracy) = (student, val_accuracy);
                    reference = round.audit.clone().or(reference);
                }
            }
            rounds.push(round);
        }
        self.train_distilled(&teacher, &mut models)?;
        Ok(Done { models, chosen: teacher, rounds })
    }

    /// The round, and its student if one was trained.
    fn round(&self, before: &Before<'_>) -> Result<(Round, Option<Summary>), Halt> {
        let number = before.number;
        let place = format!("round-{number}");
        let folder = inside(self.out, Path::new(&place))?;
        if exists(&folder.join(ROUND_FILE)) {
            let round: Round = RunDir::at(&folder).read_json(ROUND_FILE)?;
            let num_classes = self.images.taught.classes().len();
            let damaged = |message| RunDirError::Damaged { path: folder.join(ROUND_FILE), message };
            round.check_classes(num_classes).map_err(damaged)?;
            let student = match round.summary.val_accuracy {
                Some(_) => Some(RunDir::open(&inside(self.out, Path::new(&student_of(number)))?)?.summary()?),
                None => None,
            };
            return Ok((round, student));
        }
        self.execution.go_on()?;
        let calibrated = Calibrated::load(self, before.teacher)?;
        let own;
        let set = match before.given {
            Some(given) => given,
            None => {
                own = write(self, &calibrated, number, &place)?;
                &own
            }
        };
        let chosen = choose(self, set, before.given.is_some())?;
        let mut round = self.describe(before, set, &calibrated, &chosen)?;
        self.report_labels(before, &round);
        let student = match self.refused(before, &calibrated, &round) {
            Some((reason, alarms)) => {
                (round.summary.reason, round.alarms) = (reason, alarms);
                None
            }
            None => Some(self.learn(before, &calibrated, chosen, &mut round)?),
        };
        let RoundSummary { accepted, reason, .. } = &round.summary;
        let verdict = if *accepted { "accepted" } else { "rolled back" };
        self.execution.say(format!("round {number}: {verdict}: {reason}"));
        create_inside(self.out, Path::new(&place))?;
        RunDir::at(&folder).write_json(ROUND_FILE, &round)?;
        Ok((round, student))
    }

    /// What there is to say before the student.
    fn describe(
        &self,
        before: &Before<'_>,
        set: &LabelSet,
        calibrated: &Calibrated,
        chosen: &Chosen,
    ) -> Result<Round, TrainError> {
        let Selection { statistics, .. } = &chosen.selection;
        let num_classes = self.images.taught.classes().len();
        let prior: Vec<f64> =
            self.images.labelled.train.class_counts().into_iter().map(|count| count as f64).collect();
        let earlier = folder(&format!("round-{}", before.number.saturating_sub(1)));
        let earlier = inside(self.out, &earlier)?;
        let changed = match earlier.is_dir() && before.given.is_none() {
            true => Some(changed(&LabelSet::open(&earlier)?, set, num_classes)?),
            false => None,
        };
        Ok(Round {
            summary: RoundSummary {
                round: before.number,
                val_accuracy: None,
                test_accuracy: None,
                num_pseudo_labels: statistics.num_chosen,
                mean_confidence: statistics.mean_confidence,
                audit_precision: chosen.audit.as_ref().and_then(|audit| audit.overall().precision()),
                p_value: None,
                accepted: false,
                reason: String::new(),
            },
            teacher: match (before.given, &self.self_train.labels) {
                (Some(_), Some(path)) => path.display().to_string(),
                _ => before.teacher.to_owned(),
            },
            teacher_val_accuracy: before.teacher_val_accuracy,
            temperature: if before.given.is_some() {
                set.header().temperature
            } else {
                calibrated.temperature
            },
            drift: statistics.drift(&prior),
            selection: statistics.clone(),
            changed,
            audit: chosen.audit.clone(),
            student_audit: None,
            alarms: Vec::new(),
            sheets: sheets(self.images, chosen)?,
        })
    }

    fn report_labels(&self, before: &Before<'_>, round: &Round) {
        let number = before.number;
        if before.given.is_some() {
            self.execution.warn(format!(
                "round {number}: the labels are given, so that no audit set audits them; the student's audit \
                 is the first"
            ));
        }
        let empty = round.selection.empty_classes();
        if !empty.is_empty() && round.selection.num_chosen > 0 {
            let classes = self.images.taught.classes();
            let names: Vec<&str> = empty.iter().map(|&class| classes[class as usize].as_str()).collect();
            self.execution.warn(format!(
                "round {number}: {} of the classes have no pseudo-label at a confidence of {}: {}; the \
                 student learns them from their labels alone",
                empty.len(),
                self.self_train.threshold,
                listed(&names)
            ));
        }
    }

    /// Why these labels must not be learned from, if so.
    fn refused(
        &self,
        before: &Before<'_>,
        calibrated: &Calibrated,
        round: &Round,
    ) -> Option<(String, Vec<Alarm>)> {
        if round.selection.num_chosen == 0 {
            let reason = format!("no image reaches the threshold of {}", self.self_train.threshold);
            return Some((reason, Vec::new()));
        }
        let audit = round.audit.as_ref()?;
        let precision = audit.overall().precision().unwrap_or(0.0);
        if contradicts_validation(audit, &calibrated.on_val) {
            let reason = format!(
                "the audit raises its alarm: only {precision:.3} of the audit set's labels are right, and \
                 {:.3} of the teacher's on validation",
                calibrated.on_val.precision().unwrap_or(0.0)
            );
            return Some((reason, Vec::new()));
        }
        let found = before.reference.map_or(Vec::new(), |reference| alarms(reference, audit, LEVEL));
        (!found.is_empty()).then(|| (self.alarm(&found), found))
    }

    fn alarm(&self, found: &[Alarm]) -> String {
        let whose = |alarm: &Alarm| match alarm.class {
            Some(class) => format!("of class {:?}", self.images.taught.classes()[class as usize]),
            None => "of the labels".to_owned(),
        };
        let first = &found[0];
        format!(
            "the audit raises its alarm: the precision {} on the audit set fell from {:.3} to {:.3}, below \
             its interval from {:.3}",
            whose(first),
            first.before,
            first.now,
            first.interval.low
        )
    }

    /// Trains the student and judges it.
    fn learn(
        &self,
        before: &Before<'_>,
        teacher: &Calibrated,
        chosen: Chosen,
        round: &mut Round,
    ) -> Result<Summary, Halt> {
        let number = before.number;
        let (mut rows, mut labels, mut told) = (Vec::new(), Vec::new(), Vec::new());
        let (mut targets, mut of_rows) = (Vec::new(), Vec::new());
        for label in chosen.selection.labels {
            for &(class, probability) in &label.target.top {
                told.extend(class.to_le_bytes());
                told.extend(probability.to_le_bytes());
            }
            for _ in 0..label.copies {
                rows.push(label.row as u32);
                labels.push(label.label);
                of_rows.push(targets.len() as u32);
            }
            targets.push(label.target);
        }
        let data = self.images.with_rows(&rows, &labels, &told);
        let plan = self.noisy(number);
        let place = student_of(number);
        let unlabelled = Unlabelled::Given { targets, of_rows, kind: self.self_train.label_kind };
        let title = format!("round {number}: student with {} pseudo-labels", round.selection.num_chosen);
        let summary = self.train_student(&place, &title, &plan, &data, unlabelled)?;
        round.summary.val_accuracy = Some(val_accuracy(&summary));
        let student = Calibrated::load(self, &place)?;
        round.student_audit = student.audit(self)?;
        if let (Some(teacher), Some(student)) = (&round.audit, &round.student_audit) {
            round.alarms = alarms(teacher, student, LEVEL);
        }
        let found =
            Comparison::of(self.images.val.targets(), &student.classes_on_val, &teacher.classes_on_val);
        round.summary.p_value = Some(found.p_value);
        round.summary.accepted = found.student > found.teacher && round.alarms.is_empty();
        round.summary.reason =
            if round.alarms.is_empty() { found.reason() } else { self.alarm(&round.alarms) };
        Ok(summary)
    }
}

/// Student and teacher on the same validation images.
struct Comparison {
    num_images: usize,
    /// Images that it has right.
    student: usize,
    teacher: usize,
    /// McNemar's exact, two-sided.
    p_value: f64,
}

impl Comparison {
    fn of(targets: &[u32], student: &[u32], teacher: &[u32]) -> Self {
        let right =
            |classes: &[u32]| classes.iter().zip(targets).filter(|(class, target)| class == target).count();
        Self {
            num_images: targets.len(),
            student: right(student),
            teacher: right(teacher),
            p_value: mcnemar(targets, student, teacher).p_value,
        }
    }

    /// The counts, and whether so many images can tell the two apart.
    fn reason(&self) -> String {
        let Self { num_images, student, teacher, p_value } = *self;
        let counts = match student.cmp(&teacher) {
            Ordering::Greater => {
                format!("{student} of {num_images} validation images right, its teacher {teacher}")
            }
            Ordering::Less => {
                format!("only {student} of {num_images} validation images right, its teacher {teacher}")
            }
            Ordering::Equal => {
                format!(
                    "no better than its teacher: each has {student} of {num_images} validation images right"
                )
            }
        };
        if p_value < 1.0 - LEVEL {
            return counts;
        }
        format!("{counts}; so few images cannot tell them apart (p = {p_value:.2})")
    }
}

/// Where the student of a round is, below the run.
fn student_of(number: usize) -> String {
    format!("round-{number}/student")
}

fn val_accuracy(summary: &Summary) -> f64 {
    summary.val_accuracy.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_judged_by_counts_and_says_when_these_tell_nothing() {
        let targets = [0; 40];
        let right = |count: usize| (0..40).map(|index| u32::from(index >= count)).collect::<Vec<u32>>();
        let of = |student, teacher| Comparison::of(&targets, &right(student), &right(teacher));
        assert_eq!(of(40, 30).reason(), "40 of 40 validation images right, its teacher 30");
        let reason = of(23, 22).reason();
        assert_eq!(
            reason,
            "23 of 40 validation images right, its teacher 22; so few images cannot tell them apart (p = \
             1.00)"
        );
        assert!(of(22, 22).reason().starts_with("no better than its teacher: each has 22 of 40"));
        assert!(of(10, 30).reason().starts_with("only 10 of 40"));
    }
}
