//! Are the pseudo-labels right? Precision on a labelled canary, with intervals, and an alarm when it falls.
//!
//! The canary is a small labelled set that nobody trains on. Each round it goes the way of the unlabelled images; what the teacher
//! calls it is then compared with what it is.

use serde::{Deserialize, Serialize};

/// An interval of a share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// From 0.
    pub low: f64,
    /// To 1.
    pub high: f64,
}

/// The interval of Wilson for `num_hits` of `num_trials` at the two-sided `level`, such as 0.95; all of [0, 1] without trials.
///
/// **Definition.** With z the (1 + level)/2 quantile of the normal distribution, p = hits/n:
/// `(p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n)`.
///
/// **Source.** E. B. Wilson. Probable Inference, the Law of Succession, and Statistical Inference. JASA 22, 1927.
///
/// ```
/// use mentor_metrics::pseudo_labels::audit::wilson_interval;
/// let interval = wilson_interval(9, 10, 0.95);
/// assert!((interval.low - 0.5958).abs() < 1e-4 && (interval.high - 0.9821).abs() < 1e-4);
/// ```
///
/// # Panics
///
/// If there are more hits than trials or `level` is not in (0, 1).
pub fn wilson_interval(num_hits: u64, num_trials: u64, level: f64) -> Interval {
    assert!(num_hits <= num_trials, "{num_hits} hits of {num_trials}");
    assert!(level > 0.0 && level < 1.0, "level {level} is not in (0, 1)");
    if num_trials == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let z = normal_quantile(0.5 + level / 2.0);
    let n = num_trials as f64;
    let p = num_hits as f64 / n;
    let middle = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    // At the ends the two terms are equal and rounding must not leave the range.
    Interval { low: ((middle - half) / scale).max(0.0), high: ((middle + half) / scale).min(1.0) }
}

/// The inverse of the standard normal distribution, for p in (0, 1), to nine digits (P. J. Acklam's rational approximation).
fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 6] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 5] =
        [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0];
    const TAIL: f64 = 0.02425;
    let polynomial = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    if p < TAIL {
        let q = (-2.0 * p.ln()).sqrt();
        polynomial(&C, q) / polynomial(&D, q)
    } else if p > 1.0 - TAIL {
        -normal_quantile(1.0 - p)
    } else {
        let q = p - 0.5;
        polynomial(&A, q * q) * q / polynomial(&B, q * q)
    }
}

/// What the teacher calls the canary images of one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// Canary images, with those under the threshold.
    pub num_seen: u64,
    /// By the class that they were labelled as.
    pub classes: Vec<ClassAudit>,
}

/// Canary images that were labelled as one class, at the threshold or above.
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

    /// Adds a canary image: its true class, and its pseudo-label, or `None` if its confidence was under the threshold.
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

    /// Share of the canary that is labelled at all; 0 of nothing.
    pub fn kept_share(&self) -> f64 {
        self.overall().num_labelled as f64 / self.num_seen.max(1) as f64
    }
}

/// Labelled canary images of a class, below which its precision alone raises no alarm.
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
/// **Definition.** An alarm where the precision now is strictly below the lower end of the reference's Wilson interval: at the two-sided `level`
/// for all classes together, and at 1 − (1 − level)/C for each of C classes (Bonferroni), since with ten classes and 0.95 some class
/// falls below its own by chance in many rounds. A class with fewer than 5 labelled images, before or now, raises no alarm: one image
/// more or less that is right would. Without any labelled images there is no precision and no alarm.
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

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (p, z) in [
            (0.5, 0.0),
            (0.975, 1.959963985),
            (0.995, 2.575829304),
            (0.9975, 2.807033768),
            (0.999995, 4.417173413),
        ] {
            assert!((normal_quantile(p) - z).abs() < 1e-7, "{p}");
            assert!((normal_quantile(1.0 - p) + z).abs() < 1e-7, "{p}");
        }
    }

    #[test]
    fn intervals_are_those_of_wilson() {
        // 81 of 263 is an example of Newcombe (Statistics in Medicine 17, 1998, table I, method 3).
        for (hits, trials, low, high) in [
            (0, 10, 0.0, 0.277533),
            (10, 10, 0.722467, 1.0),
            (5, 10, 0.236593, 0.763407),
            (81, 263, 0.255329, 0.366171),
        ] {
            let interval = wilson_interval(hits, trials, 0.95);
            assert!((interval.low - low).abs() < 1e-4 && (interval.high - high).abs() < 1e-4, "{interval:?}");
        }
        assert_eq!(wilson_interval(0, 0, 0.95), Interval { low: 0.0, high: 1.0 });
        assert_eq!(wilson_interval(7, 7, 0.9999).high, 1.0);
    }

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
