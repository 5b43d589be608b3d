//! How the parts of inverted residuals are called in each layout.

use super::layout::Layout;

/// Which block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) stage: usize,
    pub(crate) within: usize,
    /// Of all blocks.
    pub(crate) index: usize,
    /// Whether it begins with a convolution to more channels.
    pub(crate) expands: bool,
}

/// Names of a convolution and of the normalisation after it.
type Names = (String, String);

fn pair(convolution: impl Into<String>, norm: impl Into<String>) -> Names {
    (convolution.into(), norm.into())
}

impl Place {
    fn timm(self) -> String {
        format!("blocks.{}.{}", self.stage, self.within)
    }

    /// torchvision's MobileNets number their blocks through, its EfficientNets by stage.
    fn torchvision(self, layout: Layout) -> String {
        match layout {
            Layout::TorchvisionEfficientNet => format!("features.{}.{}.block", self.stage + 1, self.within),
            _ => format!("features.{}.block", self.index + 1),
        }
    }

    /// Transformers' first block is part of its stem.
    fn transformers(self) -> String {
        match self.index {
            0 => "conv_stem".to_owned(),
            index => format!("layer.{}", index - 1),
        }
    }
}

fn transformers(part: &str) -> Names {
    pair(format!("{part}.convolution"), format!("{part}.normalization"))
}

pub(crate) fn stem(layout: Layout) -> Names {
    match layout {
        Layout::EfficientNetPytorch => pair("_conv_stem", "_bn0"),
        Layout::HuggingFace => transformers("conv_stem.first_conv"),
        Layout::Timm | Layout::Original => pair("conv_stem", "bn1"),
        _ => pair("features.0.0", "features.0.1"),
    }
}

/// The first convolution of a block that expands.
pub(crate) fn expand(layout: Layout, place: Place) -> Names {
    let index = place.index;
    match layout {
        Layout::EfficientNetPytorch => {
            pair(format!("_blocks.{index}._expand_conv"), format!("_blocks.{index}._bn0"))
        }
        Layout::HuggingFace => transformers(&format!("{}.expand_1x1", place.transformers())),
        Layout::Timm | Layout::Original => {
            pair(format!("{}.conv_pw", place.timm()), format!("{}.bn1", place.timm()))
        }
        Layout::TorchvisionV2 => {
            let conv = format!("features.{}.conv.0", index + 1);
            pair(format!("{conv}.0"), format!("{conv}.1"))
        }
        Layout::Flat => numbered(format!("features.{}.conv", index + 1), 0),
        Layout::Torchvision | Layout::TorchvisionEfficientNet => {
            numbered(format!("{}.0", place.torchvision(layout)), 0)
        }
    }
}

pub(crate) fn depthwise(layout: Layout, place: Place) -> Names {
    let (index, after) = (place.index, usize::from(place.expands));
    match layout {
        Layout::EfficientNetPytorch => {
            pair(format!("_blocks.{index}._depthwise_conv"), format!("_blocks.{index}._bn1"))
        }
        Layout::HuggingFace => transformers(&format!("{}.conv_3x3", place.transformers())),
        Layout::Timm | Layout::Original => {
            pair(format!("{}.conv_dw", place.timm()), format!("{}.bn{}", place.timm(), after + 1))
        }
        Layout::TorchvisionV2 => numbered(format!("features.{}.conv.{after}", index + 1), 0),
        Layout::Flat => numbered(format!("features.{}.conv", index + 1), 3 * after),
        Layout::Torchvision | Layout::TorchvisionEfficientNet => {
            numbered(format!("{}.{after}", place.torchvision(layout)), 0)
        }
    }
}

/// The two layers of squeeze-and-excitation.
pub(crate) fn squeeze(layout: Layout, place: Place) -> [String; 2] {
    let (index, after) = (place.index, usize::from(place.expands));
    match layout {
        Layout::EfficientNetPytorch => {
            ["_se_reduce", "_se_expand"].map(|part| format!("_blocks.{index}.{part}"))
        }
        Layout::Torchvision | Layout::TorchvisionEfficientNet => {
            ["fc1", "fc2"].map(|part| format!("{}.{}.{part}", place.torchvision(layout), after + 1))
        }
        _ => ["conv_reduce", "conv_expand"].map(|part| format!("{}.se.{part}", place.timm())),
    }
}

/// The last convolution of a block.
pub(crate) fn project(layout: Layout, place: Place, is_squeezed: bool) -> Names {
    let (index, after) = (place.index, usize::from(place.expands));
    match layout {
        Layout::EfficientNetPytorch => {
            pair(format!("_blocks.{index}._project_conv"), format!("_blocks.{index}._bn2"))
        }
        Layout::HuggingFace => transformers(&format!("{}.reduce_1x1", place.transformers())),
        Layout::Timm | Layout::Original => {
            let name = if place.expands { "conv_pwl" } else { "conv_pw" };
            pair(format!("{}.{name}", place.timm()), format!("{}.bn{}", place.timm(), after + 2))
        }
        Layout::TorchvisionV2 => numbered(format!("features.{}.conv", index + 1), after + 1),
        Layout::Flat => numbered(format!("features.{}.conv", index + 1), 3 * after + 3),
        Layout::Torchvision | Layout::TorchvisionEfficientNet => {
            let at = after + 1 + usize::from(is_squeezed);
            numbered(format!("{}.{at}", place.torchvision(layout)), 0)
        }
    }
}

/// The convolution after the blocks.
pub(crate) fn last(layout: Layout, num_blocks: usize, is_v3: bool) -> Names {
    match layout {
        Layout::EfficientNetPytorch => pair("_conv_head", "_bn1"),
        Layout::HuggingFace => transformers("conv_1x1"),
        Layout::Timm | Layout::Original if is_v3 => pair("blocks.6.0.conv", "blocks.6.0.bn1"),
        Layout::Timm | Layout::Original => pair("conv_head", "bn2"),
        // Seven stages stand before it.
        Layout::TorchvisionEfficientNet => pair("features.8.0", "features.8.1"),
        _ => numbered(format!("features.{}", num_blocks + 1), 0),
    }
}

/// MobileNetV3's dense layer after the mean, and whether it is a convolution.
pub(crate) fn after_pool(layout: Layout) -> (&'static str, bool) {
    match layout {
        Layout::Timm | Layout::Original => ("conv_head", true),
        _ => ("classifier.0", false),
    }
}

pub(crate) fn head(layout: Layout, is_v3: bool) -> &'static str {
    match layout {
        Layout::EfficientNetPytorch => "_fc",
        Layout::Timm | Layout::Original | Layout::HuggingFace => "classifier",
        _ if is_v3 => "classifier.3",
        _ => "classifier.1",
    }
}

/// Two that follow each other in a sequence.
fn numbered(sequence: String, at: usize) -> Names {
    pair(format!("{sequence}.{at}"), format!("{sequence}.{}", at + 1))
}
