//! The checked data loss: on scores, or on distances between embeddings.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use mentor_loss::{
    Average, Distance, Mining, NamedLoss, PairForm, Parameter, Parameters, Range, ScoreLoss, Value,
};
use mentor_metrics::retrieval::Metric;
use mentor_model::Head;
use mentor_run::{DataConfig, LossConfig, ModelConfig};

use crate::plan::checker::{BELOW_ONE, Checker, NON_NEGATIVE, PlanError};

/// The data loss and its parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum LossPlan {
    /// A loss of a classifier.
    Scores(ScoreLossPlan),
    /// A loss of an embedding model.
    Ranking(RankingPlan),
}

/// A loss on scores, of the table in `mentor-loss`.
pub type ScoreLossPlan = ScoreLoss;

/// A loss on distances between embeddings.
#[derive(Clone, Debug, PartialEq)]
pub struct RankingPlan {
    /// Of pairs or of triplets.
    pub form: RankingForm,
    /// What near means.
    pub distance: Distance,
    /// How far apart what differs should be.
    pub margin: f64,
    /// What the sum over pairs or triplets is divided by.
    pub average: Average,
    /// Dimension of the embeddings.
    pub embedding_size: usize,
    /// Whether embeddings are divided by their norm.
    pub unit_norm: bool,
    /// What a batch holds.
    pub batches: RankingBatches,
}

/// What a batch of a ranking loss holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RankingBatches {
    /// P × K sampling: a number of samples of each of a number of classes.
    ClassBalanced {
        /// P.
        classes_per_batch: usize,
        /// K.
        samples_per_class: usize,
    },
    /// Triplets that the user gave, of a CSV file of paths.
    Triplets(PathBuf),
}

/// What a ranking loss is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankingForm {
    /// All pairs of a batch.
    Pairwise(PairForm),
    /// Triplets of a batch, or those that the user gave.
    Triplet {
        /// Hinge or soft margin.
        form: TripletForm,
        /// Which triplets count.
        mining: Mining,
    },
}

/// How the two distances of a triplet become a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TripletForm {
    /// max(0, m + d(a, p) − d(a, n)).
    Hinge,
    /// ln(1 + e^(d(a, p) − d(a, n))).
    SoftMargin,
}

impl fmt::Display for TripletForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hinge => "hinge",
            Self::SoftMargin => "soft-margin",
        })
    }
}

impl FromStr for TripletForm {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "hinge" => Ok(Self::Hinge),
            "soft-margin" => Ok(Self::SoftMargin),
            other => Err(format!("\"{other}\" is not known; there are hinge and soft-margin")),
        }
    }
}

impl LossPlan {
    /// Its name in configurations.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Scores(loss) => loss.name(),
            Self::Ranking(RankingPlan { form: RankingForm::Pairwise(_), .. }) => "contrastive",
            Self::Ranking(RankingPlan { form: RankingForm::Triplet { .. }, .. }) => "triplet",
        }
    }

    /// The loss of an embedding model.
    pub(crate) fn ranking(&self) -> Option<&RankingPlan> {
        match self {
            Self::Scores(_) => None,
            Self::Ranking(ranking) => Some(ranking),
        }
    }

    /// The margin of a ranking loss that has one.
    pub(crate) fn ranking_margin(&self) -> Option<f64> {
        match self {
            Self::Scores(_)
            | Self::Ranking(RankingPlan {
                form: RankingForm::Triplet { form: TripletForm::SoftMargin, .. },
                ..
            }) => None,
            Self::Ranking(ranking) => Some(ranking.margin),
        }
    }

    /// Checks what the user wrote of the loss, and what of the model and the data belongs to it.
    pub(crate) fn check(
        config: LossConfig,
        model: &ModelConfig,
        data: &DataConfig,
        check: &mut Checker,
    ) -> Self {
        let name = config.name.clone().unwrap_or_else(|| "softmax".to_owned());
        if let Some(named) = NamedLoss::find(&name) {
            let needs_ranking =
                |field| format!("{field} needs a ranking loss (contrastive, triplet), not {name}");
            check.check(model.embedding_size.is_none(), || needs_ranking("embedding_size"));
            check.check(model.unit_norm.is_none(), || needs_ranking("unit_norm"));
            check.check(data.classes_per_batch.is_none(), || needs_ranking("classes_per_batch"));
            check.check(data.samples_per_class.is_none(), || needs_ranking("samples_per_class"));
            check.check(data.triplets.is_none(), || needs_ranking("triplets"));
            return Self::Scores(score_loss(named, &config, check));
        }
        match name.as_str() {
            "contrastive" | "triplet" => {
                let pairwise = name == "contrastive";
                Self::Ranking(RankingPlan::check(pairwise, config, model, data, check))
            }
            other => {
                check.problems.push(format!(
                    "loss \"{other}\" is not known; there are {}, contrastive and triplet",
                    names_on_scores()
                ));
                Self::Scores(ScoreLoss::SOFTMAX)
            }
        }
    }

    /// The configuration that makes this loss, every field stated.
    pub(crate) fn to_config(&self) -> LossConfig {
        match self {
            Self::Scores(loss) => config_of(loss),
            Self::Ranking(ranking) => ranking.loss().to_config(),
        }
    }
}

/// A loss on distances without the batches and the network that a plan gives it: what a model's file says of
/// it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankingLoss {
    /// Of pairs or of triplets.
    pub form: RankingForm,
    /// What near means.
    pub distance: Distance,
    /// How far apart what differs should be.
    pub margin: f64,
    /// What the sum over pairs or triplets is divided by.
    pub average: Average,
}

impl RankingLoss {
    /// Checks what the user wrote; `unit_norm` of the network decides the margin of pairs if none is given.
    pub(crate) fn check(pairwise: bool, config: &LossConfig, unit_norm: bool, check: &mut Checker) -> Self {
        let (name, own): (_, &[&str]) =
            if pairwise { ("contrastive", &OF_PAIRS) } else { ("triplet", &OF_TRIPLETS) };
        for (field, value) in stated(config).iter().filter(|(field, _)| !own.contains(&field.as_str())) {
            refuse_foreign(name, field, value.as_ref(), check);
        }
        let (form, default_margin) = if pairwise {
            let form = check.parse("form", config.form.as_deref(), PairForm::Linear);
            (RankingForm::Pairwise(form), if unit_norm { 0.5 } else { 1.0 })
        } else {
            let form = check.parse("form", config.form.as_deref(), TripletForm::Hinge);
            let mining = check.parse("mining", config.mining.as_deref(), Mining::SemiHard);
            (RankingForm::Triplet { form, mining }, 0.2)
        };
        if let RankingForm::Triplet { form: TripletForm::SoftMargin, .. } = form {
            check
                .check(config.margin.is_none(), || "the soft-margin form has no margin: leave it out".into());
        }
        // Most pairs of a batch are negatives that are soon far enough: a mean over all of them would learn
        // slowly.
        let average = if pairwise { Average::Active } else { Average::Valid };
        let margin = config.margin.unwrap_or(default_margin);
        Self {
            form,
            distance: check.parse("distance", config.distance.as_deref(), Distance::Euclidean),
            margin: check.f32("margin", margin, NON_NEGATIVE.0, NON_NEGATIVE.1),
            average: check.parse("average", config.average.as_deref(), average),
        }
    }

    /// The configuration that makes this loss, every field stated.
    pub(crate) fn to_config(self) -> LossConfig {
        let config = LossConfig {
            distance: Some(self.distance.to_string()),
            average: Some(self.average.to_string()),
            ..LossConfig::default()
        };
        match self.form {
            RankingForm::Pairwise(form) => LossConfig {
                name: Some("contrastive".to_owned()),
                form: Some(form.to_string()),
                margin: Some(self.margin),
                ..config
            },
            RankingForm::Triplet { form, mining } => LossConfig {
                name: Some("triplet".to_owned()),
                form: Some(form.to_string()),
                margin: (form == TripletForm::Hinge).then_some(self.margin),
                mining: Some(mining.to_string()),
                ..config
            },
        }
    }
}

/// The names of the losses on scores, as a list in a sentence.
fn names_on_scores() -> String {
    NamedLoss::all().iter().map(|loss| loss.name).collect::<Vec<_>>().join(", ")
}

/// The configuration of a loss on scores: its name and all its parameters.
pub(crate) fn config_of(loss: &ScoreLoss) -> LossConfig {
    let written = serde_json::to_value(loss).and_then(serde_json::from_value);
    written.expect("a configuration has a field for every parameter of a loss")
}

/// Reads the loss of a classifier from a `model.json` of the oldest version.
///
/// # Errors
///
/// When it is not one that a plan would accept.
pub(crate) fn score_loss_of(config: &LossConfig) -> Result<ScoreLoss, PlanError> {
    let name = config.name.as_deref().unwrap_or("none");
    let Some(named) = NamedLoss::find(name) else {
        let problem = format!(
            "loss \"{name}\" is not one of a classifier that this mentor knows; there are {}",
            names_on_scores()
        );
        return Err(PlanError { problems: vec![problem] });
    };
    let mut check = Checker { problems: Vec::new() };
    let loss = score_loss(named, config, &mut check);
    if check.problems.is_empty() { Ok(loss) } else { Err(PlanError { problems: check.problems }) }
}

/// The loss of this row with what the user wrote of it.
fn score_loss(named: &'static NamedLoss, config: &LossConfig, check: &mut Checker) -> ScoreLoss {
    let before = check.problems.len();
    let mut parameters = Parameters::new();
    for (name, value) in stated(config) {
        let own = named.parameters.iter().find(|parameter| parameter.name == name);
        let Some((parameter, value)) = own.zip(value.clone()) else {
            refuse_foreign(named.name, &name, value.as_ref(), check);
            continue;
        };
        check_range(parameter, &value, check);
        parameters.insert(name, value);
    }
    if check.problems.len() > before {
        return ScoreLoss::SOFTMAX;
    }
    named.with(parameters).unwrap_or_else(|error| {
        check.problems.push(error.to_string());
        ScoreLoss::SOFTMAX
    })
}

/// The fields of a loss that are stated, but its name; the value of one that is text is none of a loss on
/// scores.
fn stated(config: &LossConfig) -> Vec<(String, Option<Value>)> {
    // JSON has no number for NaN and the infinities, of which none is in any range.
    let number = |value: &serde_json::Value| match value {
        serde_json::Value::Null => Some(f64::NAN),
        value => value.as_f64(),
    };
    let value = |value: &serde_json::Value| match value {
        serde_json::Value::Array(values) => {
            values.iter().map(number).collect::<Option<_>>().map(Value::Numbers)
        }
        value => number(value).map(Value::Number),
    };
    let fields = serde_json::to_value(config).unwrap_or_default();
    let fields = fields.as_object().into_iter().flatten().filter(|(name, _)| *name != "name");
    fields.map(|(name, field)| (name.clone(), value(field))).collect()
}

fn check_range(parameter: &Parameter, value: &Value, check: &mut Checker) {
    let (holds, range) = match parameter.range {
        Range::NonNegative => NON_NEGATIVE,
        Range::BelowOne => BELOW_ONE,
    };
    match value {
        Value::Number(number) => {
            check.f32(parameter.name, *number, holds, range);
        }
        Value::Numbers(numbers) => {
            let one = format!("a {}", parameter.name.trim_end_matches('s').replace('_', " "));
            for &number in numbers {
                check.f32(&one, number, holds, range);
            }
        }
    }
}

/// Notes a problem for a field that another loss has, unless its value asks for nothing.
fn refuse_foreign(loss: &str, name: &str, value: Option<&Value>, check: &mut Checker) {
    let of_others = NamedLoss::all().iter().flat_map(|loss| loss.parameters);
    let parameter = of_others.into_iter().find(|parameter| parameter.name == name);
    let is_off = parameter.zip(value).is_some_and(|(parameter, value)| parameter.is_off(value));
    check.check(is_off, || format!("{name} does not belong to the {loss} loss: leave it out"));
}

/// The fields of the ranking losses.
const OF_PAIRS: [&str; 4] = ["margin", "form", "average", "distance"];
const OF_TRIPLETS: [&str; 5] = ["margin", "form", "mining", "average", "distance"];

impl RankingPlan {
    fn check(
        pairwise: bool,
        config: LossConfig,
        model: &ModelConfig,
        data: &DataConfig,
        check: &mut Checker,
    ) -> Self {
        // Triplets are compared on the unit sphere, pairs in the plain space of the lecture.
        let unit_norm = model.unit_norm.unwrap_or(!pairwise);
        let RankingLoss { form, distance, margin, average } =
            RankingLoss::check(pairwise, &config, unit_norm, check);
        let given = matches!(form, RankingForm::Triplet { mining: Mining::None, .. });
        Self {
            form,
            distance,
            margin,
            average,
            embedding_size: check.at_least_one("embedding_size", model.embedding_size.unwrap_or(64)),
            unit_norm,
            batches: RankingBatches::check(given, data, check),
        }
    }

    /// The loss alone.
    pub(crate) fn loss(&self) -> RankingLoss {
        let Self { form, distance, margin, average, .. } = *self;
        RankingLoss { form, distance, margin, average }
    }

    /// What the network ends in.
    pub(crate) fn head(&self) -> Head {
        Head::Embedding { size: self.embedding_size, unit_norm: self.unit_norm }
    }

    /// The order of distances that retrieval is judged by.
    pub(crate) fn metric(&self) -> Metric {
        match self.distance {
            Distance::Euclidean | Distance::SquaredEuclidean => Metric::Euclidean,
            Distance::Cosine => Metric::Cosine,
        }
    }

    /// Images of one batch, where the loss decides it.
    pub(crate) fn batch_size(&self) -> Option<usize> {
        match self.batches {
            RankingBatches::ClassBalanced { classes_per_batch, samples_per_class } => {
                Some(classes_per_batch.saturating_mul(samples_per_class))
            }
            RankingBatches::Triplets(_) => None,
        }
    }
}

impl RankingBatches {
    fn check(given: bool, data: &DataConfig, check: &mut Checker) -> Self {
        let balanced = data.classes_per_batch.is_some() || data.samples_per_class.is_some();
        match &data.triplets {
            Some(path) => {
                check.check(given, || "triplets need the triplet loss with mining none".into());
                check.check(!balanced, || {
                    "classes_per_batch and samples_per_class do not go with triplets: leave them out".into()
                });
                Self::Triplets(path.clone())
            }
            None => {
                check.check(!given, || {
                    "mining none takes triplets that you give: name their CSV file with --triplets, or \
                     choose mining all, hard or semi-hard"
                        .into()
                });
                let classes_per_batch = data.classes_per_batch.unwrap_or(16);
                let samples_per_class = data.samples_per_class.unwrap_or(8);
                check.check(classes_per_batch >= 2, || {
                    format!("classes_per_batch is {classes_per_batch}, and must be at least 2")
                });
                check.check(samples_per_class >= 2, || {
                    format!("samples_per_class is {samples_per_class}, and must be at least 2")
                });
                Self::ClassBalanced { classes_per_batch, samples_per_class }
            }
        }
    }
}
