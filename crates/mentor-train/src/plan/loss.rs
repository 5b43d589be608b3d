//! The checked data loss: on scores, or on distances between embeddings.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use mentor_loss::{
    Average, Distance, Hinge, Mining, MulticlassSvm, PairForm, ScoreLoss, SoftmaxCrossEntropy,
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

/// A loss on scores.
#[derive(Clone, Debug, PartialEq)]
pub enum ScoreLossPlan {
    /// Multiclass SVM with margin Δ.
    Svm {
        /// Weston–Watkins or Crammer–Singer.
        hinge: Hinge,
        /// Δ.
        margin: f64,
    },
    /// Softmax cross-entropy.
    Softmax {
        /// Share of the target's probability given to all classes alike.
        label_smoothing: f64,
        /// One weight a class; empty where all weigh 1.
        class_weights: Vec<f64>,
    },
}

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

impl ScoreLossPlan {
    /// The mean loss of samples of `num_classes` classes whose scores are all zero; of weighted classes as if
    /// all had the largest weight.
    pub(crate) fn of_zero_scores(&self, num_classes: usize) -> f64 {
        let num_classes = num_classes as f64;
        match self {
            Self::Svm { hinge: Hinge::WestonWatkins, margin } => (num_classes - 1.0) * margin,
            Self::Svm { hinge: Hinge::CrammerSinger, margin } => *margin,
            Self::Softmax { class_weights, .. } => {
                num_classes.ln() * class_weights.iter().copied().reduce(f64::max).unwrap_or(1.0)
            }
        }
    }
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
            Self::Scores(ScoreLossPlan::Svm { hinge: Hinge::WestonWatkins, .. }) => "svm",
            Self::Scores(ScoreLossPlan::Svm { hinge: Hinge::CrammerSinger, .. }) => "crammer-singer",
            Self::Scores(ScoreLossPlan::Softmax { .. }) => "softmax",
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
        match name.as_str() {
            name @ ("softmax" | "svm" | "crammer-singer") => {
                let needs_ranking =
                    |field| format!("{field} needs a ranking loss (contrastive, triplet), not {name}");
                check.check(model.embedding_size.is_none(), || needs_ranking("embedding_size"));
                check.check(model.unit_norm.is_none(), || needs_ranking("unit_norm"));
                check.check(data.classes_per_batch.is_none(), || needs_ranking("classes_per_batch"));
                check.check(data.samples_per_class.is_none(), || needs_ranking("samples_per_class"));
                check.check(data.triplets.is_none(), || needs_ranking("triplets"));
                Self::Scores(ScoreLossPlan::check(name, config, check))
            }
            name @ ("contrastive" | "triplet") => {
                let pairwise = name == "contrastive";
                Self::Ranking(RankingPlan::check(pairwise, config, model, data, check))
            }
            other => {
                check.problems.push(format!(
                    "loss \"{other}\" is not known; there are softmax, svm, crammer-singer, contrastive and triplet"
                ));
                Self::Scores(ScoreLossPlan::SOFTMAX)
            }
        }
    }

    /// The configuration that makes this loss, every field stated.
    pub(crate) fn to_config(&self) -> LossConfig {
        let config = LossConfig { name: Some(self.name().to_owned()), ..LossConfig::default() };
        match self {
            Self::Scores(ScoreLossPlan::Svm { margin, .. }) => LossConfig { margin: Some(*margin), ..config },
            Self::Scores(ScoreLossPlan::Softmax { label_smoothing, class_weights }) => LossConfig {
                label_smoothing: Some(*label_smoothing),
                class_weights: Some(class_weights.clone()),
                ..config
            },
            Self::Ranking(RankingPlan { form, distance, margin, average, .. }) => {
                let config = LossConfig {
                    distance: Some(distance.to_string()),
                    average: Some(average.to_string()),
                    ..config
                };
                match form {
                    RankingForm::Pairwise(form) => {
                        LossConfig { form: Some(form.to_string()), margin: Some(*margin), ..config }
                    }
                    RankingForm::Triplet { form, mining } => LossConfig {
                        form: Some(form.to_string()),
                        margin: (*form == TripletForm::Hinge).then_some(*margin),
                        mining: Some(mining.to_string()),
                        ..config
                    },
                }
            }
        }
    }
}

impl ScoreLossPlan {
    const NAMES: [&str; 3] = ["softmax", "svm", "crammer-singer"];
    pub(crate) const SOFTMAX: Self = Self::Softmax { label_smoothing: 0.0, class_weights: Vec::new() };

    /// Reads the loss of a `model.json`.
    ///
    /// # Errors
    ///
    /// When it is not one that a plan would accept.
    pub fn from_config(config: &LossConfig) -> Result<Self, PlanError> {
        let mut check = Checker { problems: Vec::new() };
        let name = config.name.as_deref().unwrap_or("none");
        if !Self::NAMES.contains(&name) {
            let problem = format!(
                "loss \"{name}\" is not one of a classifier that this mentor knows; there are {}",
                Self::NAMES.join(", ")
            );
            return Err(PlanError { problems: vec![problem] });
        }
        let plan = Self::check(name, config.clone(), &mut check);
        if check.problems.is_empty() { Ok(plan) } else { Err(PlanError { problems: check.problems }) }
    }

    /// The loss on tensors.
    ///
    /// # Errors
    ///
    /// When there are class weights, but not one a class.
    pub fn build(&self, num_classes: usize) -> Result<ScoreLoss, PlanError> {
        let refused = |error: mentor_loss::LossError| PlanError { problems: vec![error.to_string()] };
        match self {
            Self::Svm { hinge, margin } => {
                Ok(ScoreLoss::Svm(MulticlassSvm::new(*hinge, *margin).map_err(refused)?))
            }
            Self::Softmax { label_smoothing, class_weights } => {
                let loss =
                    SoftmaxCrossEntropy::new().with_label_smoothing(*label_smoothing).map_err(refused)?;
                if class_weights.is_empty() {
                    return Ok(ScoreLoss::Softmax(loss));
                }
                if class_weights.len() != num_classes {
                    let problem = format!(
                        "there are {} class weights, and the data has {num_classes} classes",
                        class_weights.len()
                    );
                    return Err(PlanError { problems: vec![problem] });
                }
                Ok(ScoreLoss::Softmax(loss.with_class_weights(class_weights.clone()).map_err(refused)?))
            }
        }
    }

    /// `name` is one of [`Self::NAMES`].
    fn check(name: &str, config: LossConfig, check: &mut Checker) -> Self {
        refuse_others(name, &config, &["mining", "average", "distance", "form"], check);
        let hinge = match name {
            "svm" => Hinge::WestonWatkins,
            "crammer-singer" => Hinge::CrammerSinger,
            _ => {
                refuse_others(name, &config, &["margin"], check);
                let class_weights = config.class_weights.unwrap_or_default();
                for weight in &class_weights {
                    check.f32("a class weight", *weight, NON_NEGATIVE.0, NON_NEGATIVE.1);
                }
                let smoothing = config.label_smoothing.unwrap_or(0.0);
                let label_smoothing = check.f32("label_smoothing", smoothing, BELOW_ONE.0, BELOW_ONE.1);
                return Self::Softmax { label_smoothing, class_weights };
            }
        };
        refuse_others(name, &config, &["label_smoothing", "class_weights"], check);
        let margin = check.f32("margin", config.margin.unwrap_or(1.0), NON_NEGATIVE.0, NON_NEGATIVE.1);
        Self::Svm { hinge, margin }
    }
}

impl RankingPlan {
    fn check(
        pairwise: bool,
        config: LossConfig,
        model: &ModelConfig,
        data: &DataConfig,
        check: &mut Checker,
    ) -> Self {
        let name = if pairwise { "contrastive" } else { "triplet" };
        refuse_others(name, &config, &["label_smoothing", "class_weights"], check);
        // By default triplets are compared on the unit sphere, and pairs in the unnormalised space.
        let unit_norm = model.unit_norm.unwrap_or(!pairwise);
        let (form, default_margin) = if pairwise {
            refuse_others(name, &config, &["mining"], check);
            let form = check.parse("form", config.form.as_deref(), PairForm::Linear);
            (RankingForm::Pairwise(form), if unit_norm { 0.5 } else { 1.0 })
        } else {
            let form = check.parse("form", config.form.as_deref(), TripletForm::Hinge);
            let mining = check.parse("mining", config.mining.as_deref(), Mining::SemiHard);
            (RankingForm::Triplet { form, mining }, 0.2)
        };
        if let RankingForm::Triplet { form: TripletForm::SoftMargin, mining } = form {
            check
                .check(config.margin.is_none(), || "the soft-margin form has no margin: leave it out".into());
            check.check(mining != Mining::All, || {
                "mining all needs the hinge form, whose sum over all triplets is exact".into()
            });
        }
        let given = matches!(form, RankingForm::Triplet { mining: Mining::None, .. });
        // Most pairs of a batch are negatives that are soon far enough: a mean over all of them would learn slowly.
        let average = if pairwise { Average::Active } else { Average::Valid };
        let margin = config.margin.unwrap_or(default_margin);
        Self {
            form,
            distance: check.parse("distance", config.distance.as_deref(), Distance::Euclidean),
            margin: check.f32("margin", margin, NON_NEGATIVE.0, NON_NEGATIVE.1),
            average: check.parse("average", config.average.as_deref(), average),
            embedding_size: check.at_least_one("embedding_size", model.embedding_size.unwrap_or(64)),
            unit_norm,
            batches: RankingBatches::check(given, data, check),
        }
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
                    "mining none takes triplets that you give: name their CSV file with --triplets, or choose \
                     mining all, hard or semi-hard"
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

/// Notes a problem for each of `fields` that is set to other than its neutral value.
fn refuse_others(name: &str, config: &LossConfig, fields: &[&'static str], check: &mut Checker) {
    for &field in fields {
        let set = match field {
            "margin" => config.margin.is_some(),
            "label_smoothing" => config.label_smoothing.unwrap_or(0.0) != 0.0,
            "class_weights" => config.class_weights.as_ref().is_some_and(|weights| !weights.is_empty()),
            "mining" => config.mining.is_some(),
            "average" => config.average.is_some(),
            "distance" => config.distance.is_some(),
            "form" => config.form.is_some(),
            other => unreachable!("{other} is no field of a loss"),
        };
        check.check(!set, || format!("{field} does not belong to the {name} loss: leave it out"));
    }
}
