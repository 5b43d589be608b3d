//! What is wrong with a file of weights.

use std::path::PathBuf;

/// Why a file is no backbone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackboneError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// An image is damaged or over a limit.
    #[error("{path}: {reason}", path = path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is larger than any of the networks.
    #[error("{bytes} bytes are over the limit of {limit}")]
    TooLarge {
        /// Of the file.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// Neither safetensors nor a PyTorch file.
    #[error("is no file of weights: it is {what}")]
    NotWeights {
        /// What it looks like.
        what: &'static str,
    },
    /// The file is damaged or cut short.
    #[error("is damaged: {reason}")]
    Damaged {
        /// Where and how.
        reason: String,
    },
    /// A pickle names something that is no weight, which would have to be run.
    #[error("names {name}, which is no weight; a pickle that names code is not read")]
    Refused {
        /// Module and name.
        name: String,
    },
    /// A pickle needs something that `torch.save` does not write for weights.
    #[error("holds {what}, which torch.save does not write for weights")]
    Unsupported {
        /// What it is.
        what: String,
    },
    /// The tensors are of no network that is known here.
    #[error("is of no known network: {what}")]
    Unknown {
        /// What the tensors look like.
        what: String,
    },
    /// A tensor of the network is not there.
    #[error("looks like {architecture}, but lacks {name}")]
    MissingTensor {
        /// Of the network.
        architecture: &'static str,
        /// In the file's own layout.
        name: String,
    },
    /// A tensor is not as large as the network needs it.
    #[error("looks like {architecture}, but {name} is {found:?} instead of {expected:?}")]
    WrongShape {
        /// Of the network.
        architecture: &'static str,
        /// In the file.
        name: String,
        /// Of the network.
        expected: Vec<usize>,
        /// In the file.
        found: Vec<usize>,
    },
    /// A tensor that the network has no place for.
    #[error("looks like {architecture}, but {name} has no place in it{more}", more = and_more(*count))]
    UnknownTensor {
        /// Of the network.
        architecture: &'static str,
        /// The first in order.
        name: String,
        /// How many there are.
        count: usize,
    },
    /// A weight is not a number, or a variance is negative.
    #[error("{name} holds {what}")]
    BadValue {
        /// Of the tensor.
        name: String,
        /// What is wrong with a value.
        what: &'static str,
    },
    /// The name that the caller gave does not fit the tensors.
    #[error("its tensors are of {found}, not of {wanted}")]
    OtherArchitecture {
        /// What the caller wants.
        wanted: String,
        /// What the tensors fit.
        found: String,
    },
    /// A transformer, where a convolutional network is needed.
    #[error("is {architecture}, a transformer, and only convolutional networks can be fine-tuned so far")]
    NoConvNet {
        /// Of the file.
        architecture: &'static str,
    },
}

impl BackboneError {
    /// What to do next: ways out, of which one is enough.
    pub fn help(&self) -> Vec<String> {
        let one = |text: &str| vec![text.to_owned()];
        match self {
            Self::Refused { .. } | Self::Unsupported { .. } => {
                one("save the weights alone: torch.save(model.state_dict(), path), or \
                 safetensors.torch.save_file")
            }
            Self::NotWeights { .. } => one("name a safetensors file, or one of torch.save"),
            Self::Unknown { .. } => one("mentor backbones lists the networks"),
            Self::Damaged { .. } => one("fetch the file again"),
            Self::OtherArchitecture { .. } => one("leave --architecture out"),
            _ => Vec::new(),
        }
    }
}

fn and_more(count: usize) -> String {
    if count > 1 { format!(", nor have {} others", count - 1) } else { String::new() }
}
