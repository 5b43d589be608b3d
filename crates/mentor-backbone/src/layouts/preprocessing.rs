//! What an image must be before the network sees it: it belongs to the weights, and no tensor shows it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::layout::Layout;
use crate::architecture::{Architecture, Family, Last};

/// How pixels between pixels are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// A triangle, as wide as the step where the image shrinks.
    Bilinear,
    /// Keys' cubic with a = -0.5, as wide as twice the step where the image shrinks.
    Bicubic,
}

/// What is done to an image: the shorter side to `size / crop`, the middle `size × size`, `(x / 255 - mean) /
/// std`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackbonePreprocessing {
    /// Pixels of a side.
    pub size: usize,
    /// The share of the shorter side that is kept.
    pub crop: f64,
    /// How the image is resized.
    pub filter: Filter,
    /// Of red, green and blue in [0, 1].
    pub mean: [f32; 3],
    /// Of red, green and blue in [0, 1].
    pub std: [f32; 3],
}

const IMAGENET: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
const HALF: [[f32; 3]; 2] = [[0.5; 3]; 2];

/// What weights of this network in this layout were trained with, as published by those who name them so.
pub(crate) fn usual(architecture: &Architecture, layout: Layout) -> BackbonePreprocessing {
    use Filter::{Bicubic, Bilinear};
    let size = architecture.input;
    let (crop, filter, [mean, std]) = match &architecture.family {
        Family::ResNet { .. } if layout == Layout::HuggingFace => (0.875, Bicubic, IMAGENET),
        Family::ResNet { .. } => (0.875, Bilinear, IMAGENET),
        Family::Vit(vit) if vit.half => (0.9, Bicubic, HALF),
        Family::Vit(_) if architecture.name.starts_with("deit") => (0.9, Bicubic, IMAGENET),
        Family::Vit(_) => (0.875, Bicubic, IMAGENET),
        Family::Inverted(_) if architecture.name.contains("-lite") => {
            // 32 pixels are cut off, in rounded shares.
            let crop = match size {
                224 => 0.875,
                240 => 0.882,
                260 => 0.89,
                300 => 0.904,
                _ => 0.92,
            };
            let is_tensorflow = architecture.name.starts_with("tf-");
            let filter = if is_tensorflow && size >= 300 { Bilinear } else { Bicubic };
            (crop, filter, if is_tensorflow { HALF } else { IMAGENET })
        }
        Family::Inverted(network) if network.last == Last::After && network.tensorflow => {
            (0.875, Bilinear, HALF)
        }
        Family::Inverted(_) if architecture.name == "tf-mobilenetv2" => (0.875, Bilinear, HALF),
        Family::Inverted(_) if architecture.name.ends_with("-b0") || layout == Layout::Timm => {
            (0.875, Bicubic, IMAGENET)
        }
        Family::Inverted(_) => (0.875, Bilinear, IMAGENET),
    };
    BackbonePreprocessing { size, crop, filter, mean, std }
}

/// What the `config.json` of timm beside a file of weights says.
#[derive(Debug, Deserialize)]
pub(crate) struct TimmConfig {
    pub(crate) architecture: Option<String>,
    pretrained_cfg: Option<TimmPretrained>,
}

#[derive(Debug, Deserialize)]
struct TimmPretrained {
    input_size: Option<[usize; 3]>,
    crop_pct: Option<f64>,
    interpolation: Option<String>,
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
}

/// Bytes of a `config.json`.
const MAX_CONFIG: u64 = 1 << 20;

impl TimmConfig {
    /// That of the folder in which `weights` lie, if there is one that can be read.
    pub(crate) fn beside(weights: &Path) -> Option<Self> {
        let path = weights.with_file_name("config.json");
        let metadata = std::fs::metadata(&path).ok()?;
        if !metadata.is_file() || metadata.len() > MAX_CONFIG {
            return None;
        }
        let config: Self = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
        config.architecture.is_some().then_some(config)
    }

    /// Puts what it says in the place of what is usual; what is out of range is passed over.
    pub(crate) fn apply(&self, preprocessing: &mut BackbonePreprocessing) {
        let Some(config) = &self.pretrained_cfg else { return };
        if let Some([3, height, width]) = config.input_size
            && height == width
            && (32..=1024).contains(&height)
        {
            preprocessing.size = height;
        }
        if let Some(crop) = config.crop_pct
            && crop > 0.1
            && crop <= 1.0
        {
            preprocessing.crop = crop;
        }
        match config.interpolation.as_deref() {
            Some("bilinear") => preprocessing.filter = Filter::Bilinear,
            Some("bicubic") => preprocessing.filter = Filter::Bicubic,
            _ => {}
        }
        if let Some(mean) = config.mean
            && mean.iter().all(|mean| (0.0..=1.0).contains(mean))
        {
            preprocessing.mean = mean;
        }
        if let Some(std) = config.std
            && std.iter().all(|std| *std > 0.0 && *std <= 1.0)
        {
            preprocessing.std = std;
        }
    }
}
