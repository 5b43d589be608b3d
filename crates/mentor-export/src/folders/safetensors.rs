//! Weights as safetensors, with timm's names and `config.json` where timm has the network.

use std::collections::HashMap;

use mentor_data::Resize;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use crate::error::ExportError;
use crate::folders::folder::Folder;
use crate::folders::timm::{TimmNetwork, of_timm};
use crate::model::{ExportModel, Output, Tensor};

/// `config.json` and `model.safetensors`, and whether the names in it are timm's; else they are mentor's.
///
/// The object `mentor` of `config.json` says what no other program knows: the calibration, whether embeddings
/// are divided by their norm, and how pictures are resized.
///
/// # Errors
///
/// [`ExportError::Tensor`] or [`ExportError::Writing`].
pub fn to_safetensors(model: &ExportModel) -> Result<(Folder, bool), ExportError> {
    let timm = of_timm(model)?;
    let config = config(model, timm.as_ref());
    let is_timm = timm.is_some();
    let bytes = match timm {
        Some(network) => serialized(network.tensors.iter().map(|(name, tensor)| (name, tensor)))?,
        None => serialized(model.tensors.iter())?,
    };
    let config = serde_json::to_string_pretty(&config).expect("plain data is JSON") + "\n";
    Ok((Folder::default().with("config.json", config).with("model.safetensors", bytes), is_timm))
}

fn serialized<'a>(tensors: impl Iterator<Item = (&'a String, &'a Tensor)>) -> Result<Vec<u8>, ExportError> {
    let refused = |error: safetensors::SafeTensorError| ExportError::Writing { reason: error.to_string() };
    let bytes: Vec<(&String, &Tensor, Vec<u8>)> = tensors
        .map(|(name, tensor)| {
            (name, tensor, tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views = bytes.iter().map(|(name, tensor, bytes)| {
        Ok((name.as_str(), TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map_err(refused)?))
    });
    let views: Vec<(&str, TensorView<'_>)> = views.collect::<Result<_, ExportError>>()?;
    // What libraries for PyTorch look for.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(metadata)).map_err(refused)
}

fn config(model: &ExportModel, timm: Option<&TimmNetwork>) -> Value {
    let (calibration, unit_norm) = match &model.output {
        Output::Classifier { calibration, .. } => (calibration.as_ref(), false),
        Output::Embedding { unit_norm } => (None, *unit_norm),
    };
    let metadata: serde_json::Map<String, Value> =
        model.metadata.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    let own = json!({
        "architecture": model.architecture,
        "classes": model.output.classes(),
        "preprocessing": model.preprocessing,
        "calibration": calibration,
        "unit_norm": unit_norm,
        "metadata": metadata,
    });
    let Some(timm) = timm else { return json!({ "mentor": own }) };
    let num_classes = timm.tensors.last().map_or(0, |(_, bias)| bias.values.len());
    let format = &model.preprocessing.format;
    // timm's words for what comes near: how it resizes is not bit for bit what mentor does.
    let crop_mode = match format.resize {
        Resize::Stretch => "squash",
        Resize::FitPad => "border",
        _ => "center",
    };
    json!({
        "architecture": timm.architecture,
        "num_classes": num_classes,
        "num_features": timm.num_features,
        "global_pool": "avg",
        "model_args": timm.arguments,
        "pretrained_cfg": {
            "input_size": format.shape(),
            "fixed_input_size": true,
            "mean": model.preprocessing.mean,
            "std": model.preprocessing.std,
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": crop_mode,
            "num_classes": num_classes,
            "label_names": model.output.classes(),
            "first_conv": timm.first_conv,
            "classifier": timm.classifier,
        },
        "mentor": own,
    })
}
