//! Weights that are a function of names, as `reference/backbones.py` makes them.

use mentor_backbone::{Architecture, Layout, tensor_shapes};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// FNV-1a, 64 bits.
pub(crate) fn digest(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |value, byte| (value ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// `count` values in [-1, 1).
pub(crate) fn noise(name: &str, count: usize) -> Vec<f32> {
    let start = digest(name);
    let value = |at: usize| {
        let mut x = start.wrapping_add((at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        ((x >> 40) as f64 / f64::from(1 << 23) - 1.0) as f32
    };
    (0..count).map(value).collect()
}

/// The values of a tensor.
pub(crate) fn weight(name: &str, shape: &[usize], gain: f64) -> Vec<f32> {
    let is_token =
        ["token", "tokens", "pos_embed", "position_embeddings"].iter().any(|end| name.ends_with(end));
    let (scale, offset) = if name.ends_with("running_var") {
        (0.5, 1.0)
    } else if shape.len() == 1 && !name.ends_with("bias") && !name.ends_with("running_mean") {
        (0.25, 1.0)
    } else if shape.len() == 1 || is_token {
        (0.125, 0.0)
    } else {
        ((gain * (4.5 / shape[1..].iter().product::<usize>() as f64).sqrt()) as f32, 0.0)
    };
    noise(name, shape.iter().product()).into_iter().map(|value| value * scale + offset).collect()
}

/// A safetensors file of a network with these weights.
pub(crate) fn file(architecture: &'static Architecture, layout: Layout, gain: f64) -> Vec<u8> {
    let tensors = tensor_shapes(architecture, layout).into_iter().map(|(name, shape)| {
        let values = weight(&name, &shape, gain);
        (name, shape, values)
    });
    of(tensors)
}

/// A safetensors file of tensors.
pub(crate) fn of(tensors: impl Iterator<Item = (String, Vec<usize>, Vec<f32>)>) -> Vec<u8> {
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .map(|(name, shape, values)| {
            (name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}
