//! The audit of pseudo-labels: precision on a labelled, held-out set, with intervals, and an alarm if it
//! falls.
//!
//! The audit set is a small labelled set that nobody trains on. In each round it is pseudo-labelled like the
//! unlabelled images; what the teacher calls it is then compared with what it is.

use serde::{Deserialize, Serialize};

use crate::interval::{Interval, wilson_interval};

/// The teacher's labels of the audit images of one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// Audit images, with those under the threshold.
    pub num_seen: u64,
    /// By the class that they were labelled as.
    pub classes: Vec<ClassAudit>,
}

/// Audit images that were labelled as one class, at the threshold or above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassAudit {
    /// Labelled as the class.
    pub num_labelled: u64,
    /// Of those, really of it.
    pub num_correct: u64,
}

impl ClassAudit {
    /// Share of the labelled that is right; `None` where none is labelled so.
    pub fn precision(&self) -> Option<f64> {
        (self.num_labelled > 0).then(|| self.num_correct as f64 / self.num_labelled as f64)
    }

    /// The interval of the precision.
    pub fn interval(&self, level: f64) -> Interval {
        wilson_interval(self.num_correct, self.num_labelled, level)
    }
}

impl Audit {
    /// Nothing seen yet.
    pub fn new(num_classes: usize) -> Self {
        Self { num_seen: 0, classes: vec![ClassAudit::default(); num_classes] }
    }

    /// Adds an audit image: its true class, and its pseudo-label, or `None` if its confidence was under the
    /// threshold.
    ///
    /// # Panics
    ///
    /// If the label is not below the number of classes.
    pub fn push(&mut self, target: u32, label: Option<u32>) {
        self.num_seen += 1;
        if let Some(label) = label {
            let class = &mut self.classes[label as usize];
            class.num_labelled += 1;
            class.num_correct += u64::from(label == target);
        }
    }

    /// All classes together.
    pub fn overall(&self) -> ClassAudit {
        self.classes.iter().fold(ClassAudit::default(), |sum, class| ClassAudit {
            num_labelled: sum.num_labelled + class.num_labelled,
            num_correct: sum.num_correct + class.num_correct,
        })
    }

    /// Share of the audit set that is labelled at all; 0 of nothing.
    pub fn kept_share(&self) -> f64 {
        self.overall().num_labelled as f64 / self.num_seen.max(1) as f64
    }
}

/// Labelled audit images of a class, below which its precision alone raises no alarm.
const MIN_OF_CLASS: u64 = 5;

/// A precision that fell out of the interval of an earlier round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// The class; `None` for all together.
    pub class: Option<u32>,
    /// Precision of the reference.
    pub before: f64,
    /// Its interval.
    pub interval: Interval,
    /// Precision now, below the interval.
    pub now: f64,
}

/// Where `now` is below the interval of `reference`, usually the last accepted round.
///
/// **Definition.** An alarm where the precision now is strictly below the lower end of the reference's Wilson
/// interval: at the two-sided `level` for all classes together, and at 1 − (1 − level)/C for each of C
/// classes (Bonferroni), since with ten classes and 0.95 some class falls below its own by chance in many
/// rounds. A class with fewer than 5 labelled images, before or now, raises no alarm: one image more or less
/// that is right would. Without any labelled images there is no precision and no alarm.
///
/// # Panics
///
/// If the audits are of different classes or `level` is not in (0, 1).
pub fn alarms(reference: &Audit, now: &Audit, level: f64) -> Vec<Alarm> {
    assert_eq!(reference.classes.len(), now.classes.len(), "audits of different classes");
    let alarm = |class, reference: ClassAudit, now: ClassAudit, level| {
        let (before, now) = (reference.precision()?, now.precision()?);
        let interval = reference.interval(level);
        (now < interval.low).then_some(Alarm { class, before, interval, now })
    };
    let class_level = 1.0 - (1.0 - level) / now.classes.len().max(1) as f64;
    let enough = |audit: &ClassAudit| audit.num_labelled >= MIN_OF_CLASS;
    let classes = (0..).zip(reference.classes.iter().zip(&now.classes));
    let classes = classes.filter(|(_, (before, now))| enough(before) && enough(now));
    alarm(None, reference.overall(), now.overall(), level)
        .into_iter()
        .chain(classes.filter_map(|(class, (before, now))| alarm(Some(class), *before, *now, class_level)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(classes: &[(u64, u64)]) -> Audit {
        let mut audit = Audit::new(classes.len());
        for (class, &(labelled, correct)) in (0..).zip(classes) {
            for index in 0..labelled {
                let wrong = (class + 1) % classes.len() as u32;
                audit.push(if index < correct { class } else { wrong }, Some(class));
            }
        }
        audit
    }

    #[test]
    fn precision_is_of_what_is_labelled_so_and_the_unsure_count_as_seen() {
        let mut audit = audit(&[(4, 3), (0, 0)]);
        audit.push(1, None);
        assert_eq!(audit.classes[0].precision(), Some(0.75));
        assert_eq!(audit.classes[1].precision(), None);
        assert_eq!((audit.num_seen, audit.kept_share()), (5, 0.8));
    }

    #[test]
    fn a_fall_beyond_the_interval_raises_the_alarm_and_noise_does_not() {
        let before = audit(&[(100, 95), (100, 90)]);
        assert!(alarms(&before, &audit(&[(100, 92), (100, 88)]), 0.95).is_empty());
        assert!(alarms(&before, &audit(&[(100, 100), (100, 100)]), 0.95).is_empty());
        let one_class = alarms(&before, &audit(&[(100, 99), (100, 75)]), 0.95);
        let found: Vec<Option<u32>> = one_class.iter().map(|alarm| alarm.class).collect();
        assert_eq!(found, [None, Some(1)]);
        let permuted = alarms(&before, &audit(&[(100, 10), (100, 12)]), 0.95);
        assert_eq!(permuted.len(), 3);
        assert!(
            permuted.iter().all(|alarm| alarm.now < alarm.interval.low && alarm.interval.low < alarm.before)
        );
    }

    #[test]
    fn nothing_labelled_is_no_alarm() {
        let before = audit(&[(10, 10), (10, 10)]);
        assert!(alarms(&before, &audit(&[(0, 0), (10, 10)]), 0.95).is_empty());
        assert!(alarms(&Audit::new(2), &before, 0.95).is_empty());
    }

    #[test]
    fn few_images_of_a_class_are_no_reason_for_an_alarm_of_their_own() {
        let before = audit(&[(4, 4), (5, 5), (10, 10)]);
        let found = alarms(&before, &audit(&[(5, 0), (4, 0), (10, 10)]), 0.95);
        assert!(found.iter().all(|alarm| alarm.class.is_none()), "{found:?}");
        let found = alarms(&before, &audit(&[(4, 4), (5, 0), (10, 10)]), 0.95);
        assert!(found.iter().any(|alarm| alarm.class == Some(1)), "{found:?}");
    }
}
