//! What a user can get wrong about a problem.

/// A problem that is not well defined, or that has no optimum.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LinearError {
    /// A number is outside its range.
    #[error("{name} is {value}, but must be {allowed}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What may be given.
        allowed: &'static str,
    },
    /// Slices do not fit each other.
    #[error("{name} has {found} values, but {expected} are needed")]
    Length {
        /// Name of the slice.
        name: &'static str,
        /// How many values it has.
        found: usize,
        /// How many it must have.
        expected: usize,
    },
    /// A feature is infinite or not a number.
    #[error("feature {feature} of sample {sample} is {value}, but must be finite")]
    Feature {
        /// Index of the sample.
        sample: usize,
        /// Index of the feature.
        feature: usize,
        /// What was given.
        value: f32,
    },
    /// A target is not the index of a class.
    #[error("the target of sample {sample} is {target}, but the classes are 0 to {}", .num_classes - 1)]
    Target {
        /// Index of the sample.
        sample: usize,
        /// What was given.
        target: u32,
        /// How many classes there are.
        num_classes: usize,
    },
    /// A class without samples: its bias would fall without end.
    #[error("class {class} has no sample of positive weight, so that its bias would fall without end")]
    EmptyClass {
        /// Index of the class.
        class: usize,
    },
    /// λ = 0 and the loss can be brought to its infimum by making the weights ever larger.
    #[error(
        "without a penalty there is no optimum: the classes are separable, and larger weights always better"
    )]
    Separable,
    /// λ = 0: an optimum may exist, but its distance cannot be bounded.
    #[error("without a penalty no distance from the optimum can be proven")]
    NoPenalty,
    /// No solver here takes a hinge with L1 to its optimum.
    #[error("L1 is solved with softmax only, not with a hinge")]
    HingeWithL1,
    /// No fold, or a fold without samples.
    #[error("{folds} folds need at least {folds} samples in classes of two or more; there are {found}")]
    Folds {
        /// How many were asked for.
        folds: usize,
        /// Samples that can be in a fold.
        found: usize,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl LinearError {
    /// Ways out, of which one is enough.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        let ways: &[&str] = match self {
            Self::Parameter { .. } | Self::Length { .. } | Self::Interrupted => &[],
            Self::Feature { .. } => &["remove the sample or replace the value"],
            Self::Target { .. } => &["count the classes from 0"],
            Self::EmptyClass { .. } => &["leave the class out", "train without a bias"],
            Self::Separable | Self::NoPenalty => &["use a small penalty, such as l2 = 1e-6"],
            Self::HingeWithL1 => &["use softmax", "use l2 instead of l1"],
            Self::Folds { .. } => &["use fewer folds"],
        };
        ways.iter().map(|&way| way.to_owned()).collect()
    }
}
