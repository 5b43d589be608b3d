//! Which network and whose names: from a few tensors that one layout alone has.

use super::layout::Layout;
use crate::architecture::{ARCHITECTURES, Architecture, Family};
use crate::error::BackboneError;
use crate::tensor::Tensors;

/// What a file's tensors are of.
#[derive(Debug)]
pub(crate) struct Recognised {
    pub(crate) layout: Layout,
    /// Networks that the tensors fit, which differ in what no tensor shows: the likeliest first.
    pub(crate) candidates: Vec<&'static Architecture>,
}

/// What wrappers put before every name.
const PREFIXES: [&str; 10] = [
    "module.",
    "_orig_mod.",
    "model.",
    "backbone.",
    "resnet.",
    "vit.",
    "deit.",
    "dinov2.",
    "dinov2_with_registers.",
    "mobilenet_v2.",
];
/// What has no such prefix beside a network that has one: heads, and the projection of DINO.
const HEADS: [&str; 5] = ["head.", "classifier.", "cls_classifier.", "distillation_classifier.", "fc."];

/// The tensors without what a wrapper put before their names.
pub(crate) fn without_prefix(mut tensors: Tensors) -> Tensors {
    for prefix in PREFIXES {
        let is_head = |name: &str| HEADS.iter().any(|head| name.starts_with(head));
        let mut has_prefix = tensors.keys().filter(|name| name.starts_with(prefix)).peekable();
        if has_prefix.peek().is_some() && tensors.keys().all(|name| name.starts_with(prefix) || is_head(name))
        {
            // DINO's projection is no head of classes.
            let is_dino = prefix == "backbone.";
            let renamed = tensors.into_iter().filter_map(|(name, tensor)| match name.strip_prefix(prefix) {
                Some(name) => Some((name.to_owned(), tensor)),
                None if is_dino => None,
                None => Some((name, tensor)),
            });
            tensors = renamed.collect();
        }
    }
    tensors
}

impl Recognised {
    /// What these tensors are of.
    pub(crate) fn of(tensors: &Tensors) -> Result<Self, BackboneError> {
        let has = |name: &str| tensors.contains_key(name);
        let found = |layout, names: Vec<&str>| {
            let candidates = names.into_iter().filter_map(Architecture::find).collect();
            Ok(Self { layout, candidates })
        };
        if has("conv1.weight") && has("layer1.0.conv1.weight") {
            return found(
                Layout::Timm,
                vec![resnet(tensors, "layer1.0.conv3.weight", |stage, block| {
                    format!("layer{}.{block}.conv1.weight", stage + 1)
                })?],
            );
        }
        if has("conv1.0.weight") && has("layer1.0.conv1.weight") {
            return unknown("a residual network with a deep stem, of timm's resnet…d or …s");
        }
        if has("embedder.embedder.convolution.weight") {
            let bottleneck = "encoder.stages.0.layers.0.layer.2.convolution.weight";
            return found(
                Layout::HuggingFace,
                vec![resnet(tensors, bottleneck, |stage, block| {
                    format!("encoder.stages.{stage}.layers.{block}.layer.0.convolution.weight")
                })?],
            );
        }
        if has("patch_embed.proj.weight") || has("embeddings.patch_embeddings.projection.weight") {
            return transformer(tensors);
        }
        if has("conv_stem.weight") && has("blocks.0.0.conv_dw.weight") {
            let names = if has("blocks.0.0.se.conv_reduce.weight") {
                vec!["efficientnet-b0", "tf-efficientnet-b0"]
            } else if has("blocks.2.0.se.conv_reduce.weight") {
                vec!["mobilenetv3-large", "tf-mobilenetv3-large"]
            } else if kernel(tensors, "blocks.2.0.conv_dw.weight") == Some(3) {
                vec!["mobilenetv2"]
            } else {
                let blocks = count(|block| has(&format!("blocks.1.{block}.conv_dw.weight")));
                let fifth = count(|block| has(&format!("blocks.5.{block}.conv_dw.weight")));
                lite(tensors, [blocks, fifth], "blocks.2.0.conv_pwl.weight", ["", "tf-"])?
            };
            return found(Layout::Timm, names);
        }
        if has("_conv_stem.weight") && has("_blocks.0._depthwise_conv.weight") {
            if has("_blocks.0._se_reduce.weight") {
                return found(Layout::EfficientNetPytorch, vec!["tf-efficientnet-b0"]);
            }
            // The second stage begins after one block, and the last but one ends before one.
            let total = count(|block| has(&format!("_blocks.{block}._depthwise_conv.weight")));
            let second = count(|block| {
                shape0(tensors, &format!("_blocks.{}._project_conv.weight", block + 1))
                    == shape0(tensors, "_blocks.1._project_conv.weight")
            });
            let last = shape0(tensors, &format!("_blocks.{}._project_conv.weight", total.saturating_sub(2)));
            let fifth = count(|block| {
                shape0(
                    tensors,
                    &format!("_blocks.{}._project_conv.weight", (total - 2).saturating_sub(block)),
                ) == last
                    && block + 2 < total
            });
            let first = format!("_blocks.{}._project_conv.weight", second + 1);
            let names = lite(tensors, [second, fifth], &first, ["tf-", "tf-"])?;
            return found(Layout::EfficientNetPytorch, names[..1].to_vec());
        }
        if has("conv_stem.first_conv.convolution.weight") {
            return found(Layout::HuggingFace, vec!["tf-mobilenetv2"]);
        }
        if has("features.0.0.weight") {
            if has("features.1.conv.0.0.weight") {
                return found(Layout::TorchvisionV2, vec!["mobilenetv2"]);
            }
            if has("features.1.conv.0.weight") {
                return found(Layout::Flat, vec!["mobilenetv2"]);
            }
            if has("features.1.block.0.0.weight") {
                return found(Layout::Torchvision, vec!["mobilenetv3-large"]);
            }
            if has("features.1.0.block.0.0.weight") {
                return found(Layout::TorchvisionEfficientNet, vec!["efficientnet-b0"]);
            }
        }
        let first: Vec<&str> = tensors.keys().map(String::as_str).take(3).collect();
        unknown(&format!("its {} tensors begin with {}", tensors.len(), first.join(", ")))
    }

    /// The network that `wanted` names, if the tensors can be of it.
    pub(crate) fn choose(&self, wanted: &str) -> Result<&'static Architecture, BackboneError> {
        self.candidates.iter().find(|candidate| candidate.name == wanted).copied().ok_or_else(|| {
            let found: Vec<&str> = self.candidates.iter().map(|candidate| candidate.name).collect();
            BackboneError::OtherArchitecture { wanted: wanted.to_owned(), found: found.join(" or ") }
        })
    }
}

fn unknown<T>(what: &str) -> Result<T, BackboneError> {
    Err(BackboneError::Unknown { what: what.to_owned() })
}

/// How many numbers from 0 on have something.
fn count(has: impl Fn(usize) -> bool) -> usize {
    (0..1000).take_while(|&at| has(at)).count()
}

fn shape0(tensors: &Tensors, name: &str) -> Option<usize> {
    tensors.get(name)?.shape.first().copied()
}

fn kernel(tensors: &Tensors, name: &str) -> Option<usize> {
    tensors.get(name)?.shape.get(2).copied()
}

fn resnet(
    tensors: &Tensors,
    bottleneck: &str,
    name: impl Fn(usize, usize) -> String,
) -> Result<&'static str, BackboneError> {
    let counts = [0, 1, 2, 3].map(|stage| count(|block| tensors.contains_key(&name(stage, block))));
    let has_bottleneck = tensors.contains_key(bottleneck);
    let known = ARCHITECTURES.iter().find(|known| {
        let wanted = (counts, has_bottleneck);
        matches!(known.family, Family::ResNet { blocks, bottleneck } if (blocks, bottleneck) == wanted)
    });
    match known {
        Some(known) => Ok(known.name),
        None => {
            let kind = if has_bottleneck { "bottleneck" } else { "basic" };
            unknown(&format!("a residual network of {counts:?} {kind} blocks"))
        }
    }
}

/// An EfficientNet-Lite by its repetitions and the width of its third stage.
fn lite(
    tensors: &Tensors,
    repeats: [usize; 2],
    third: &str,
    prefixes: [&str; 2],
) -> Result<Vec<&'static str>, BackboneError> {
    let width = shape0(tensors, third);
    let size = match (repeats, width) {
        ([2, 4], _) => 0,
        ([3, 5], Some(40)) => 1,
        ([3, 5], _) => 2,
        ([3, 6], _) => 3,
        ([4, 8], _) => 4,
        _ => return unknown(&format!("inverted residuals with stages of {repeats:?} blocks")),
    };
    let named = |prefix: &str| {
        let name = format!("{prefix}efficientnet-lite{size}");
        ARCHITECTURES.iter().find(|known| known.name == name).map(|known| known.name)
    };
    Ok(prefixes.into_iter().filter_map(named).collect())
}

fn transformer(tensors: &Tensors) -> Result<Recognised, BackboneError> {
    let has = |name: &str| tensors.contains_key(name);
    let is_transformers = has("embeddings.patch_embeddings.projection.weight");
    let patches = if is_transformers {
        "embeddings.patch_embeddings.projection.weight"
    } else {
        "patch_embed.proj.weight"
    };
    let shape = tensors.get(patches).map_or(&[][..], |tensor| &tensor.shape[..]);
    let &[width, _, patch, _] = shape else {
        return unknown("a transformer whose patches are no convolution");
    };
    let has_scale = has("blocks.0.ls1.gamma") || has("encoder.layer.0.layer_scale1.lambda1");
    let has_registers =
        ["reg_token", "register_tokens", "embeddings.register_tokens"].iter().any(|name| has(name));
    let is_distilled = has("dist_token") || has("embeddings.distillation_token");
    let fits = |known: &&Architecture| match &known.family {
        Family::Vit(vit) => {
            vit.width == width
                && vit.patch == patch
                && vit.layer_scale == has_scale
                && vit.distilled == is_distilled
                && (vit.registers > 0) == has_registers
        }
        _ => false,
    };
    let mut candidates: Vec<&Architecture> = ARCHITECTURES.iter().filter(fits).collect();
    if candidates.is_empty() {
        return unknown(&format!("a transformer of width {width} with patches of {patch} pixels"));
    }
    // Networks that learned without labels have no head.
    if !["head.bias", "classifier.bias"].iter().any(|name| has(name)) {
        candidates.sort_by_key(|known| !known.name.starts_with("dino"));
    }
    let layout = if is_transformers {
        Layout::HuggingFace
    } else if has("mask_token") || has("register_tokens") {
        Layout::Original
    } else {
        Layout::Timm
    };
    Ok(Recognised { layout, candidates })
}
