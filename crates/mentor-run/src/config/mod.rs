//! What the user wrote: every field optional, unknown fields refused.
//!
//! A `Config` is raw. It comes from a TOML file, from `--set key=value` and from flags, and ends at
//! `Plan::try_from` of `mentor-train`, which fills in the defaults and reports all problems at once.
//! A resolved plan goes back to a `Config` with every field stated: the `config.toml` of a run.

use std::path::PathBuf;

use mentor_data::{Augment, OpenOptions};
use serde::{Deserialize, Deserializer, Serialize};

mod distill;
mod path;
mod self_train;

pub use distill::DistillConfig;
pub use path::PathConfig;
pub use self_train::SelfTrainConfig;

/// The configuration of a training run, as written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the images come from, and how they are split and decoded.
    pub data: DataConfig,
    /// The network.
    pub model: ModelConfig,
    /// The data loss.
    pub loss: LossConfig,
    /// The penalty λ R(W).
    pub penalty: PenaltyConfig,
    /// How the weights are updated.
    pub optimizer: OptimizerConfig,
    /// How the learning rate changes over the run.
    pub schedule: ScheduleConfig,
    /// Length, seed and stopping.
    pub training: TrainingConfig,
    /// What a student learns from its teachers; absent in plain training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distill: Option<DistillConfig>,
    /// The choice of a linear classifier's penalty by cross-validation; absent elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathConfig>,
    /// Few labels and many images; absent elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_train: Option<SelfTrainConfig>,
}

/// `[data]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// `digits`, or the path of an image folder, a folder of IDX files, a CSV manifest or an npz file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Change of the training images: `none`, `flip`, `shift[:N][+flip]`, `standard` or `rand-augment:N,M`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment: Option<Augment>,
    /// Classes of one batch, fewer where the data has fewer; ranking losses only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes_per_batch: Option<usize>,
    /// Samples of each class of a batch, fewer where the classes have fewer; ranking losses only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples_per_class: Option<usize>,
    /// CSV file of triplets (anchor, positive, negative) of training images; `loss.mining` none only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub triplets: Option<PathBuf>,
    /// Splits, sizes, bad images and limits.
    pub options: OpenOptions,
}

/// `[model]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// `linear`, `mlp:1200,1200`, `cnn`, `resnet-20`, `resnet-18`, `wrn-16-2`, `vit`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Probability of dropping a hidden unit, in [0, 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// Probability of dropping the last residual block, in [0, 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stochastic_depth: Option<f64>,
    /// Dimension of the embeddings; ranking losses only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_size: Option<usize>,
    /// Whether embeddings are divided by their norm; ranking losses only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_norm: Option<bool>,
    /// Run directory, or safetensors file, whose weights are the first ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_from: Option<PathBuf>,
    /// File of weights of a pretrained network, which stays as it is: its features are computed once, and a
    /// head is trained on them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backbone: Option<PathBuf>,
    /// Epochs over which all layers of the backbone are trained together, after its head; absent leaves it
    /// as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fine_tune: Option<usize>,
    /// Beginnings of names of parameters that are not trained, such as `stem` and `blocks.0`; of a backbone
    /// `stem` and numbers of stages from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Vec<String>>,
}

/// `[loss]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    /// `softmax`, `svm` or `crammer-singer` of a classifier; `contrastive` or `triplet` of an embedding
    /// model.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "name")]
    pub name: Option<String>,
    /// Δ of the SVM losses, m of the ranking losses; at least 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// Share of the target's probability that is spread evenly over all classes, in [0, 1); softmax only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,
    /// One weight a class, in class order; softmax only. Empty: every class weighs 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<f64>>,
    /// Of `contrastive`, `linear` or `squared`; of `triplet`, `hinge` or `soft-margin`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "name")]
    pub form: Option<String>,
    /// Which triplets count: `all`, `hard`, `semi-hard`, or `none` for those of `data.triplets`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mining: Option<String>,
    /// What the sum of a ranking loss is divided by: `valid` (`triplet`'s default) or `active`
    /// (`contrastive`'s).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average: Option<String>,
    /// Distance of the ranking losses: `euclidean`, `squared` or `cosine`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<String>,
}

/// `[penalty]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PenaltyConfig {
    /// λ of Σ|w|, at least 0; applied by its proximal step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l1: Option<f64>,
    /// λ of Σw², at least 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l2: Option<f64>,
}

/// `[optimizer]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// `sgd` (minibatches), `gd` (one update from the exact gradient of the whole training set), `adamw`
    /// (minibatches, each weight at a rate of its own), or `auto` (the solver that takes a linear classifier
    /// to `gap`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Step size, greater than 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// μ of v ← μ v + g, in [0, 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Step along g + μ v instead of v.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nesterov: Option<bool>,
    /// Samples of one forward pass: a minibatch of `sgd` and `adamw`, a chunk of `gd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// Largest global norm of the gradient; 0 leaves it as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// λ of w ← w − η λ w, the decoupled decay of `adamw`, at least 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// What the learning rate of a layer is multiplied by for each layer behind it, greater than 0 and at
    /// most 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_decay: Option<f64>,
    /// Stop once the objective is proven to be within this share of its minimum, greater than 0; linear
    /// classifiers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<f64>,
    /// Iterations at most of the solver that takes a linear classifier to `gap`, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_iterations: Option<u64>,
}

/// `[schedule]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// `constant`, `step` or `cosine`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Epochs over which the learning rate rises linearly to its full value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_epochs: Option<f64>,
    /// `step`: epochs between two drops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_epochs: Option<f64>,
    /// `step`: factor of each drop, in (0, 1].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_factor: Option<f64>,
}

/// `[training]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Passes over the training set; of `gd`, also the number of updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// Updates that a run makes at least: if `epochs` make fewer on few images, there are more of them, and
    /// warm-up and steps grow alike. Absent: 0, which adds none, if a length in epochs is given or the
    /// optimiser is `gd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_updates: Option<u64>,
    /// Seed of weights, order, augmentation and dropout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Epochs without a better validation accuracy after which training stops; 0 never stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Seconds between two checkpoints; 0 writes one after every update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_secs: Option<f64>,
    /// Decay of the moving average of the weights, which is judged and kept in their place, in [0, 1); 0
    /// keeps none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Shards that each batch is divided into, a power of 2 up to 1024: gradients are summed in their order,
    /// so that the weights do not depend on how many processes share them. Absent: a batch is whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_shards: Option<usize>,
    /// Whether a bound on the distance from the optimum is proven of the kept weights; linear classifiers
    /// only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certify: Option<bool>,
}

/// Losses and forms that had another name in early versions, and their names now.
const RENAMED: [(&str, &str); 3] =
    [("pairwise", "contrastive"), ("lecture", "linear"), ("hadsell", "squared")];

/// The present name of a loss or of its form, for a present or an earlier one.
pub fn present_name(name: &str) -> &str {
    RENAMED.iter().find(|(earlier, _)| *earlier == name).map_or(name, |(_, present)| present)
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let written = Option::<String>::deserialize(deserializer)?;
    Ok(written.map(|name| present_name(&name).to_owned()))
}

/// Why a configuration could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not TOML, or has a field that mentor does not know.
    #[error("{origin}: {message}")]
    Parse {
        /// The file, or `--set`.
        origin: String,
        /// What the parser said, on one line.
        message: String,
    },
    /// `--set` without `=`, or with a path through something that is not a table.
    #[error("--set {assignment}: {problem}")]
    Assignment {
        /// What was written.
        assignment: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl ConfigError {
    /// What to do next, as [`DataError::help`](mentor_data::DataError::help) says it.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        let ways: &[&str] = match self {
            Self::Parse { .. } => &[],
            Self::Assignment { .. } => &["write table.key=value, such as optimizer.learning_rate=0.05"],
        };
        ways.iter().map(|&way| way.to_owned()).collect()
    }
}

impl Config {
    /// Reads a TOML text and applies `key=value` assignments to it, in order.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the text is not TOML, names an unknown field, or an assignment is malformed.
    ///
    /// ```
    /// use mentor_run::Config;
    /// let sets = ["optimizer.learning_rate=0.05".to_owned()];
    /// let config = Config::from_toml("[model]\nname = 'cnn'", "run.toml", &sets)?;
    /// assert_eq!(config.optimizer.learning_rate, Some(0.05));
    /// assert!(Config::from_toml("[model]\nnmae = 'cnn'", "run.toml", &[]).is_err());
    /// # Ok::<(), mentor_run::ConfigError>(())
    /// ```
    pub fn from_toml(text: &str, origin: &str, assignments: &[String]) -> Result<Self, ConfigError> {
        let parse_error = |origin: &str, error: toml::de::Error| ConfigError::Parse {
            origin: origin.to_owned(),
            message: in_words(error.message()),
        };
        // First as it stands, so that a mistake in the file is reported as one of the file.
        let mut config: Config = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            parse_error(&format!("{origin}:{line}"), error)
        })?;
        let mut table: toml::Table = toml::from_str(text).map_err(|error| parse_error(origin, error))?;
        for assignment in assignments {
            assign(&mut table, assignment)?;
            let parsed = table.clone().try_into();
            config = parsed.map_err(|error| parse_error(&format!("--set {assignment}"), error))?;
        }
        Ok(config)
    }

    /// The configuration as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("a Config is plain tables of plain values")
    }
}

/// What the parser says, on one line and without names of our types, which only a programmer knows.
fn in_words(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    let line = words.join(" ");
    match line.split_once("expected struct ") {
        Some((before, after)) => {
            let rest = after.split_once(' ').map_or(String::new(), |(_, rest)| format!(" {rest}"));
            format!("{before}expected a table{rest}")
        }
        None => line,
    }
}

/// Sets `a.b.c=value`; a value that is not TOML is taken as a string.
fn assign(table: &mut toml::Table, assignment: &str) -> Result<(), ConfigError> {
    let problem = |problem| ConfigError::Assignment { assignment: assignment.to_owned(), problem };
    let (path, value) = assignment.split_once('=').ok_or_else(|| problem("there is no '='"))?;
    let value = format!("value = {}", value.trim())
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut parsed| parsed.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.trim().to_owned()));
    let (tables, key) = match path.trim().rsplit_once('.') {
        Some((tables, key)) => (tables.split('.').collect(), key),
        None => (Vec::new(), path.trim()),
    };
    if key.is_empty() {
        return Err(problem("there is no key before '='"));
    }
    let mut at = table;
    for name in tables {
        at = at
            .entry(name.trim())
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            .as_table_mut()
            .ok_or_else(|| problem("the path leads through a value, not a table"))?;
    }
    at.insert(key.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, sets: &[&str]) -> Result<Config, ConfigError> {
        Config::from_toml(text, "run.toml", &sets.iter().map(|set| (*set).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn an_unknown_key_names_the_file_and_the_line() {
        let error = parse("[optimizer]\nname = 'sgd'\nlearning_rat = 0.1\n", &[]).unwrap_err().to_string();
        assert!(error.starts_with("run.toml:3: unknown field `learning_rat`"), "{error}");
    }

    #[test]
    fn a_value_in_place_of_a_table_is_refused_in_words() {
        for (text, sets) in [("model = 3", &[][..]), ("", &["model=3"]), ("distill = 'x'", &[])] {
            let error = parse(text, sets).unwrap_err().to_string();
            assert!(error.contains("expected a table") && !error.contains("Config"), "{error}");
        }
    }

    #[test]
    fn assignments_win_over_the_file_and_take_bare_words() {
        let config = parse("[model]\nname = 'linear'", &["model.name=mlp:10,10", "training.seed=7"]).unwrap();
        assert_eq!(config.model.name.as_deref(), Some("mlp:10,10"));
        assert_eq!(config.training.seed, Some(7));
    }

    #[test]
    fn a_malformed_assignment_is_refused() {
        for set in ["seed", "=3", "training.seed.deep=1", "training.sed=1"] {
            assert!(parse("[training]\nseed = 1", &[set]).is_err(), "{set}");
        }
    }

    #[test]
    fn earlier_names_are_read_and_written_as_the_present_ones() {
        let earlier = "[loss]\nname = 'pairwise'\nform = 'lecture'\n[self_train]\ncanary_fraction = 0.1\n\
                       [distill]\nteachers = []\nviews = 3";
        let present = "[loss]\nname = 'contrastive'\nform = 'linear'\n[self_train]\naudit_fraction = 0.1\n\
                       [distill]\nteachers = []\naugmentations = 3";
        let (earlier, present) = (parse(earlier, &[]).unwrap(), parse(present, &[]).unwrap());
        assert_eq!(earlier, present);
        assert!(earlier.to_toml().contains("name = \"contrastive\""), "{}", earlier.to_toml());
        assert_eq!(parse("", &["loss.form=hadsell"]).unwrap().loss.form.as_deref(), Some("squared"));
    }

    #[test]
    fn toml_round_trips() {
        let config = parse("[penalty]\nl2 = 1e-3\n[loss]\nclass_weights = [1.0, 2.5]", &[]).unwrap();
        assert_eq!(parse(&config.to_toml(), &[]).unwrap(), config);
    }
}
