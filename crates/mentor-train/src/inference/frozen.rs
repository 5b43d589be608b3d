//! The model of a pretrained network that stays as it is, with a linear head.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use mentor_backbone::{Backbone, BackboneError, BackbonePreprocessing, Filter};
use mentor_data::{ImageFormat, Preprocessing, Resize, ResizeFilter, shown_path};
use mentor_model::{Head, Model, ModelError, Network, Output, Pass};
use mentor_run::BackboneRecord;

use crate::inference::device::to_host;

/// What the name of a pretrained network follows in `model.json`: without it `resnet-18` is a network to be
/// trained.
const PREFIX: &str = "backbone:";

/// A pretrained network and a linear head. Only the head has parameters.
#[derive(Module, Debug)]
struct Frozen {
    #[module(skip)]
    body: Body,
    head: LinearHead,
}

/// y = x W + b.
#[derive(Module, Debug)]
pub(crate) struct LinearHead {
    /// `[D, C]`
    pub(crate) weight: Param<Tensor<2>>,
    /// `[C]`
    pub(crate) bias: Param<Tensor<1>>,
}

/// A network that only computes; clones share it.
#[derive(Clone)]
struct Body(Arc<Backbone>);

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.architecture.name)
    }
}

impl Network for Frozen {
    fn forward(&self, images: Tensor<4>, _: &Pass<'_>) -> Output {
        let ([batch, _, height, width], device) = (images.dims(), images.device());
        let pixels = to_host(images.permute([0, 2, 3, 1])); // [B, H, W, 3]
        let network = &self.body.0.network;
        let values = network.features(&pixels, [height, width]);
        let features =
            Tensor::<2>::from_data(TensorData::new(values, [batch, network.num_features()]), &device);
        let LinearHead { weight, bias } = &self.head;
        Output { head: mentor_kernels::linear(features.clone(), weight.val(), bias.val()), features }
    }
}

/// The model of `backbone` for `num_classes` classes, with a head `weight` `[D, C]` and `bias` `[C]`.
pub(crate) fn frozen_model(
    backbone: &Arc<Backbone>,
    num_classes: usize,
    (weight, bias): (Vec<f32>, Vec<f32>),
    device: &Device,
) -> Result<Model, ModelError> {
    let size = backbone.preprocessing.size;
    let weight = TensorData::new(weight, [backbone.network.num_features(), num_classes]);
    let bias = TensorData::new(bias, [num_classes]);
    let head = LinearHead {
        weight: Param::from_tensor(Tensor::from_data(weight, device)),
        bias: Param::from_tensor(Tensor::from_data(bias, device)),
    };
    let network = Frozen { body: Body(backbone.clone()), head };
    let name = format!("{PREFIX}{}", backbone.architecture.name);
    Model::custom(name, [3, size, size], Head::Classifier { num_classes }, network)
}

/// The model that a file describes, its head 0, on the network whose bytes are given.
///
/// # Errors
///
/// A sentence that says why the bytes are not that network.
pub(crate) fn described_model(
    record: &BackboneRecord,
    input: [usize; 3],
    head: Head,
    weights: &[u8],
    device: &Device,
) -> Result<Model, String> {
    let mut backbone = Backbone::from_bytes(weights, Some(&record.architecture))
        .map_err(|error: BackboneError| error.to_string())?;
    if backbone.weights_blake3.to_hex().as_str() != record.weights_blake3 {
        return Err("does not hold the weights that model.json names".to_owned());
    }
    let Head::Classifier { num_classes } = head else {
        return Err("holds a network of a classifier, and the model is none".to_owned());
    };
    let [_, height, width] = input;
    if height != width || !backbone.architecture.takes(height) {
        return Err(format!("holds a network that takes no images of {height}x{width}"));
    }
    // Whatever was beside the file when the run began, images are what model.json says.
    backbone.preprocessing.size = height;
    let values = backbone.network.num_features() * num_classes;
    let head = (vec![0.0; values], vec![0.0; num_classes]);
    frozen_model(&Arc::new(backbone), num_classes, head, device).map_err(|error| error.to_string())
}

/// What `model.json` says of a pretrained network.
pub(crate) fn record_of(backbone: &Backbone) -> BackboneRecord {
    BackboneRecord {
        architecture: backbone.architecture.name.to_owned(),
        weights_blake3: backbone.weights_blake3.to_hex().to_string(),
        source: backbone.architecture.source.to_owned(),
        licence: backbone.architecture.licence.to_owned(),
    }
}

/// What an image must be before the network sees it, in the terms of data sets.
pub(crate) fn preprocessing_of(backbone: &Backbone) -> Preprocessing {
    let BackbonePreprocessing { size, crop, filter, mean, std } = &backbone.preprocessing;
    let filter = match filter {
        Filter::Bilinear => ResizeFilter::Bilinear,
        Filter::Bicubic => ResizeFilter::Bicubic,
    };
    let resize = Resize::CenterShare { permille: (1000.0 * crop).round() as u16, filter };
    Preprocessing {
        format: ImageFormat { channels: 3, height: *size, width: *size, resize },
        mean: mean.to_vec(),
        std: std.to_vec(),
    }
}

/// Opens a file of weights.
///
/// # Errors
///
/// [`OpenError`], which names the file.
pub(crate) fn open(file: &Path) -> Result<Arc<Backbone>, OpenError> {
    let error = |error| OpenError { path: file.to_owned(), error: Box::new(error) };
    Backbone::open(file, None).map(Arc::new).map_err(error)
}

/// A file that holds no pretrained network.
#[derive(Debug, thiserror::Error)]
#[error("{}", said(path, error))]
pub struct OpenError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub error: Box<BackboneError>,
}

fn said(path: &Path, error: &BackboneError) -> String {
    match error {
        // It names the file.
        BackboneError::Io { .. } => error.to_string(),
        error => format!("{}: {error}", shown_path(path)),
    }
}
