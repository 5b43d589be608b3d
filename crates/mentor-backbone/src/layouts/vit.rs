//! Vision transformers (Dosovitskiy et al. 2021), DeiT, DINO and DINOv2.

use std::sync::Mutex;

use mentor_simd::Level;

use super::layout::{Layout, ONE_BY_ONE};
use super::source::{Source, biased, head};
use crate::architecture::Vit;
use crate::error::BackboneError;
use crate::network::convolution::{Activation, Convolution, Filters};
use crate::network::kernels::columns::{Padding, Window};
use crate::network::positions::Interpolation;
use crate::network::transformer::{Block, Norm, Positions, Transformer};
use crate::network::{Body, Network};

/// Blocks of every network here.
const DEPTH: usize = 12;

/// A name of timm in another layout.
fn name(layout: Layout, network: &Vit, timm: &str) -> String {
    if layout == Layout::Original {
        return timm.replace("reg_token", "register_tokens");
    }
    if layout != Layout::HuggingFace {
        return timm.to_owned();
    }
    if let Some((index, part)) = timm.strip_prefix("blocks.").and_then(|rest| rest.split_once('.')) {
        let mut part = part
            .replace("attn.proj", "attention.output.dense")
            .replace("attn.", "attention.attention.")
            .replace("ls1.gamma", "layer_scale1.lambda1")
            .replace("ls2.gamma", "layer_scale2.lambda1");
        if !network.layer_scale {
            part = part
                .replace("norm1", "layernorm_before")
                .replace("norm2", "layernorm_after")
                .replace("mlp.fc1", "intermediate.dense")
                .replace("mlp.fc2", "output.dense");
        }
        return format!("encoder.layer.{index}.{part}");
    }
    match timm {
        "cls_token" => "embeddings.cls_token".to_owned(),
        "dist_token" => "embeddings.distillation_token".to_owned(),
        "reg_token" => "embeddings.register_tokens".to_owned(),
        "pos_embed" => "embeddings.position_embeddings".to_owned(),
        other => other
            .replace("patch_embed.proj", "embeddings.patch_embeddings.projection")
            .replace("norm", "layernorm"),
    }
}

/// The network.
pub(crate) fn build(
    level: Level,
    source: &mut dyn Source,
    layout: Layout,
    network: &Vit,
) -> Result<Network, BackboneError> {
    let Vit { width, heads, patch, distilled, .. } = *network;
    let mut reader = Reader { level, layout, network, source };
    let patches =
        biased(reader.source, &name(layout, network, "patch_embed.proj"), [width, 3, patch, patch], true)?;
    let window = Window { kernel: patch, stride: patch, padding: Padding::Each(0) };
    let patches = Convolution::new(level, &patches, window, Activation::None);
    let (tokens, positions) = reader.tokens()?;
    let blocks = (0..DEPTH).map(|at| reader.block(at)).collect::<Result<_, _>>()?;
    let norm = reader.norm("norm")?;
    let head = reader.head()?;
    reader.skip();
    let num_pooled = if distilled { 2 } else { 1 };
    let transformer = Transformer { width, heads, patches, tokens, num_pooled, positions, blocks, norm };
    Ok(Network::new(level, Body::Transformer(Box::new(transformer)), width, head))
}

struct Reader<'a> {
    level: Level,
    layout: Layout,
    network: &'a Vit,
    source: &'a mut dyn Source,
}

impl Reader<'_> {
    fn name(&self, timm: &str) -> String {
        name(self.layout, self.network, timm)
    }

    fn take(&mut self, timm: &str, shape: &[usize]) -> Result<Vec<f32>, BackboneError> {
        let name = self.name(timm);
        Ok(self.source.take(&name, shape)?.into_owned())
    }

    /// The tokens before the patches with their positions, and the positions of patches.
    fn tokens(&mut self) -> Result<(Vec<f32>, Positions), BackboneError> {
        let Vit { width, registers, distilled, .. } = *self.network;
        let mut tokens = self.take("cls_token", &[1, 1, width])?;
        if distilled {
            tokens.extend(self.take("dist_token", &[1, 1, width])?);
        }
        // timm adds the position of the class token to it when it converts weights with registers.
        let without = registers > 0 && self.layout == Layout::Timm;
        let before = if without { 0 } else { tokens.len() / width };
        let found = self.source.shape(&self.name("pos_embed"));
        let side = match found.as_deref() {
            Some(&[1, count, _]) => count.saturating_sub(before).isqrt().max(1),
            _ => self.network.grid,
        };
        let positions = self.take("pos_embed", &[1, before + side * side, width])?;
        let (first, grid) = positions.split_at(before * width);
        tokens.iter_mut().zip(first).for_each(|(token, position)| *token += position);
        if registers > 0 {
            tokens.extend(self.take("reg_token", &[1, registers, width])?);
        }
        let interpolation = match self.layout {
            Layout::Timm => Interpolation::Antialiased,
            _ if registers > 0 => Interpolation::Antialiased,
            Layout::HuggingFace => Interpolation::Points { offset: 0.0 },
            _ => Interpolation::Points { offset: 0.1 },
        };
        let (grid, size) = (grid.to_vec(), [side, side]);
        Ok((tokens, Positions { grid, size, interpolation, last: Mutex::default() }))
    }

    fn norm(&mut self, timm: &str) -> Result<Norm, BackboneError> {
        let width = self.network.width;
        // Transformers' ViT and DeiT have another one than the networks they were converted from.
        let is_old = self.layout == Layout::HuggingFace && !self.network.layer_scale;
        Ok(Norm {
            gain: self.take(&format!("{timm}.weight"), &[width])?,
            bias: self.take(&format!("{timm}.bias"), &[width])?,
            epsilon: if is_old { 1e-12 } else { 1e-6 },
        })
    }

    fn dense(&mut self, timm: &str, out: usize, input: usize) -> Result<Filters, BackboneError> {
        let name = self.name(timm);
        biased(self.source, &name, [out, input, 1, 1], false)
    }

    fn block(&mut self, at: usize) -> Result<Block, BackboneError> {
        let width = self.network.width;
        let block = format!("blocks.{at}");
        let qkv = if self.layout == Layout::HuggingFace {
            let mut joined =
                Filters { shape: [3 * width, width, 1, 1], weights: Vec::new(), bias: Vec::new() };
            for part in ["query", "key", "value"] {
                let filters = self.dense(&format!("{block}.attn.{part}"), width, width)?;
                joined.weights.extend(filters.weights);
                joined.bias.extend(filters.bias);
            }
            joined
        } else {
            self.dense(&format!("{block}.attn.qkv"), 3 * width, width)?
        };
        let norm1 = self.norm(&format!("{block}.norm1"))?;
        let project = self.dense(&format!("{block}.attn.proj"), width, width)?;
        let project = self.scaled(project, &format!("{block}.ls1.gamma"))?;
        let norm2 = self.norm(&format!("{block}.norm2"))?;
        let expand = self.dense(&format!("{block}.mlp.fc1"), 4 * width, width)?;
        let reduce = self.dense(&format!("{block}.mlp.fc2"), width, 4 * width)?;
        let reduce = self.scaled(reduce, &format!("{block}.ls2.gamma"))?;
        let dense = |filters, activation| Convolution::new(self.level, &filters, ONE_BY_ONE, activation);
        Ok(Block {
            norm1,
            qkv: dense(qkv, Activation::None),
            project: dense(project, Activation::None),
            norm2,
            expand: dense(expand, Activation::Gelu),
            reduce: dense(reduce, Activation::None),
        })
    }

    /// LayerScale (Touvron et al. 2021): each result times its own factor.
    fn scaled(&mut self, mut filters: Filters, timm: &str) -> Result<Filters, BackboneError> {
        if self.network.layer_scale {
            let factors = self.take(timm, &[self.network.width])?;
            let width = filters.shape[1];
            for ((row, bias), factor) in
                filters.weights.chunks_exact_mut(width).zip(&mut filters.bias).zip(&factors)
            {
                row.iter_mut().for_each(|weight| *weight *= factor);
                *bias *= factor;
            }
        }
        Ok(filters)
    }

    /// Only a head on the class token alone can be used with the features.
    fn head(&mut self) -> Result<Option<Convolution>, BackboneError> {
        let Vit { distilled, layer_scale, width, .. } = *self.network;
        if distilled || layer_scale {
            return Ok(None);
        }
        let name = if self.layout == Layout::HuggingFace { "classifier" } else { "head" };
        let head = head(self.source, name, width)?;
        Ok(head.map(|filters| Convolution::new(self.level, &filters, ONE_BY_ONE, Activation::None)))
    }

    fn skip(&mut self) {
        let mut names =
            vec!["mask_token", "embeddings.mask_token", "pooler.dense.weight", "pooler.dense.bias"];
        let Vit { distilled, layer_scale, .. } = *self.network;
        if distilled || layer_scale {
            names.extend(["head.weight", "head.bias", "head_dist.weight", "head_dist.bias"]);
            names.extend([
                "classifier.weight",
                "classifier.bias",
                "cls_classifier.weight",
                "cls_classifier.bias",
            ]);
            names.extend(["distillation_classifier.weight", "distillation_classifier.bias"]);
        }
        names.iter().for_each(|name| self.source.skip(name));
    }
}
