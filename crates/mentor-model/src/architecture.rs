//! The names of the network families: parsing, printing, and what a network of a name needs.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::families::family::{Family, Shape};
use crate::families::{FAMILIES, linear};
use crate::init::Init;
use crate::network::erased::ErasedNetwork;
use crate::{ModelError, ModelSpec};

/// A network by name. [`FromStr`] and [`fmt::Display`] are inverse to each other, but that the short name
/// `vit` is read and its long form `vit-4-192-4` written.
///
/// ```
/// use mentor_model::Architecture;
///
/// let architecture: Architecture = "wrn-16-2".parse()?;
/// assert_eq!(architecture.family().name, "wrn");
/// assert_eq!(architecture.to_string(), "wrn-16-2");
///
/// let refused = "wrn-15-2".parse::<Architecture>().unwrap_err();
/// assert!(refused.to_string().contains("6n+4"));
/// # Ok::<(), mentor_model::ModelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Architecture {
    family: &'static Family,
    shape: Arc<dyn Shape>,
}

/// All families, the simplest first.
pub fn catalogue() -> &'static [Family] {
    FAMILIES
}

impl Architecture {
    /// `linear`, the linear classifier.
    pub fn linear() -> Self {
        Self { family: &linear::FAMILY, shape: Arc::new(linear::Shape) }
    }

    /// The family that the name belongs to.
    pub fn family(&self) -> &'static Family {
        self.family
    }

    /// The least height and width of the images.
    pub fn min_side(&self) -> usize {
        self.shape.min_side()
    }

    /// The number that must divide the images' height and width, for networks of patches.
    pub fn patch(&self) -> Option<usize> {
        self.shape.patch()
    }

    /// Whether it is the linear classifier.
    pub fn is_linear(&self) -> bool {
        self.family.name == linear::FAMILY.name
    }

    /// Whether each pixel has weights of its own; other networks share theirs over the image.
    pub fn is_dense(&self) -> bool {
        self.family.is_dense
    }

    /// Whether dropout has a place to act.
    pub fn has_dropout(&self) -> bool {
        self.family.dropout.is_some()
    }

    /// Whether batch normalisation mixes the samples of a batch.
    pub fn has_batch_norm(&self) -> bool {
        self.family.batch_norm
    }

    /// Whether stochastic depth has residual blocks to skip.
    pub fn has_stochastic_depth(&self) -> bool {
        self.family.stochastic_depth
    }

    /// The network, with first values that `init` draws.
    pub(crate) fn build(&self, spec: &ModelSpec, init: &mut Init<'_>) -> Box<dyn ErasedNetwork> {
        self.shape.build(spec, init)
    }
}

impl PartialEq for Architecture {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Architecture {}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shape.fmt(f)
    }
}

impl FromStr for Architecture {
    type Err = ModelError;

    fn from_str(name: &str) -> Result<Self, ModelError> {
        let invalid = |problem: String| ModelError::InvalidArchitecture { name: name.to_string(), problem };
        let parsed = FAMILIES.iter().find_map(|family| Some((family, (family.parse)(name)?)));
        if let Some((family, shape)) = parsed {
            return Ok(Self { family, shape: shape.map_err(invalid)?.into() });
        }
        let meant = match spelling(name).map(|spelt| (spelt.parse::<Self>(), spelt)) {
            // `resnet50` means a network that is not offered, and the reason says which are.
            Some((Err(ModelError::InvalidArchitecture { problem, .. }), _)) => return Err(invalid(problem)),
            Some((Ok(_), meant)) => Some(meant),
            _ => nearest(name),
        };
        let known: Vec<&str> =
            FAMILIES.iter().map(|family| family.summary).filter(|summary| !summary.is_empty()).collect();
        Err(ModelError::UnknownArchitecture { name: name.to_string(), meant, known: known.join(", ") })
    }
}

/// The name as it is spelt here, if it is spelt otherwise: `ResNet18` and `resnet_18` are `resnet-18`,
/// `wrn16x2` is `wrn-16-2`.
fn spelling(name: &str) -> Option<String> {
    let lower = name.trim().to_lowercase().replace(['_', ' '], "-");
    let (family, numbers) = ["resnet", "wrn", "wideresnet", "wide-resnet", "vit", "mlp"]
        .into_iter()
        .find_map(|family| Some((family, lower.strip_prefix(family)?)))
        .unwrap_or((lower.as_str(), ""));
    let numbers = numbers.trim_start_matches(['-', ':']);
    let spelt = match family {
        _ if numbers.is_empty() => family.to_owned(),
        "mlp" => format!("mlp:{}", numbers.replace('-', ",")),
        "wideresnet" | "wide-resnet" | "wrn" => format!("wrn-{}", numbers.replace('x', "-")),
        _ => format!("{family}-{numbers}"),
    };
    (spelt != name).then_some(spelt)
}

/// The name of the catalogue that differs from this one in the fewest letters, of which at most two.
fn nearest(name: &str) -> Option<String> {
    let examples = catalogue().iter().flat_map(|family| family.examples);
    let distances = examples.map(|example| (strsim::damerau_levenshtein(name, example), example));
    let (distance, example) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 2 && distance < name.len()).then(|| (*example).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_catalogue_parse_and_print_as_themselves() {
        for family in catalogue() {
            for name in family.examples {
                let architecture: Architecture = name.parse().unwrap();
                assert_eq!(&architecture.to_string(), name);
                assert_eq!(architecture.has_dropout(), family.dropout.is_some(), "{name}");
                assert_eq!(architecture.has_stochastic_depth(), family.stochastic_depth, "{name}");
            }
        }
    }

    #[test]
    fn impossible_names_are_refused_with_what_would_be_right() {
        for (name, expected) in [
            ("", "known: linear"),
            ("LINEAR", "did you mean linear? known: linear"),
            ("resnet18", "did you mean resnet-18?"),
            ("ResNet_20", "did you mean resnet-20?"),
            ("resent-18", "did you mean resnet-18?"),
            ("wrn28x10", "did you mean wrn-28-10?"),
            ("WideResNet-16-2", "did you mean wrn-16-2?"),
            ("mlp100", "did you mean mlp:100?"),
            ("linaer", "did you mean linear?"),
            ("resnet50", "use resnet-34"),
            ("resnet19", "6n+2"),
            ("efficientnet", "known: linear"),
            ("vgg-16", "wrn-16-2"),
            ("mlp", "mlp:1200,1200"),
            ("mlp:", "not ``"),
            ("mlp:10,", "mlp:1200,1200"),
            ("mlp:0", "from 1 to"),
            ("mlp:-5", "from 1 to"),
            ("mlp:99999999999999999999999", "from 1 to"),
            ("resnet-19", "6n+2"),
            ("resnet-2", "6n+2"),
            ("resnet-020", "from 1 to"),
            ("resnet-50", "bottleneck"),
            ("resnet-152", "bottleneck"),
            ("resnet-9999999", "from 1 to 1202"),
            ("wrn-16", "as in wrn-16-2"),
            ("wrn-15-2", "6n+4"),
            ("wrn-4-2", "6n+4"),
            ("wrn-16-0", "the width"),
            ("wrn-16-+2", "the width"),
            ("vit-4", "as in vit-4-192-4"),
            ("vit-4-192", "as in vit-4-192-4"),
            ("vit-0-192-4", "the patch"),
            ("vit-4-100-4", "a multiple of 64"),
            ("vit-4-192-0", "the depth"),
            ("vit-4-192-4-3", "the depth"),
        ] {
            let error = name.parse::<Architecture>().unwrap_err().to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
    }

    #[test]
    fn the_short_name_of_the_transformer_is_its_usual_size() {
        assert_eq!("vit".parse::<Architecture>().unwrap().to_string(), "vit-4-192-4");
    }

    #[test]
    fn hidden_layers_are_bounded() {
        let name = format!("mlp:{}", ["4"; 65].join(","));
        assert!(name.parse::<Architecture>().unwrap_err().to_string().contains("at most 64"));
    }
}
