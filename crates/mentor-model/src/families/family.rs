//! What a family says of itself; each file of this folder holds one such constant, or two.

use std::fmt;

use crate::ModelSpec;
use crate::init::Init;
use crate::network::erased::ErasedNetwork;

/// A family of networks: one line of the catalogue, and how names of it are read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Family {
    /// What names of the family begin with, such as `wrn`.
    pub name: &'static str,
    /// How names of the family are formed.
    pub pattern: &'static str,
    /// What it is, in one line.
    pub description: &'static str,
    /// Names worth listing, each of which parses.
    pub examples: &'static [&'static str],
    /// Where dropout acts, if anywhere.
    pub dropout: Option<&'static str>,
    /// Whether the family has residual blocks, which stochastic depth can skip.
    pub stochastic_depth: bool,
    /// Whether batch normalisation mixes the samples of a batch.
    pub batch_norm: bool,
    /// Whether each pixel has weights of its own; other families share theirs over the image.
    pub is_dense: bool,
    /// The learning rate that suits batches of 128 images and the softmax loss.
    pub learning_rate: f64,
    /// How the list of an error shows it; empty if another line of the catalogue stands for it.
    pub(crate) summary: &'static str,
    /// What a name of the family means: `None` if it is none, else the network or what is wrong with the
    /// name.
    pub(crate) parse: fn(&str) -> Option<Parsed>,
}

/// More layers than this are taken for a typing error.
pub(crate) const MAX_DEPTH: usize = 1202;

/// A name of the family as its network, or what is wrong with the name.
pub(crate) type Parsed = Result<Box<dyn Shape>, String>;

/// What a name says of its network: it prints as that name.
pub(crate) trait Shape: fmt::Debug + fmt::Display + Send + Sync {
    /// The least height and width of the images.
    fn min_side(&self) -> usize;

    /// The number that must divide the images' height and width.
    fn patch(&self) -> Option<usize> {
        None
    }

    /// The network, with first values that `init` draws.
    fn build(&self, spec: &ModelSpec, init: &mut Init<'_>) -> Box<dyn ErasedNetwork>;
}

/// The shape that `numbers` parsed to, behind a pointer.
pub(crate) fn shape<S: Shape + 'static>(parsed: Result<S, String>) -> Option<Parsed> {
    Some(parsed.map(|shape| Box::new(shape) as Box<dyn Shape>))
}

/// A number in `1..=max`, written in the one way that [`fmt::Display`] writes it.
pub(crate) fn parse_number(text: &str, what: &str, max: usize) -> Result<usize, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let number = if digits { text.parse::<usize>().ok() } else { None };
    number
        .filter(|number| (1..=max).contains(number))
        .ok_or_else(|| format!("{what} must be a whole number from 1 to {max}, not `{text}`"))
}
