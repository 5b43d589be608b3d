//! What a user can get wrong about a loss.

/// A parameter or an input of a loss that is outside what the loss is defined for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// A parameter is outside its range.
    #[error("{name} is {value}, but must be {allowed}")]
    Parameter {
        /// Name of the parameter, as in the configuration.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What may be given.
        allowed: &'static str,
    },
    /// A class weight is negative or not finite.
    #[error("the weight of class {class} is {value}, but must be a finite number of at least 0")]
    ClassWeight {
        /// Index of the class.
        class: usize,
        /// What was given.
        value: f64,
    },
    /// No class has a positive weight, so that nothing would be learned.
    #[error("class weights need at least one that is greater than 0, got {count} without")]
    NoClassWeight {
        /// How many weights were given.
        count: usize,
    },
    /// Every weight of a sum of terms is 0, so that nothing would be learned.
    #[error("{names} are all 0, so that nothing would be learned; one must be greater than 0")]
    NoWeight {
        /// Names of the weights, as in the configuration.
        names: &'static str,
    },
    /// Class weights and scores disagree about the number of classes.
    #[error("there are {weights} class weights, and {num_classes} classes")]
    ClassWeightCount {
        /// How many weights the loss has.
        weights: usize,
        /// How many classes the scores have.
        num_classes: usize,
    },
    /// The scores of a sample are empty.
    #[error("a loss needs at least one score, got none")]
    NoScores,
    /// A score is infinite or not a number.
    #[error("the score of class {class} is {value}, but must be finite")]
    Score {
        /// Index of the class.
        class: usize,
        /// What was given.
        value: f64,
    },
    /// A target is not the index of a class.
    #[error(
        "target {target} is not a class: with {num_classes} scores the classes are 0 to {}",
        .num_classes.saturating_sub(1)
    )]
    Target {
        /// What was given.
        target: usize,
        /// How many classes the scores have.
        num_classes: usize,
    },
    /// Nothing of this kind has this name.
    #[error("there is no {kind} named {name:?}; there are {}", .known.join(", "))]
    UnknownName {
        /// What the name is one of.
        kind: &'static str,
        /// What was given.
        name: String,
        /// The names that exist.
        known: &'static [&'static str],
    },
    /// Embeddings and labels disagree about the number of samples.
    #[error("{labels} labels do not fit {values} numbers of embeddings: each label needs a row, all as long")]
    EmbeddingCount {
        /// How many labels were given.
        labels: usize,
        /// How many numbers the embeddings have altogether.
        values: usize,
    },
    /// An embedding is not a number, or too large for `f32`.
    #[error("the embedding of row {row}, column {column} is {value}, but must be finite in single precision")]
    Embedding {
        /// Index of the sample.
        row: usize,
        /// Index of the coordinate.
        column: usize,
        /// What was given.
        value: f64,
    },
    /// A triplet or a pair names a sample that does not exist.
    #[error(
        "index {index} is not a sample: with {num_samples} samples they are 0 to {}",
        .num_samples.saturating_sub(1)
    )]
    SampleIndex {
        /// What was given.
        index: usize,
        /// How many samples there are.
        num_samples: usize,
    },
    /// No loss has this name.
    #[error("there is no loss named {name:?}; the losses on scores are {}", .known.join(", "))]
    UnknownLoss {
        /// What was given.
        name: String,
        /// The names that exist.
        known: Vec<&'static str>,
    },
    /// The loss has no such parameter.
    #[error("{name} does not belong to the {loss} loss")]
    ForeignParameter {
        /// The parameter.
        name: String,
        /// Name of the loss.
        loss: &'static str,
    },
    /// A file leaves a parameter of the loss out.
    #[error("the {name} of the {loss} loss is missing")]
    MissingParameter {
        /// The parameter.
        name: &'static str,
        /// Name of the loss.
        loss: &'static str,
    },
}

impl LossError {
    pub(crate) fn unknown(kind: &'static str, name: &str, known: &'static [&'static str]) -> Self {
        Self::UnknownName { kind, name: name.to_owned(), known }
    }
}

/// Checks against `f32`, in which the tensors compute.
pub(crate) fn check_finite(name: &'static str, value: f64) -> Result<f64, LossError> {
    if (value as f32).is_finite() {
        return Ok(value);
    }
    Err(LossError::Parameter { name, value, allowed: "a finite number" })
}

/// Checks positively, so that NaN fails, and against `f32`, in which the tensors compute.
pub(crate) fn check_non_negative(name: &'static str, value: f64) -> Result<f64, LossError> {
    if value >= 0.0 && (value as f32).is_finite() {
        return Ok(value);
    }
    Err(LossError::Parameter { name, value, allowed: "a finite number of at least 0" })
}
