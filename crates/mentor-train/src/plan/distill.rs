//! The checked part of a configuration that says what a student learns from its teachers.

use std::fmt;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::str::FromStr;

use mentor_data::Augment;
use mentor_loss::{LossError, ScoreLoss};
use mentor_model::Architecture;
use mentor_run::{DistillConfig, LossConfig, ModelConfig, OptimizerConfig};

use crate::plan::checker::{Checker, NON_NEGATIVE};
use crate::plan::loss::{LossPlan, ScoreLossPlan};

/// Fixed augmented versions of each image where the user names no number: as many as a run of 20 epochs sees
/// in most of its length, at a third of a megabyte for a thousand images of ten classes.
const DEFAULT_VIEWS: u64 = 8;

/// What a teacher gives its student.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DistillMode {
    /// Probabilities at a temperature.
    Soft,
    /// The class of its highest probability.
    HardLabels,
    /// The proportions of the distances between its embeddings.
    Relational,
    /// The directions of its embeddings.
    Cosine,
}

impl DistillMode {
    /// Whether teacher and student are embedding models, and not classifiers.
    pub fn is_of_embeddings(self) -> bool {
        matches!(self, Self::Relational | Self::Cosine)
    }
}

impl fmt::Display for DistillMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Soft => "soft",
            Self::HardLabels => "hard-labels",
            Self::Relational => "relational",
            Self::Cosine => "cosine",
        })
    }
}

impl FromStr for DistillMode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "soft" => Ok(Self::Soft),
            "hard-labels" => Ok(Self::HardLabels),
            "relational" => Ok(Self::Relational),
            "cosine" => Ok(Self::Cosine),
            other => {
                Err(format!("\"{other}\" is not known; there are soft, hard-labels, relational and cosine"))
            }
        }
    }
}

/// What a student learns from its teachers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DistillPlan {
    /// Directories of the teachers' runs, at least one.
    pub teachers: Vec<PathBuf>,
    /// Probabilities or classes, distances or directions.
    pub mode: DistillMode,
    /// T; `None` for embeddings, which have no probabilities.
    pub temperature: Option<f64>,
    /// Factor of what the teacher says.
    pub soft_weight: f64,
    /// Factor of the loss of the labels.
    pub hard_weight: f64,
    /// Fixed augmented versions of each image.
    pub views: NonZeroU64,
    /// Whether the same network is trained without teachers too.
    pub baseline: bool,
    /// Whether the teacher's scores are kept in a file.
    pub cache: bool,
}

/// Longest gradient where the user does not say how to clip.
///
/// The gradient of the softened part grows with the distance to the teacher's scores, not only up to 1 as
/// that of plain cross-entropy: the first updates towards a confident teacher can end in infinities.
const SOFT_TARGETS_CLIP_NORM: f64 = 5.0;

/// [`SOFT_TARGETS_CLIP_NORM`] where soft targets teach.
pub(crate) fn apply_clipping(distill: &DistillConfig, optimizer: &mut OptimizerConfig) {
    let soft = matches!(distill.mode.as_deref(), None | Some("soft"));
    if soft && distill.soft_weight != Some(0.0) {
        optimizer.clip_norm.get_or_insert(SOFT_TARGETS_CLIP_NORM);
    }
}

/// Fills in what a preset says and the user does not.
///
/// T = 20 suits wide perceptrons (Hinton et al.), 4 convolutional nets, 2.5 to 4 tiny students.
pub(crate) fn apply_preset(distill: &mut DistillConfig, model: &mut ModelConfig, check: &mut Checker) {
    let Some(preset) = distill.preset.take() else { return };
    let (name, temperature) = match preset.as_str() {
        "hinton" => ("mlp:800,800", 20.0),
        "conv" => ("cnn", 4.0),
        "tiny" => ("mlp:32", 3.0),
        other => {
            check.problems.push(format!("preset \"{other}\" is not known; there are hinton, conv and tiny"));
            return;
        }
    };
    model.name.get_or_insert_with(|| name.to_owned());
    distill.temperature.get_or_insert(temperature);
    distill.soft_weight.get_or_insert(0.9);
    distill.hard_weight.get_or_insert(0.1);
}

/// Whether the labels of an embedding model have a part of the loss, which then decides what a batch holds.
pub(crate) fn ranks_labels(distill: &DistillConfig) -> bool {
    let usual = if distill.soft_weight == Some(0.0) { 1.0 } else { 0.0 };
    distill.hard_weight.unwrap_or(usual) > 0.0
}

/// The loss of the labels where the user names none: of embeddings triplets.
pub(crate) fn apply_mode(distill: &DistillConfig, loss: &mut LossConfig) {
    let mode = distill.mode.as_deref().map(str::parse);
    if let Some(Ok(mode)) = mode
        && DistillMode::is_of_embeddings(mode)
    {
        loss.name.get_or_insert_with(|| "triplet".to_owned());
    }
}

/// What else of the plan decides what can be learnt.
pub(crate) struct Student<'a> {
    pub(crate) architecture: &'a Architecture,
    pub(crate) loss: &'a LossPlan,
    pub(crate) augment: Augment,
    pub(crate) epochs: usize,
    pub(crate) full_batch: bool,
}

impl DistillPlan {
    pub(crate) fn check(config: DistillConfig, student: &Student<'_>, check: &mut Checker) -> Self {
        check.check(!config.teachers.is_empty(), || {
            "no teacher is named: give `distill.teachers` the directory of a complete run".into()
        });
        let mode = check.parse("mode", config.mode.as_deref(), DistillMode::Soft);
        let embeddings = mode.is_of_embeddings();
        let wide = student.architecture.family().name == "mlp";
        let usual = match (embeddings, wide) {
            (true, _) => 1.0,
            (false, true) => 20.0,
            (false, false) => 4.0,
        };
        check.check(!embeddings || config.temperature.is_none(), || {
            format!(
                "temperature softens probabilities, and mode {mode} has none: leave it out, and the \
                     preset too"
            )
        });
        let temperature = config.temperature.unwrap_or(usual);
        let holds = |x: f64| x > 0.0 && ((x * x) as f32).is_normal();
        check.f32("temperature", temperature, holds, "greater than 0, with a square that 32 bits hold");
        // A teacher of embeddings teaches alone, as its authors found best.
        let (soft, hard) = if embeddings { (1.0, 0.0) } else { (0.9, 0.1) };
        let soft_weight = config.soft_weight.unwrap_or(soft);
        // Without the teacher's part the other one is plain training.
        let hard_weight = config.hard_weight.unwrap_or(if soft_weight == 0.0 { 1.0 } else { hard });
        check.f32("soft_weight", soft_weight, NON_NEGATIVE.0, NON_NEGATIVE.1);
        check.f32("hard_weight", hard_weight, NON_NEGATIVE.0, NON_NEGATIVE.1);
        let factor = soft_weight * temperature * temperature;
        let refused = [soft_weight, temperature].iter().any(|factor| !(*factor as f32).is_finite());
        check.check(refused || !holds(temperature) || (factor as f32).is_finite(), || {
            format!(
                "soft_weight x temperature squared is {factor:e}, which no number of 32 bits holds: lower one"
            )
        });
        check.check(soft_weight != 0.0 || hard_weight != 0.0, || {
            "soft_weight and hard_weight are both 0, so there is nothing to learn".into()
        });
        let loss = student.loss.name();
        if embeddings {
            check.check(matches!(student.loss, LossPlan::Ranking(_)), || {
                format!("mode {mode} has triplet or contrastive as the loss of its labels, not {loss}")
            });
        } else {
            check.check(matches!(student.loss, LossPlan::Scores(ScoreLossPlan::Softmax { .. })), || {
                let hint = "of embeddings learn modes relational and cosine";
                format!("mode {mode} has softmax as the loss of its labels, not {loss}; {hint}")
            });
        }
        check.check(!student.full_batch, || "gd does not distil: use sgd".into());
        let views = match (config.augmentations, student.augment) {
            // All versions of an image that is not changed are one.
            (_, Augment::None) => 1,
            (given, _) => given.unwrap_or(DEFAULT_VIEWS).min(student.epochs.max(1) as u64),
        };
        check.check(config.augmentations != Some(0), || "augmentations is 0, and must be at least 1".into());
        Self {
            teachers: config.teachers,
            mode,
            temperature: (!embeddings).then_some(temperature),
            soft_weight,
            hard_weight,
            views: NonZeroU64::new(views).unwrap_or(NonZeroU64::MIN),
            baseline: config.baseline.unwrap_or(true),
            cache: config.cache.unwrap_or(true),
        }
    }

    pub(crate) fn to_config(&self) -> DistillConfig {
        DistillConfig {
            teachers: self.teachers.clone(),
            preset: None,
            mode: Some(self.mode.to_string()),
            temperature: self.temperature,
            soft_weight: Some(self.soft_weight),
            hard_weight: Some(self.hard_weight),
            augmentations: Some(self.views.get()),
            baseline: Some(self.baseline),
            cache: Some(self.cache),
        }
    }

    /// The loss on tensors; `hard` is that of the labels.
    ///
    /// # Errors
    ///
    /// When a parameter is out of its range, which a checked plan's are not.
    pub fn build(&self, hard: &ScoreLoss) -> Result<mentor_loss::Distillation, LossError> {
        let temperature = self.temperature.unwrap_or(1.0);
        let loss = mentor_loss::Distillation::new(temperature, self.soft_weight, self.hard_weight)?;
        let loss = match hard {
            ScoreLoss::Softmax(cross_entropy) => loss.with_cross_entropy(cross_entropy.clone()),
            _ => loss,
        };
        Ok(if self.mode == DistillMode::HardLabels { loss.with_hard_labels() } else { loss })
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
    fn the_temperature_suits_the_student_and_the_preset_yields_to_the_user() {
        let distill = |text| plan(text).unwrap().distill().cloned().unwrap();
        assert_eq!(distill("distill.teachers = ['t']").temperature, Some(4.0));
        assert_eq!(distill("model.name = 'mlp:8'\ndistill.teachers = ['t']").temperature, Some(20.0));
        let hinton = plan("distill = { teachers = ['t'], preset = 'hinton', soft_weight = 0.5 }").unwrap();
        assert_eq!(hinton.architecture.to_string(), "mlp:800,800");
        let hinton = hinton.distill().cloned().unwrap();
        assert_eq!((hinton.temperature, hinton.soft_weight, hinton.hard_weight), (Some(20.0), 0.5, 0.1));
    }

    #[test]
    fn soft_targets_are_learned_with_clipped_gradients_unless_the_user_says_how() {
        let clip_norm = |text| plan(text).unwrap().training.optimizer.clip_norm;
        assert_eq!(clip_norm("distill.teachers = ['t']"), Some(5.0));
        assert_eq!(clip_norm("optimizer.clip_norm = 0\ndistill.teachers = ['t']"), None);
        // Without soft targets it is plain training, bit for bit.
        assert_eq!(clip_norm("distill = { teachers = ['t'], soft_weight = 0 }"), None);
        assert_eq!(clip_norm("distill = { teachers = ['t'], mode = 'hard-labels' }"), None);
        assert_eq!(clip_norm("distill = { teachers = ['t'], mode = 'relational' }"), None);
    }

    #[test]
    fn a_student_of_embeddings_is_an_embedding_model_that_the_teacher_alone_teaches() {
        let plan = plan("distill = { teachers = ['t'], mode = 'relational' }").unwrap();
        assert_eq!(plan.loss.name(), "triplet");
        let distill = plan.distill().cloned().unwrap();
        assert_eq!((distill.soft_weight, distill.hard_weight, distill.temperature), (1.0, 0.0, None));
        assert_eq!(distill.to_config().temperature, None);
    }

    #[test]
    fn teachers_of_embeddings_alone_teach_in_batches_of_any_size() {
        let of = |extra: &str| {
            plan(&format!("optimizer.batch_size = 48\ndistill = {{ teachers = ['t'], {extra} }}"))
        };
        for mode in ["relational", "cosine"] {
            assert_eq!(of(&format!("mode = '{mode}'")).unwrap().training.optimizer.batch_size, 48);
            for labels in ["hard_weight = 0.5", "soft_weight = 0.0"] {
                let error = of(&format!("mode = '{mode}', {labels}")).unwrap_err().to_string();
                assert!(error.contains("classes_per_batch x samples_per_class = 128"), "{error}");
            }
        }
    }

    #[test]
    fn a_resolved_plan_makes_itself_again() {
        for extra in [
            "",
            "preset = 'conv', ",
            "mode = 'cosine', soft_weight = 0.5, ",
            "augmentations = 3, cache = false, baseline = false, mode = 'hard-labels', ",
        ] {
            let text = format!("data.augment = 'shift'\ndistill = {{ {extra}teachers = ['a', 'b'] }}");
            let config = plan(&text).unwrap().to_config();
            assert_eq!(Plan::try_from(config.clone()).unwrap().to_config(), config);
            assert_eq!(Config::from_toml(&config.to_toml(), "test", &[]).unwrap(), config);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_once() {
        for (extra, word) in [
            ("distill = { teachers = ['t'], temperature = 0.0 }", "temperature is 0"),
            ("distill = { teachers = ['t'], temperature = nan }", "temperature is NaN"),
            ("distill = { teachers = ['t'], soft_weight = 0.0, hard_weight = 0.0 }", "both 0"),
            ("distill = { teachers = ['t'], hard_weight = -1.0 }", "hard_weight is -1"),
            (
                "distill = { teachers = ['t'], mode = 'relational', temperature = 2.0 }",
                "mode relational has none",
            ),
            (
                "loss.name = 'softmax'\ndistill = { teachers = ['t'], mode = 'cosine' }",
                "triplet or contrastive",
            ),
            ("distill = { teachers = ['t'], mode = 'attention' }", "mode: \"attention\" is not known"),
            ("loss.name = 'triplet'\ndistill.teachers = ['t']", "modes relational and cosine"),
            ("distill = { teachers = ['t'], preset = 'large' }", "preset \"large\""),
            (
                "data.augment = 'shift'\ndistill = { teachers = ['t'], augmentations = 0 }",
                "augmentations is 0",
            ),
            ("distill = { temperature = 2.0 }", "no teacher"),
            ("loss.name = 'svm'\ndistill.teachers = ['t']", "not svm"),
            ("optimizer.name = 'gd'\ndistill.teachers = ['t']", "gd does not distil"),
        ] {
            let error = plan(extra).unwrap_err();
            assert!(error.problems.len() == 1 && error.to_string().contains(word), "{extra}: {error}");
        }
    }
}
