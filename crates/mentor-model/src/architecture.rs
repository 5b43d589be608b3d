//! The names of the network families: parsing, printing, and the catalogue.

use std::fmt;
use std::str::FromStr;

use crate::ModelError;

/// A network by name. [`FromStr`] and [`fmt::Display`] are inverse to each other, but that the short name `vit` is read
/// and its long form `vit-4-192-4` written.
///
/// ```
/// use mentor_model::Architecture;
///
/// let architecture: Architecture = "wrn-16-2".parse()?;
/// assert_eq!(architecture, Architecture::WideResNet { depth: 16, width: 2 });
/// assert_eq!(architecture.to_string(), "wrn-16-2");
///
/// let refused = "wrn-15-2".parse::<Architecture>().unwrap_err();
/// assert!(refused.to_string().contains("6n+4"));
/// # Ok::<(), mentor_model::ModelError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Architecture {
    /// `linear`: scores = x W + b.
    Linear,
    /// `mlp:1200,1200`: fully connected layers with ReLU.
    Mlp {
        /// Number of units of each hidden layer.
        hidden: Vec<usize>,
    },
    /// `cnn`: three convolutions and one hidden layer, without normalisation; `cnn:wide`: twice its channels and units.
    Cnn {
        /// Whether it is `cnn:wide`.
        wide: bool,
    },
    /// `resnet-20` and its kin (6n+2, He et al. 2016, for small images), `resnet-18` and `resnet-34`.
    ResNet {
        /// Number of layers with weights.
        depth: usize,
    },
    /// `wrn-16-2`: wide residual network (6n+4, Zagoruyko and Komodakis 2016).
    WideResNet {
        /// Number of layers with weights.
        depth: usize,
        /// Widening factor.
        width: usize,
    },
    /// `vit-4-192-4`, for short `vit`: vision transformer (Dosovitskiy et al. 2021).
    Vit {
        /// Side of a patch in pixels.
        patch: usize,
        /// Values of a token, a multiple of 64: each head has 64.
        width: usize,
        /// Number of blocks.
        depth: usize,
    },
}

/// One line of the catalogue of families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
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
}

/// All families, the simplest first.
pub fn catalogue() -> &'static [Family] {
    &CATALOGUE
}

static CATALOGUE: [Family; 7] = [
    Family {
        pattern: "linear",
        description: "scores = x W + b, the linear classifier; starts at W = 0",
        examples: &["linear"],
        dropout: None,
        stochastic_depth: false,
    },
    Family {
        pattern: "mlp:H1,H2,…",
        description: "fully connected layers of H1, H2, … units with ReLU",
        examples: &["mlp:800,800", "mlp:1200,1200"],
        dropout: Some("after each hidden layer"),
        stochastic_depth: false,
    },
    Family {
        pattern: "cnn, cnn:wide",
        description: "three 3x3 convolutions (32, 64, 128), two max-pools, 256 units; twice as many in the wide one",
        examples: &["cnn", "cnn:wide"],
        dropout: Some("before the classifier"),
        stochastic_depth: false,
    },
    Family {
        pattern: "resnet-N, N = 6n+2",
        description: "residual network for small images (He et al. 2016), 16-32-64 channels",
        examples: &["resnet-20", "resnet-32", "resnet-56"],
        dropout: Some("before the classifier"),
        stochastic_depth: true,
    },
    Family {
        pattern: "resnet-18, resnet-34",
        description: "residual network with 64-128-256-512 channels (He et al. 2016), small stem below 64 px",
        examples: &["resnet-18", "resnet-34"],
        dropout: Some("before the classifier"),
        stochastic_depth: true,
    },
    Family {
        pattern: "wrn-D-K, D = 6n+4",
        description: "wide residual network of depth D and width K (Zagoruyko and Komodakis 2016)",
        examples: &["wrn-16-2", "wrn-28-2", "wrn-28-10"],
        dropout: Some("between the two convolutions of a block"),
        stochastic_depth: true,
    },
    Family {
        pattern: "vit-P-D-L, D = 64n",
        description: "vision transformer of L blocks, patches of PxP, D values a token (Dosovitskiy et al. 2021)",
        examples: &["vit-4-192-4"],
        dropout: Some("after the positions and each dense layer but that of queries, keys and values"),
        stochastic_depth: true,
    },
];

/// Values of a head, as in all networks of the paper; `vit-4-192-4` has three heads.
pub(crate) const HEAD_WIDTH: usize = 64;
/// Bounds that keep a typing error from becoming an attempt to allocate all memory.
const MAX_HIDDEN_LAYERS: usize = 64;
const MAX_UNITS: usize = 1 << 20;
const MAX_DEPTH: usize = 1202;
const MAX_WIDTH: usize = 64;
const MAX_PATCH: usize = 1 << 10;
const MAX_TOKEN_WIDTH: usize = 1 << 14;

impl Architecture {
    /// The least height and width of the images.
    pub fn min_side(&self) -> usize {
        match self {
            Self::Linear | Self::Mlp { .. } => 1,
            Self::Cnn { .. } => 4,
            Self::ResNet { .. } | Self::WideResNet { .. } => 8,
            Self::Vit { patch, .. } => *patch,
        }
    }

    /// The number that must divide the images' height and width, for networks of patches.
    pub fn patch(&self) -> Option<usize> {
        match self {
            Self::Vit { patch, .. } => Some(*patch),
            _ => None,
        }
    }

    /// Whether dropout has a place to act.
    pub fn has_dropout(&self) -> bool {
        !matches!(self, Self::Linear)
    }

    /// Whether batch normalisation mixes the samples of a batch.
    pub fn has_batch_norm(&self) -> bool {
        matches!(self, Self::ResNet { .. } | Self::WideResNet { .. })
    }

    /// Whether stochastic depth has residual blocks to skip.
    pub fn has_stochastic_depth(&self) -> bool {
        matches!(self, Self::ResNet { .. } | Self::WideResNet { .. } | Self::Vit { .. })
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linear => f.write_str("linear"),
            Self::Mlp { hidden } => {
                let units: Vec<String> = hidden.iter().map(usize::to_string).collect();
                write!(f, "mlp:{}", units.join(","))
            }
            Self::Cnn { wide } => f.write_str(if *wide { "cnn:wide" } else { "cnn" }),
            Self::ResNet { depth } => write!(f, "resnet-{depth}"),
            Self::WideResNet { depth, width } => write!(f, "wrn-{depth}-{width}"),
            Self::Vit { patch, width, depth } => write!(f, "vit-{patch}-{width}-{depth}"),
        }
    }
}

impl FromStr for Architecture {
    type Err = ModelError;

    fn from_str(name: &str) -> Result<Self, ModelError> {
        let invalid = |problem: String| ModelError::InvalidArchitecture { name: name.to_string(), problem };
        match name {
            "linear" => return Ok(Self::Linear),
            "cnn" => return Ok(Self::Cnn { wide: false }),
            "cnn:wide" => return Ok(Self::Cnn { wide: true }),
            "vit" => return Ok(Self::Vit { patch: 4, width: 192, depth: 4 }),
            "mlp" => return Err(invalid("hidden layers are missing, as in mlp:1200,1200".into())),
            "resnet" => return Err(invalid("the depth is missing, as in resnet-20".into())),
            "wrn" => return Err(invalid("depth and width are missing, as in wrn-16-2".into())),
            _ => {}
        }
        if let Some(units) = name.strip_prefix("mlp:") {
            return parse_hidden(units).map(|hidden| Self::Mlp { hidden }).map_err(invalid);
        }
        if let Some(depth) = name.strip_prefix("resnet-") {
            return parse_resnet_depth(depth).map(|depth| Self::ResNet { depth }).map_err(invalid);
        }
        if let Some(numbers) = name.strip_prefix("wrn-") {
            return parse_wide(numbers)
                .map(|(depth, width)| Self::WideResNet { depth, width })
                .map_err(invalid);
        }
        if let Some(numbers) = name.strip_prefix("vit-") {
            return parse_vit(numbers).map_err(invalid);
        }
        match spelling(name).map(|spelt| (spelt.parse::<Self>(), spelt)) {
            // `resnet50` means a network that is not offered, and the reason says which are.
            Some((Err(ModelError::InvalidArchitecture { problem, .. }), _)) => Err(invalid(problem)),
            Some((Ok(_), meant)) => {
                Err(ModelError::UnknownArchitecture { name: name.to_string(), meant: Some(meant) })
            }
            _ => Err(ModelError::UnknownArchitecture { name: name.to_string(), meant: nearest(name) }),
        }
    }
}

/// The name as it is spelt here, if it is spelt otherwise: `ResNet18` and `resnet_18` are `resnet-18`, `wrn16x2` is `wrn-16-2`.
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

fn parse_hidden(units: &str) -> Result<Vec<usize>, String> {
    let hidden: Vec<usize> = units
        .split(',')
        .map(|unit| {
            parse_number(unit, "a number of units", MAX_UNITS)
                .map_err(|problem| format!("{problem}; an example is mlp:1200,1200"))
        })
        .collect::<Result<_, _>>()?;
    if hidden.len() > MAX_HIDDEN_LAYERS {
        return Err(format!("{} hidden layers, at most {MAX_HIDDEN_LAYERS} are allowed", hidden.len()));
    }
    Ok(hidden)
}

fn parse_resnet_depth(depth: &str) -> Result<usize, String> {
    let depth = parse_number(depth, "the depth", MAX_DEPTH)?;
    match depth {
        18 | 34 => Ok(depth),
        // 50 and 152 happen to be 6n+2, yet everybody means the bottleneck networks by these names.
        50 | 101 | 152 => {
            Err("bottleneck networks are not offered; use resnet-34, or resnet-56 or resnet-110 \
             for small images"
                .into())
        }
        _ if depth >= 8 && depth % 6 == 2 => Ok(depth),
        _ => Err("the depth must be 6n+2 (8, 14, 20, 32, 44, 56, 110, …), 18 or 34".into()),
    }
}

fn parse_wide(numbers: &str) -> Result<(usize, usize), String> {
    let (depth, width) =
        numbers.split_once('-').ok_or_else(|| "depth and width are needed, as in wrn-16-2".to_string())?;
    let depth = parse_number(depth, "the depth", MAX_DEPTH)?;
    let width = parse_number(width, "the width", MAX_WIDTH)?;
    if depth < 10 || depth % 6 != 4 {
        return Err("the depth must be 6n+4 (10, 16, 22, 28, 40, …), as in wrn-16-2".into());
    }
    Ok((depth, width))
}

fn parse_vit(numbers: &str) -> Result<Architecture, String> {
    let missing = || "patch, width and depth are needed, as in vit-4-192-4".to_string();
    let (patch, rest) = numbers.split_once('-').ok_or_else(missing)?;
    let (width, depth) = rest.split_once('-').ok_or_else(missing)?;
    let patch = parse_number(patch, "the patch", MAX_PATCH)?;
    let width = parse_number(width, "the width", MAX_TOKEN_WIDTH)?;
    let depth = parse_number(depth, "the depth", MAX_DEPTH)?;
    if !width.is_multiple_of(HEAD_WIDTH) {
        return Err(format!(
            "the width must be a multiple of {HEAD_WIDTH}, the width of a head, as in vit-4-192-4"
        ));
    }
    Ok(Architecture::Vit { patch, width, depth })
}

/// A number in `1..=max`, written in the one way that [`fmt::Display`] writes it.
fn parse_number(text: &str, what: &str, max: usize) -> Result<usize, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let number = if digits { text.parse::<usize>().ok() } else { None };
    number
        .filter(|number| (1..=max).contains(number))
        .ok_or_else(|| format!("{what} must be a whole number from 1 to {max}, not `{text}`"))
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
        let name = format!("mlp:{}", vec!["4"; MAX_HIDDEN_LAYERS + 1].join(","));
        assert!(name.parse::<Architecture>().unwrap_err().to_string().contains("at most 64"));
    }
}
