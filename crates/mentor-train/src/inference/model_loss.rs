//! The loss of a model, as `model.json` holds it.

use mentor_loss::{Distance, ScoreLoss};
use mentor_metrics::retrieval::Metric;
use mentor_run::LossConfig;
use serde::{Deserialize, Serialize};

use crate::plan::checker::{Checker, PlanError};
use crate::plan::loss::{LossPlan, RankingLoss, config_of, score_loss_of};

/// The data loss that a model was trained with, every parameter of it known. A file that names another loss,
/// or leaves a parameter out, is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "LossConfig", into = "LossConfig")]
pub enum ModelLoss {
    /// Of a classifier.
    Scores(ScoreLoss),
    /// Of an embedding model.
    Ranking(RankingLoss),
}

impl ModelLoss {
    /// Reads what a file of the oldest version says of the loss, in which a field that is not stated has its
    /// default.
    ///
    /// # Errors
    ///
    /// When it is not a loss that a plan would accept.
    pub(crate) fn of_config(config: &LossConfig, unit_norm: bool) -> Result<Self, PlanError> {
        let name = config.name.as_deref();
        let Some(pairwise) = name.filter(|name| ["contrastive", "triplet"].contains(name)) else {
            return score_loss_of(config).map(Self::Scores);
        };
        let mut check = Checker { problems: Vec::new() };
        let loss = RankingLoss::check(pairwise == "contrastive", config, unit_norm, &mut check);
        match check.problems {
            problems if problems.is_empty() => Ok(Self::Ranking(loss)),
            problems => Err(PlanError { problems }),
        }
    }

    /// Its name in configurations.
    pub fn name(&self) -> String {
        LossConfig::from(self.clone()).name.unwrap_or_default()
    }

    /// The order in which embeddings were trained to lie; a classifier's features have the Euclidean one.
    pub(crate) fn metric(&self) -> Metric {
        match self {
            Self::Ranking(RankingLoss { distance: Distance::Cosine, .. }) => Metric::Cosine,
            // A squared distance gives the same order.
            Self::Ranking(_) | Self::Scores(_) => Metric::Euclidean,
        }
    }
}

impl From<&LossPlan> for ModelLoss {
    fn from(plan: &LossPlan) -> Self {
        match plan {
            LossPlan::Scores(loss) => Self::Scores(loss.clone()),
            LossPlan::Ranking(ranking) => Self::Ranking(ranking.loss()),
        }
    }
}

impl From<ModelLoss> for LossConfig {
    fn from(loss: ModelLoss) -> Self {
        match loss {
            ModelLoss::Scores(loss) => config_of(&loss),
            ModelLoss::Ranking(loss) => loss.to_config(),
        }
    }
}

impl TryFrom<LossConfig> for ModelLoss {
    type Error = PlanError;

    fn try_from(config: LossConfig) -> Result<Self, PlanError> {
        let loss = Self::of_config(&config, false)?;
        // A field that is missing, or spelt otherwise, would be a default that another version fills in
        // otherwise.
        if LossConfig::from(loss.clone()) == config {
            return Ok(loss);
        }
        Err(PlanError {
            problems: vec![format!("the loss {} does not state all its parameters", loss.name())],
        })
    }
}

#[cfg(test)]
mod tests {
    use mentor_loss::NamedLoss;
    use mentor_run::Config;

    use super::*;
    use crate::Plan;

    fn read(text: &str) -> Result<ModelLoss, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn every_loss_of_a_plan_is_read_back_as_the_same_value() {
        let on_scores = NamedLoss::all().iter().map(|loss| format!("loss.name = '{}'", loss.name));
        let others = [
            "loss = { name = 'softmax', label_smoothing = 0.1, class_weights = [1.0, 0.5] }",
            "loss = { name = 'svm', margin = 0.1 }",
            "loss = { name = 'triplet', form = 'soft-margin', mining = 'hard', distance = 'cosine' }",
            "loss = { name = 'triplet', margin = 0.3, average = 'active' }",
            "loss = { name = 'contrastive', form = 'squared' }",
        ];
        for text in on_scores.chain(others.map(str::to_owned)) {
            let config = Config::from_toml(&format!("data.source = 'digits'\n{text}"), "test", &[]).unwrap();
            let plan = Plan::try_from(config).unwrap().to_config();
            let loss = ModelLoss::of_config(&plan.loss, false).unwrap();
            let file = serde_json::to_string(&loss).unwrap();
            assert_eq!(read(&file).unwrap(), loss, "{file}");
            assert_eq!(LossConfig::from(loss), plan.loss, "{text}");
        }
    }

    #[test]
    fn a_loss_that_is_unknown_or_not_whole_is_refused() {
        for (text, expected) in [
            (r#"{"name": "focal", "margin": 1.0}"#, "\"focal\" is not one of a classifier"),
            (r#"{"margin": 1.0}"#, "\"none\" is not one"),
            (r#"{"name": "svm"}"#, "does not state all"),
            (r#"{"name": "svm", "margin": -1.0}"#, "margin is -1"),
            (r#"{"name": "svm", "margin": 1.0, "mining": "hard"}"#, "mining does not belong"),
            (r#"{"name": "triplet", "distance": "cosine"}"#, "does not state all"),
            (r#"{"name": "triplet", "distance": "l1"}"#, "distance:"),
            (r#"{"name": "svm", "margin": 1.0, "gamma": 2.0}"#, "gamma"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
