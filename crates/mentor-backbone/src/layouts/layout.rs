//! Whose names the tensors have.

use crate::network::kernels::columns::{Padding, Window};

/// A dense layer.
pub(crate) const ONE_BY_ONE: Window = Window { kernel: 1, stride: 1, padding: Padding::Each(0) };

/// Who named the tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// timm; its residual networks have torchvision's names.
    Timm,
    /// torchvision's MobileNetV3 and residual networks.
    Torchvision,
    /// torchvision's MobileNetV2.
    TorchvisionV2,
    /// torchvision's EfficientNet.
    TorchvisionEfficientNet,
    /// MobileNetV2 with one sequence a block: torchvision before 0.5, and others.
    Flat,
    /// The packages `efficientnet_pytorch` and `efficientnet_lite_pytorch`.
    EfficientNetPytorch,
    /// Hugging Face's transformers.
    HuggingFace,
    /// The authors' own: DINOv2 as its repository saves it.
    Original,
}

/// All layouts.
const LAYOUTS: [(Layout, &str); 8] = [
    (Layout::Timm, "timm"),
    (Layout::Torchvision, "torchvision"),
    (Layout::TorchvisionV2, "torchvision, MobileNetV2"),
    (Layout::TorchvisionEfficientNet, "torchvision, EfficientNet"),
    (Layout::Flat, "flat MobileNetV2"),
    (Layout::EfficientNetPytorch, "efficientnet_pytorch"),
    (Layout::HuggingFace, "transformers"),
    (Layout::Original, "dinov2"),
];

impl Layout {
    /// For people.
    pub fn name(self) -> &'static str {
        LAYOUTS.iter().find(|(layout, _)| *layout == self).map_or("", |(_, name)| name)
    }

    /// The layout of that name.
    pub fn find(name: &str) -> Option<Self> {
        LAYOUTS.iter().find(|(_, known)| *known == name).map(|(layout, _)| *layout)
    }
}
