//! The names that timm has for the tensors of a network, where timm has the network.
//!
//! timm is the library of pretrained networks that most programs load weights by; a folder with its names and
//! its `config.json` is loaded by `timm.create_model("local-dir:FOLDER", pretrained=True)`.

use serde_json::{Value, json};

use crate::error::ExportError;
use crate::model::{ExportModel, Tensor, Tensors};

/// Values of a head of a vision transformer.
const HEAD_WIDTH: usize = 64;
/// The side of the stem that timm's networks have; mentor's for small images is another.
const LARGE_STEM: usize = 7;

/// A network as timm has it.
pub(crate) struct TimmNetwork {
    pub(crate) architecture: String,
    /// What `create_model` is told beside the name.
    pub(crate) arguments: Value,
    pub(crate) num_features: usize,
    /// The last layer, by name.
    pub(crate) classifier: &'static str,
    pub(crate) first_conv: &'static str,
    pub(crate) tensors: Vec<(String, Tensor)>,
}

/// The network with timm's names; `None` if timm has no such network.
///
/// # Errors
///
/// [`ExportError::Tensor`] if a tensor is missing, or has another number of axes.
pub(crate) fn of_timm(model: &ExportModel) -> Result<Option<TimmNetwork>, ExportError> {
    let network = match model.architecture.as_str() {
        "resnet-18" | "resnet-34" => {
            let (side, _) = model.tensors.get::<4>("stem.weight")?;
            if side[2] == LARGE_STEM { Some(resnet(model)?) } else { None }
        }
        name if name.starts_with("vit") => Some(vit(model)?),
        _ => None,
    };
    Ok(network)
}

fn resnet(model: &ExportModel) -> Result<TimmNetwork, ExportError> {
    let architecture = model.architecture.replace('-', "");
    let stages = if architecture == "resnet34" { [3, 4, 6, 3] } else { [2, 2, 2, 2] };
    let mut named = Named { from: &model.tensors, tensors: Vec::new() };
    named.copy("stem.weight", "conv1.weight")?;
    named.batch_norm("norm", "bn1")?;
    let mut block = 0;
    for (stage, count) in stages.into_iter().enumerate() {
        for position in 0..count {
            let (from, to) = (format!("blocks.{block}"), format!("layer{}.{position}", stage + 1));
            for part in 1..=2 {
                named.copy(&format!("{from}.conv{part}.weight"), &format!("{to}.conv{part}.weight"))?;
                named.batch_norm(&format!("{from}.norm{part}"), &format!("{to}.bn{part}"))?;
            }
            if model.tensors.contains(&format!("{from}.projection.conv.weight")) {
                named
                    .copy(&format!("{from}.projection.conv.weight"), &format!("{to}.downsample.0.weight"))?;
                named.batch_norm(&format!("{from}.projection.norm"), &format!("{to}.downsample.1"))?;
            }
            block += 1;
        }
    }
    let num_features = named.dense("head", "fc")?;
    Ok(TimmNetwork {
        architecture,
        arguments: json!({ "in_chans": model.preprocessing.format.channels }),
        num_features,
        classifier: "fc",
        first_conv: "conv1",
        tensors: named.tensors,
    })
}

fn vit(model: &ExportModel) -> Result<TimmNetwork, ExportError> {
    let [channels, height, width] = model.preprocessing.format.shape();
    let mut named = Named { from: &model.tensors, tensors: Vec::new() };
    let ([tokens, size], positions) = model.tensors.get::<2>("positions")?;
    named.push("pos_embed", vec![1, tokens, size], positions.to_vec());
    let ([inputs, _], patches) = model.tensors.get::<2>("patches.weight")?;
    let patch = (inputs / channels).isqrt();
    named.push("patch_embed.proj.weight", vec![size, channels, patch, patch], transposed(patches, size));
    named.copy("patches.bias", "patch_embed.proj.bias")?;
    let mut depth = 0;
    while model.tensors.contains(&format!("blocks.{depth}.qkv.weight")) {
        let at = |name: &str| format!("blocks.{depth}.{name}");
        named.layer_norm(&at("norm1"))?;
        named.layer_norm(&at("norm2"))?;
        let layers = [
            ("qkv", "attn.qkv"),
            ("projection", "attn.proj"),
            ("expand", "mlp.fc1"),
            ("contract", "mlp.fc2"),
        ];
        for (from, to) in layers {
            named.dense(&at(from), &at(to))?;
        }
        depth += 1;
    }
    named.layer_norm("norm")?;
    let num_features = named.dense("head", "head")?;
    Ok(TimmNetwork {
        architecture: "vit_base_patch16_224".to_owned(),
        arguments: json!({
            "in_chans": channels, "img_size": [height, width], "patch_size": patch, "embed_dim": size,
            "depth": depth, "num_heads": size / HEAD_WIDTH, "class_token": false, "global_pool": "avg",
            "fc_norm": false,
        }),
        num_features,
        classifier: "head",
        first_conv: "patch_embed.proj",
        tensors: named.tensors,
    })
}

/// Tensors under their new names.
struct Named<'a> {
    from: &'a Tensors,
    tensors: Vec<(String, Tensor)>,
}

impl Named<'_> {
    fn push(&mut self, to: &str, shape: Vec<usize>, values: Vec<f32>) {
        self.tensors.push((to.to_owned(), Tensor { shape, values }));
    }

    fn copy(&mut self, from: &str, to: &str) -> Result<(), ExportError> {
        let tensor = self.from.find(from)?.clone();
        self.tensors.push((to.to_owned(), tensor));
        Ok(())
    }

    fn batch_norm(&mut self, from: &str, to: &str) -> Result<(), ExportError> {
        [
            ("gamma", "weight"),
            ("beta", "bias"),
            ("running_mean", "running_mean"),
            ("running_var", "running_var"),
        ]
        .into_iter()
        .try_for_each(|(part, name)| self.copy(&format!("{from}.{part}"), &format!("{to}.{name}")))
    }

    /// Both have it at one place.
    fn layer_norm(&mut self, path: &str) -> Result<(), ExportError> {
        self.copy(&format!("{path}.gamma"), &format!("{path}.weight"))?;
        self.copy(&format!("{path}.beta"), &format!("{path}.bias"))
    }

    /// mentor has the weights `[in, out]`, and timm `[out, in]`. Gives the number of inputs.
    fn dense(&mut self, from: &str, to: &str) -> Result<usize, ExportError> {
        let ([inputs, outputs], values) = self.from.get::<2>(&format!("{from}.weight"))?;
        self.push(&format!("{to}.weight"), vec![outputs, inputs], transposed(values, outputs));
        self.copy(&format!("{from}.bias"), &format!("{to}.bias"))?;
        Ok(inputs)
    }
}

/// `[rows, columns]` to `[columns, rows]`.
fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns.max(1)).copied()).collect()
}
