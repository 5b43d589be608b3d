//! The losses on scores, chosen by name.

use std::collections::BTreeSet;

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::explanation::Explanation;
use super::loss_on_scores::LossOnScores;
use super::parameters::{Parameter, Parameters, Range, Value, number, numbers};
use crate::{Hinge, LossError, MulticlassSvm, SoftmaxCrossEntropy};

/// A loss on scores `[N, C]` with class targets `[N]`: what `--loss` names. Files hold its name and its
/// parameters.
///
/// ```
/// use mentor_loss::{Parameters, ScoreLoss};
///
/// assert_eq!(ScoreLoss::from_name("crammer-singer", 1.0)?.name(), "crammer-singer");
/// let refused = ScoreLoss::from_name("hinge", 1.0).unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     r#"there is no loss named "hinge"; the losses on scores are softmax, svm, crammer-singer"#
/// );
/// let svm: ScoreLoss = serde_json::from_str(r#"{"name": "svm", "margin": 0.5}"#).unwrap();
/// assert_eq!(svm, ScoreLoss::from_name("svm", 0.5)?);
/// assert!(serde_json::from_str::<ScoreLoss>(r#"{"name": "svm"}"#).is_err());
/// # Ok::<(), mentor_loss::LossError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
#[non_exhaustive]
pub enum ScoreLoss {
    /// Softmax cross-entropy.
    Softmax(SoftmaxCrossEntropy),
    /// A hinge loss, in either form.
    Svm(MulticlassSvm),
}

/// A row of the table of losses: what a name means.
#[derive(Debug)]
pub struct NamedLoss {
    /// The name.
    pub name: &'static str,
    /// The parameters that the loss has.
    pub parameters: &'static [Parameter],
    /// What the learning rate that suits softmax is multiplied by: a loss whose gradient is several times as
    /// large takes shorter steps.
    pub rate_factor: f64,
    /// The loss, from every one of its parameters.
    make: fn(&Parameters) -> Result<ScoreLoss, LossError>,
}

const MARGIN: Parameter =
    Parameter { name: "margin", range: Range::NonNegative, default: Some(1.0), can_be_off: false };
const LABEL_SMOOTHING: Parameter =
    Parameter { name: "label_smoothing", range: Range::BelowOne, default: Some(0.0), can_be_off: true };
const CLASS_WEIGHTS: Parameter =
    Parameter { name: "class_weights", range: Range::NonNegative, default: None, can_be_off: true };

/// The losses on scores, the usual one first.
const LOSSES: &[NamedLoss] = &[
    NamedLoss {
        name: "softmax",
        parameters: &[LABEL_SMOOTHING, CLASS_WEIGHTS],
        rate_factor: 1.0,
        make: |parameters| {
            let smoothing = number(parameters, LABEL_SMOOTHING.name);
            let loss = SoftmaxCrossEntropy::new().with_label_smoothing(smoothing)?;
            let weights = numbers(parameters, CLASS_WEIGHTS.name);
            let loss = if weights.is_empty() { loss } else { loss.with_class_weights(weights)? };
            Ok(ScoreLoss::Softmax(loss))
        },
    },
    NamedLoss {
        name: "svm",
        parameters: &[MARGIN],
        // The hinge sums over classes.
        rate_factor: 0.2,
        make: |parameters| svm(Hinge::WestonWatkins, parameters),
    },
    NamedLoss {
        name: "crammer-singer",
        parameters: &[MARGIN],
        rate_factor: 0.5,
        make: |parameters| svm(Hinge::CrammerSinger, parameters),
    },
];

fn svm(hinge: Hinge, parameters: &Parameters) -> Result<ScoreLoss, LossError> {
    Ok(ScoreLoss::Svm(MulticlassSvm::new(hinge, number(parameters, MARGIN.name))?))
}

impl NamedLoss {
    /// All losses on scores, the usual one first.
    pub fn all() -> &'static [Self] {
        LOSSES
    }

    /// The loss of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        LOSSES.iter().find(|loss| loss.name == name)
    }

    /// The loss with these parameters; those that are not given have their defaults.
    ///
    /// # Errors
    ///
    /// [`LossError::ForeignParameter`] for a parameter that the loss does not have; the error of the loss for
    /// a value that it refuses.
    pub fn with(&self, mut parameters: Parameters) -> Result<ScoreLoss, LossError> {
        if let Some(name) = parameters.keys().find(|name| !self.has(name)) {
            return Err(LossError::ForeignParameter { name: name.clone(), loss: self.name });
        }
        for parameter in self.parameters {
            parameters.entry(parameter.name.to_owned()).or_insert_with(|| parameter.default_value());
        }
        (self.make)(&parameters)
    }

    /// Whether the loss has a parameter of this name.
    pub fn has(&self, parameter: &str) -> bool {
        self.parameters.iter().any(|own| own.name == parameter)
    }
}

impl ScoreLoss {
    /// Softmax cross-entropy as it is by default.
    pub const SOFTMAX: Self = Self::Softmax(SoftmaxCrossEntropy::new());

    /// The loss of this name, plain except for the margin, if it has one.
    ///
    /// # Errors
    ///
    /// [`LossError::UnknownLoss`], and [`LossError::Parameter`] for a margin that the named loss refuses.
    pub fn from_name(name: &str, margin: f64) -> Result<Self, LossError> {
        let loss = NamedLoss::find(name).ok_or_else(|| unknown(name))?;
        let margin = loss.has(MARGIN.name).then(|| (MARGIN.name.to_owned(), Value::Number(margin)));
        loss.with(margin.into_iter().collect())
    }

    /// The name by which the configuration and the command line know it.
    pub fn name(&self) -> &'static str {
        self.inner().name()
    }

    /// Its parameters, every one of them: with the name they make the same loss again.
    pub fn parameters(&self) -> Parameters {
        self.inner().parameters()
    }

    /// The loss of each sample: `scores` `[N, C]` and `targets` `[N]` give `[N]`.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit; the message names both.
    #[track_caller]
    pub fn per_sample(&self, scores: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
        self.inner().per_sample(scores, targets)
    }

    /// Every term of one sample's loss, in `f64`.
    ///
    /// # Errors
    ///
    /// As [`MulticlassSvm::explain`] and [`SoftmaxCrossEntropy::explain`].
    pub fn explain(&self, scores: &[f64], target: usize) -> Result<Explanation, LossError> {
        self.inner().explain(scores, target)
    }

    /// The mean loss of samples whose scores are all zero: what no weights at all have. Of weighted classes
    /// as if all had the largest weight.
    pub fn of_zero_scores(&self, num_classes: usize) -> f64 {
        self.inner().of_zero_scores(num_classes)
    }

    /// The loss for data of `num_classes` classes.
    ///
    /// # Errors
    ///
    /// [`LossError::ClassWeightCount`] if there are class weights, but not one a class.
    pub fn build(&self, num_classes: usize) -> Result<Self, LossError> {
        self.inner().check_classes(num_classes)?;
        Ok(self.clone())
    }

    /// The loss itself, whichever it is.
    fn inner(&self) -> &dyn LossOnScores {
        match self {
            Self::Softmax(loss) => loss,
            Self::Svm(loss) => loss,
        }
    }

    /// The row of the table that made it.
    ///
    /// # Panics
    ///
    /// Never: every loss has a row.
    pub fn row(&self) -> &'static NamedLoss {
        NamedLoss::find(self.name()).expect("every loss has a row in the table")
    }
}

/// A loss as files hold it.
#[derive(Serialize, Deserialize)]
struct Written {
    name: String,
    #[serde(flatten)]
    parameters: Parameters,
}

impl From<ScoreLoss> for Written {
    fn from(loss: ScoreLoss) -> Self {
        Self { name: loss.name().to_owned(), parameters: loss.parameters() }
    }
}

impl TryFrom<Written> for ScoreLoss {
    type Error = LossError;

    fn try_from(written: Written) -> Result<Self, LossError> {
        let loss = NamedLoss::find(&written.name).ok_or_else(|| unknown(&written.name))?;
        let stated: BTreeSet<&str> = written.parameters.keys().map(String::as_str).collect();
        if let Some(missing) = loss.parameters.iter().find(|parameter| !stated.contains(parameter.name)) {
            return Err(LossError::MissingParameter { name: missing.name, loss: loss.name });
        }
        loss.with(written.parameters)
    }
}

fn unknown(name: &str) -> LossError {
    LossError::UnknownLoss { name: name.to_owned(), known: LOSSES.iter().map(|loss| loss.name).collect() }
}
