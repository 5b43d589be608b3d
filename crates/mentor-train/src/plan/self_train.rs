//! The checked part of a configuration that says how few labels and many images become a student.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use mentor_data::{Augment, RandAugment};
use mentor_metrics::pseudo_labels::LabelKind;
use mentor_model::Architecture;
use mentor_run::{Config, SelfTrainConfig};

use crate::plan::checker::{BELOW_ONE, Checker, POSITIVE};
use crate::plan::loss::{LossPlan, ScoreLossPlan};

/// How images without labels teach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfTrainMethod {
    /// A teacher labels them once a round, a noisy student learns from it (Xie et al. 2020).
    NoisyStudent,
    /// The network's own classes, anew in every update, with a weight that rises (Lee 2013).
    PseudoLabel,
}

impl fmt::Display for SelfTrainMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoisyStudent => "noisy-student",
            Self::PseudoLabel => "pseudo-label",
        })
    }
}

impl FromStr for SelfTrainMethod {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "noisy-student" => Ok(Self::NoisyStudent),
            "pseudo-label" => Ok(Self::PseudoLabel),
            other => Err(format!("\"{other}\" is not known; there are noisy-student and pseudo-label")),
        }
    }
}

/// Where the images without labels are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pool {
    /// A folder, or other data whose labels are not looked at.
    Data(String),
    /// All training images but this many of each class.
    AllBut {
        /// Images of each class that keep their labels.
        labels_per_class: usize,
    },
}

/// Pseudo-labelled images of each class, of balanced ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerClass {
    /// As many as there are unlabelled images for a class on average.
    Average,
    /// This many.
    Count(NonZeroUsize),
}

/// How few labels and many images become a student.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SelfTrainPlan {
    /// Where the images without labels are.
    pub pool: Pool,
    /// Files of pseudo-labels for the first round; `None`: the teacher makes them.
    pub labels: Option<PathBuf>,
    /// How they teach.
    pub method: SelfTrainMethod,
    /// Rounds of labelling and learning.
    pub rounds: usize,
    /// The student's network.
    pub student: Architecture,
    /// Least confidence of a pseudo-label.
    pub threshold: f64,
    /// Which targets the student gets.
    pub label_kind: LabelKind,
    /// Whether each class gets the same number of pseudo-labelled images.
    pub balance: bool,
    /// That number.
    pub per_class: PerClass,
    /// How often an image may be repeated.
    pub max_copies: u32,
    /// Pseudo-labelled images beside each labelled one, and the weight of their loss.
    pub ratio: f64,
    /// Change of the student's images.
    pub augment: Augment,
    /// The student's probability of dropping a hidden unit.
    pub dropout: f64,
    /// The student's probability of dropping the last residual block.
    pub stochastic_depth: f64,
    /// Share of the labelled images of a class that audit the pseudo-labels.
    pub audit_fraction: f64,
    /// Whether the student's network is trained on the labels alone too.
    pub baseline: bool,
    /// A small network that the final model teaches at the end.
    pub distill_to: Option<Architecture>,
}

/// Labelled images of a batch, if the user names no number.
pub(crate) const BATCH_SIZE: usize = 32;

/// Values that suit few labels, where the user names none: a small convolutional network, small batches,
/// shifted images and an average of the weights.
pub(crate) fn apply_defaults(config: &mut Config) {
    if config.self_train.is_none() {
        return;
    }
    config.model.name.get_or_insert_with(|| "cnn".to_owned());
    config.data.augment.get_or_insert(Augment::SHIFT);
    config.optimizer.batch_size.get_or_insert(BATCH_SIZE);
    config.penalty.l2.get_or_insert(5e-4);
    // An epoch is a pass over the larger of labelled and unlabelled images, and each stage makes as many.
    config.training.epochs.get_or_insert(6);
    config.training.ema.get_or_insert(0.999);
}

/// What else of the plan decides what can be done.
pub(crate) struct Taught<'a> {
    pub(crate) architecture: &'a Architecture,
    pub(crate) loss: &'a LossPlan,
    pub(crate) full_batch: bool,
}

impl SelfTrainPlan {
    pub(crate) fn check(config: SelfTrainConfig, taught: &Taught<'_>, check: &mut Checker) -> Self {
        let pool = pool(&config, check);
        check.check(matches!(taught.loss, LossPlan::Scores(ScoreLossPlan::Softmax { .. })), || {
            format!("self-training has softmax as its loss, not {}", taught.loss.name())
        });
        check.check(!taught.full_batch, || "gd does not self-train: use sgd".into());
        let method = check.parse("method", config.method.as_deref(), SelfTrainMethod::NoisyStudent);
        if method == SelfTrainMethod::PseudoLabel {
            refuse_rounds(&config, check);
        }
        let student = check.parse("student", config.student.as_deref(), taught.architecture.clone());
        let threshold = check.number(
            "threshold",
            config.threshold.unwrap_or(0.3),
            |x| (0.0..=1.0).contains(&x),
            "from 0 to 1",
        );
        let label_kind = label_kind(&config, check);
        let balance = config.balance.unwrap_or(true);
        check.check(balance || config.per_class.is_none(), || {
            "per_class is for balanced classes, and balance is false: leave one of them out".into()
        });
        check.check(config.per_class != Some(0), || "per_class is 0, and must be at least 1".into());
        let max_copies = check.at_least_one("max_copies", config.max_copies.unwrap_or(5) as usize) as u32;
        let dropout = config.dropout.unwrap_or(if student.has_dropout() { 0.5 } else { 0.0 });
        let stochastic_depth =
            config.stochastic_depth.unwrap_or(if student.has_stochastic_depth() { 0.2 } else { 0.0 });
        // Lee's labels change with every update, so that there are none to audit.
        let audited = method == SelfTrainMethod::NoisyStudent;
        let audit_fraction = if audited { config.audit_fraction.unwrap_or(0.05) } else { 0.0 };
        let distill_to = config
            .distill_to
            .is_some()
            .then(|| check.parse("distill_to", config.distill_to.as_deref(), taught.architecture.clone()));
        Self {
            pool,
            labels: config.labels,
            method,
            rounds: check.at_least_one("rounds", config.rounds.unwrap_or(3)),
            student,
            threshold,
            label_kind,
            balance,
            per_class: config
                .per_class
                .and_then(NonZeroUsize::new)
                .map_or(PerClass::Average, PerClass::Count),
            max_copies,
            ratio: check.f32("ratio", config.ratio.unwrap_or(1.0), POSITIVE.0, POSITIVE.1),
            augment: config.augment.unwrap_or(Augment::RandAugment(RandAugment::default())),
            dropout: check.f32("self_train.dropout", dropout, BELOW_ONE.0, BELOW_ONE.1),
            stochastic_depth: check.f32(
                "self_train.stochastic_depth",
                stochastic_depth,
                BELOW_ONE.0,
                BELOW_ONE.1,
            ),
            audit_fraction: check.number("audit_fraction", audit_fraction, BELOW_ONE.0, BELOW_ONE.1),
            baseline: config.baseline.unwrap_or(true),
            distill_to,
        }
    }

    pub(crate) fn to_config(&self) -> SelfTrainConfig {
        let (label_kind, top_k) = match self.label_kind {
            LabelKind::Hard => ("hard", None),
            LabelKind::Soft { top_k } => ("soft", top_k.map(NonZeroUsize::get)),
        };
        // Lee's method refuses what only rounds have.
        let has_rounds = self.method == SelfTrainMethod::NoisyStudent;
        SelfTrainConfig {
            labels: self.labels.clone(),
            method: Some(self.method.to_string()),
            rounds: has_rounds.then_some(self.rounds),
            student: Some(self.student.to_string()),
            threshold: has_rounds.then_some(self.threshold),
            label_kind: has_rounds.then(|| label_kind.to_owned()),
            top_k,
            balance: has_rounds.then_some(self.balance),
            per_class: match self.per_class {
                PerClass::Average => None,
                PerClass::Count(count) => Some(count.get()),
            },
            max_copies: has_rounds.then_some(self.max_copies),
            ratio: Some(self.ratio),
            augment: Some(self.augment),
            dropout: Some(self.dropout),
            stochastic_depth: Some(self.stochastic_depth),
            audit_fraction: has_rounds.then_some(self.audit_fraction),
            baseline: Some(self.baseline),
            distill_to: self.distill_to.as_ref().map(ToString::to_string),
            ..self.pool.to_config()
        }
    }
}

impl Pool {
    pub(super) fn to_config(&self) -> SelfTrainConfig {
        let (unlabelled, labels_per_class) = match self {
            Self::Data(data) => (Some(data.clone()), None),
            Self::AllBut { labels_per_class } => (None, Some(*labels_per_class)),
        };
        SelfTrainConfig { unlabelled, labels_per_class, ..SelfTrainConfig::default() }
    }
}

pub(super) fn pool(config: &SelfTrainConfig, check: &mut Checker) -> Pool {
    let pool = match (&config.unlabelled, config.labels_per_class) {
        (Some(data), None) => Pool::Data(data.clone()),
        (None, Some(labels_per_class)) => Pool::AllBut { labels_per_class },
        (given, _) => {
            let both = "unlabelled and labels_per_class are two sources of images without labels; give one";
            let none = "there are no images without labels; give --unlabelled DIR, or --labels-per-class N \
                        to take the labels of all but N training images of each class away";
            check.problems.push(if given.is_some() { both } else { none }.to_owned());
            Pool::Data(String::new())
        }
    };
    check.check(pool != Pool::AllBut { labels_per_class: 0 }, || {
        "labels_per_class is 0, and must be at least 1".into()
    });
    check.check(config.labels.is_none() || matches!(pool, Pool::Data(_)), || {
        "labels are of the images of --unlabelled: give that too".into()
    });
    pool
}

/// Says of each option that only noisy-student has that Lee's method has no use for it.
fn refuse_rounds(config: &SelfTrainConfig, check: &mut Checker) {
    let of_rounds = [
        ("labels", config.labels.is_some()),
        ("rounds", config.rounds.is_some()),
        ("threshold", config.threshold.is_some()),
        ("label_kind", config.label_kind.is_some()),
        ("top_k", config.top_k.is_some()),
        ("balance", config.balance.is_some()),
        ("per_class", config.per_class.is_some()),
        ("max_copies", config.max_copies.is_some()),
        ("audit_fraction", config.audit_fraction.is_some()),
    ];
    for (name, given) in of_rounds {
        check.check(!given, || {
            format!(
                "{name} is of the rounds of noisy-student, and method pseudo-label has none: leave it out"
            )
        });
    }
}

fn label_kind(config: &SelfTrainConfig, check: &mut Checker) -> LabelKind {
    check.check(config.top_k != Some(0), || "top_k is 0, and must be at least 1".into());
    let soft = LabelKind::Soft { top_k: config.top_k.and_then(NonZeroUsize::new) };
    match config.label_kind.as_deref() {
        None | Some("soft") => soft,
        Some("hard") => {
            check.check(config.top_k.is_none(), || "top_k is for soft labels: leave it out".into());
            LabelKind::Hard
        }
        Some(other) => {
            check.problems.push(format!("label_kind \"{other}\" is not known; there are soft and hard"));
            soft
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Plan, PlanError};
    use mentor_run::Config;

    fn plan(text: &str) -> Result<Plan, PlanError> {
        let text = format!("data.source = 'digits'\n{text}");
        Plan::try_from(Config::from_toml(&text, "test", &[]).unwrap())
    }

    #[test]
    fn defaults_suit_few_labels_and_yield_to_the_user() {
        let found = plan("self_train.labels_per_class = 5").unwrap();
        let self_train = found.self_train().unwrap();
        assert_eq!((found.architecture.to_string().as_str(), found.training.ema), ("cnn", Some(0.999)));
        assert_eq!((self_train.student.to_string().as_str(), self_train.rounds), ("cnn", 3));
        assert_eq!((self_train.threshold, self_train.dropout, self_train.stochastic_depth), (0.3, 0.5, 0.0));
        let linear = plan("model.name = 'linear'\nself_train.labels_per_class = 5").unwrap();
        assert_eq!(linear.self_train().unwrap().dropout, 0.0, "a linear student has nothing to drop");
    }

    #[test]
    fn a_resolved_plan_makes_itself_again() {
        for extra in [
            "labels_per_class = 5",
            "unlabelled = 'x', labels = 'y', label_kind = 'hard', balance = false",
            "unlabelled = 'x', top_k = 3, per_class = 10, student = 'wrn-16-2', distill_to = 'mlp:9'",
            "labels_per_class = 5, method = 'pseudo-label', ratio = 2.0",
        ] {
            let config = plan(&format!("self_train = {{ {extra} }}")).unwrap().to_config();
            assert_eq!(Plan::try_from(config.clone()).unwrap().to_config(), config);
            assert_eq!(Config::from_toml(&config.to_toml(), "test", &[]).unwrap(), config);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_once() {
        for (extra, word) in [
            ("rounds = 2", "no images without labels"),
            ("unlabelled = 'x', labels_per_class = 2", "give one"),
            ("labels_per_class = 0", "labels_per_class is 0"),
            ("labels_per_class = 2, labels = 'y'", "of the images of --unlabelled"),
            ("labels_per_class = 2, threshold = 1.5", "threshold is 1.5"),
            ("labels_per_class = 2, threshold = nan", "threshold is NaN"),
            ("labels_per_class = 2, label_kind = 'firm'", "soft and hard"),
            ("labels_per_class = 2, rounds = 0", "rounds is 0"),
            ("labels_per_class = 2, ratio = 0.0", "ratio is 0"),
            ("labels_per_class = 2, student = 'lenet'", "lenet"),
            ("labels_per_class = 2, method = 'fixmatch'", "noisy-student and pseudo-label"),
            ("labels_per_class = 2, balance = false, per_class = 3", "per_class"),
            ("labels_per_class = 2, method = 'pseudo-label', threshold = 0.9", "threshold is of the rounds"),
            ("labels_per_class = 2, method = 'pseudo-label', audit_fraction = 0.1", "audit_fraction is of"),
        ] {
            let error = plan(&format!("self_train = {{ {extra} }}")).unwrap_err();
            assert!(error.problems.len() == 1 && error.to_string().contains(word), "{extra}: {error}");
        }
        let error = plan("loss.name = 'svm'\nself_train.labels_per_class = 2").unwrap_err();
        assert!(error.problems.len() == 1 && error.to_string().contains("not svm"), "{error}");
    }
}
