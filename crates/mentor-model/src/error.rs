//! What can go wrong between a name and a network, or between a file and its weights.

use thiserror::Error;

/// Why a model could not be built, saved or loaded.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The name belongs to no family.
    #[error(
        "unknown model `{name}`{}known: {known}",
        .meant.as_ref().map_or("; ".to_owned(), |meant| format!(": did you mean {meant}? "))
    )]
    UnknownArchitecture {
        /// What was asked for.
        name: String,
        /// A name of the catalogue that was perhaps meant.
        meant: Option<String>,
        /// All families.
        known: String,
    },
    /// The family is known, its numbers are not possible.
    #[error("model `{name}`: {problem}")]
    InvalidArchitecture {
        /// What was asked for.
        name: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A number of the specification is outside its range.
    #[error("{parameter} is {value}, allowed is {allowed}")]
    InvalidParameter {
        /// Name of the field.
        parameter: &'static str,
        /// Its value.
        value: String,
        /// The allowed range.
        allowed: &'static str,
    },
    /// The family has no place where this noise could act.
    #[error(
        "model `{architecture}` has no {place}, so {parameter} {value} would have no effect; set it to 0"
    )]
    NotApplicable {
        /// Name of the model.
        architecture: String,
        /// `dropout` or `stochastic_depth`.
        parameter: &'static str,
        /// Its value.
        value: f64,
        /// What the family lacks.
        place: &'static str,
    },
    /// The images are too small for the family's reductions.
    #[error(
        "images of {height}x{width} are too small for model `{architecture}`, which needs at least \
         {minimum}x{minimum}"
    )]
    InputTooSmall {
        /// Name of the model.
        architecture: String,
        /// Height of the input in pixels.
        height: usize,
        /// Width of the input in pixels.
        width: usize,
        /// Least height and width.
        minimum: usize,
    },
    /// The images cannot be cut into whole patches.
    #[error(
        "images of {height}x{width} do not divide into patches of {patch}x{patch} for model \
         `{architecture}`: height and width must be multiples of {patch}"
    )]
    NotDivisible {
        /// Name of the model.
        architecture: String,
        /// Height of the input in pixels.
        height: usize,
        /// Width of the input in pixels.
        width: usize,
        /// Side of a patch.
        patch: usize,
    },
    /// The network would have more parameters than one model may have.
    #[error("model `{architecture}` would have {num_params} parameters, more than {limit}")]
    TooLarge {
        /// Name of the model.
        architecture: String,
        /// Number of its parameters.
        num_params: u64,
        /// The limit.
        limit: u64,
    },
    /// No parameter would be held fixed.
    #[error("no parameter's name begins with `{prefix}`; the model's begin with {known}")]
    NothingFrozen {
        /// What the names were to begin with.
        prefix: String,
        /// What they begin with.
        known: String,
    },
    /// Every parameter would be held fixed.
    #[error("all parameters would be frozen, so that nothing could be trained")]
    AllFrozen,
    /// The bytes are not a complete safetensors file.
    #[error("not a complete safetensors file: {reason}")]
    DamagedFile {
        /// What the parser says.
        reason: String,
    },
    /// The file lacks a tensor of the model.
    #[error("the file holds no tensor `{path}`, which the model has; it belongs to another model")]
    MissingTensor {
        /// Path of the tensor.
        path: String,
    },
    /// The file holds a tensor that the model lacks.
    #[error("the file holds a tensor `{path}`, which the model lacks; it belongs to another model")]
    UnknownTensor {
        /// Path of the tensor.
        path: String,
    },
    /// Two tensors of the file have one name in the model.
    #[error("two tensors of the file are renamed to `{path}`")]
    SameTensor {
        /// Path of the tensor.
        path: String,
    },
    /// A tensor has another shape in the file than in the model.
    #[error("tensor `{path}` has shape {found:?} in the file and {expected:?} in the model")]
    WrongShape {
        /// Path of the tensor.
        path: String,
        /// The model's shape.
        expected: Vec<usize>,
        /// The file's shape.
        found: Vec<usize>,
    },
    /// A tensor is not stored as 32-bit floats.
    #[error("tensor `{path}` is stored as {found}, only F32 is read")]
    WrongDtype {
        /// Path of the tensor.
        path: String,
        /// The file's type.
        found: String,
    },
    /// A value that no trained network holds.
    #[error("tensor `{path}` holds {value} at position {position}")]
    InvalidValue {
        /// Path of the tensor.
        path: String,
        /// Position in row-major order.
        position: usize,
        /// NaN, an infinity, or a negative variance.
        value: f32,
    },
}
