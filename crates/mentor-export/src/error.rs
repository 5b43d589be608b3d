//! Why a model is not exported, or an exported one is not run.

use mentor_data::shorten;

/// Characters of a reason that may quote a stranger's file.
const MAX_REASON: usize = 300;

/// Why a model is not exported, or an exported one is not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A network of another family than mentor's.
    #[error("the network {architecture:?} is none of mentor's families, of which alone the layers are known")]
    UnknownArchitecture {
        /// Its name.
        architecture: String,
    },
    /// Pictures are brought to size as pretrained networks want it.
    #[error("resizing by {resize} is not exported")]
    Resizing {
        /// How pictures are brought to size.
        resize: String,
    },
    /// The network lacks a tensor, or has it in another shape.
    #[error("{path}: {problem}")]
    Tensor {
        /// Name of the tensor.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The file would be too large for its format.
    #[error("the model has {num_bytes} bytes of weights, and an ONNX file holds at most {limit}")]
    TooLarge {
        /// Bytes of the weights.
        num_bytes: u64,
        /// The limit of the format.
        limit: u64,
    },
    /// The writer refused.
    #[error("the ONNX file cannot be written: {reason}")]
    Writing {
        /// What it says.
        reason: String,
    },
    /// A page that classifies needs classes.
    #[error("the model gives embeddings, and the page shows classes")]
    NoClasses,
    /// A file that is no ONNX model, or none that mentor runs.
    #[error("{reason}")]
    NotOurs {
        /// What is wrong with it.
        reason: String,
    },
    /// The second engine is not compiled in.
    #[error("this mentor was built without the engine that runs ONNX files")]
    NoEngine,
    /// The second engine does not run the file.
    #[error("rten cannot run the model: {reason}")]
    Engine {
        /// What it says.
        reason: String,
    },
    /// The exported file gives other answers than the model.
    #[error("the exported model gives other answers than mentor: {difference}")]
    Disagreement {
        /// In what, and by how much.
        difference: String,
    },
}

impl ExportError {
    /// Ways out, of which one is enough.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        let ways: &[&str] = match self {
            Self::NotOurs { .. } => &["name a file that mentor export wrote, or the directory of a run"],
            Self::UnknownArchitecture { .. } => &["export the network with the library that defines it"],
            Self::NoEngine => &[
                "install it with `cargo install --path crates/mentor-cli --features verify`",
                "run the file with ONNX Runtime",
            ],
            Self::NoClasses => &["export with --format onnx, triton or safetensors"],
            Self::Resizing { .. } => &["export with --input tensor"],
            _ => &[],
        };
        ways.iter().map(|&way| way.to_owned()).collect()
    }
}

/// A reason of bounded length.
pub(crate) fn bounded(reason: String) -> String {
    shorten(reason.into(), MAX_REASON).into_owned()
}
