//! `resnet` and `wrn`: residual networks, with every normalisation behind a convolution folded into it.

use crate::error::ExportError;
use crate::graph::Value;
use crate::layers::{Builder, Features};

/// The side of the kernel of the stem for large images, which has stride 2 and a pool behind it.
const LARGE_STEM: usize = 7;

pub(super) fn resnet(builder: &mut Builder<'_>, images: &Value) -> Result<Features, ExportError> {
    let large = builder.tensors.get::<4>("stem.weight")?.0[2] == LARGE_STEM;
    let x = builder.conv_norm("stem", "norm", images, if large { 2 } else { 1 })?;
    let mut x = builder.relu(&x);
    if large {
        x = builder.max_pool(&x, 3, 2, 1);
    }
    for block in 0.. {
        let path = format!("blocks.{block}");
        if !builder.tensors.contains(&format!("{path}.conv1.weight")) {
            break;
        }
        x = basic_block(builder, &path, &x)?;
    }
    let features = builder.global_average(&x);
    builder.head(features)
}

/// relu(shortcut(x) + norm(conv(relu(norm(conv(x)))))). A block that widens the network halves the sides.
fn basic_block(builder: &mut Builder<'_>, path: &str, input: &Value) -> Result<Value, ExportError> {
    let at = |name: &str| format!("{path}.{name}");
    let ([outputs, inputs, ..], _) = builder.tensors.get::<4>(&at("conv1.weight"))?;
    let stride = if outputs == inputs { 1 } else { 2 };
    let branch = builder.conv_norm(&at("conv1"), &at("norm1"), input, stride)?;
    let branch = builder.relu(&branch);
    let branch = builder.conv_norm(&at("conv2"), &at("norm2"), &branch, 1)?;
    let shortcut = if builder.tensors.contains(&at("projection.conv.weight")) {
        builder.conv_norm(&at("projection.conv"), &at("projection.norm"), input, stride)?
    } else if stride == 2 {
        subsample_and_widen(builder, path, input, outputs.saturating_sub(inputs))
    } else {
        input.clone()
    };
    let sum = builder.graph.node("Add", at("sum"), &[&shortcut, &branch], &[]);
    Ok(builder.relu(&sum))
}

/// The shortcut without parameters: every second pixel of every second row, and zeros for new channels.
fn subsample_and_widen(builder: &mut Builder<'_>, path: &str, input: &Value, new_channels: usize) -> Value {
    let graph = &mut builder.graph;
    let name = |part: &str| format!("{path}.shortcut.{part}");
    let starts = graph.ints(name("starts"), &[0, 0]);
    let ends = graph.ints(name("ends"), &[i64::from(i32::MAX); 2]);
    let axes = graph.ints(name("axes"), &[2, 3]);
    let steps = graph.ints(name("steps"), &[2, 2]);
    let smaller = graph.node("Slice", name("subsampled"), &[input, &starts, &ends, &axes, &steps], &[]);
    let padding = graph.ints(name("padding"), &[0, 0, 0, 0, 0, new_channels as i64, 0, 0]);
    graph.node("Pad", name("widened"), &[&smaller, &padding], &[])
}

pub(super) fn wide_resnet(builder: &mut Builder<'_>, images: &Value) -> Result<Features, ExportError> {
    let mut x = builder.conv_plain("stem", images, 1)?;
    for block in 0.. {
        let path = format!("blocks.{block}");
        if !builder.tensors.contains(&format!("{path}.conv1.weight")) {
            break;
        }
        x = pre_activation_block(builder, &path, &x, block == 0)?;
    }
    let x = builder.batch_norm("norm", &x)?;
    let x = builder.relu(&x);
    let features = builder.global_average(&x);
    builder.head(features)
}

/// a = relu(norm(x)); shortcut + conv(relu(norm(conv(a)))), where the shortcut is x or a projection of a. A
/// block that widens the network halves the sides, except for the first.
fn pre_activation_block(
    builder: &mut Builder<'_>,
    path: &str,
    input: &Value,
    is_first: bool,
) -> Result<Value, ExportError> {
    let at = |name: &str| format!("{path}.{name}");
    let ([outputs, inputs, ..], _) = builder.tensors.get::<4>(&at("conv1.weight"))?;
    let stride = if outputs == inputs || is_first { 1 } else { 2 };
    let x = builder.batch_norm(&at("norm1"), input)?;
    let x = builder.relu(&x);
    let shortcut = if builder.tensors.contains(&at("projection.weight")) {
        builder.conv_plain(&at("projection"), &x, stride)?
    } else {
        input.clone()
    };
    let branch = builder.conv_norm(&at("conv1"), &at("norm2"), &x, stride)?;
    let branch = builder.relu(&branch);
    let branch = builder.conv_plain(&at("conv2"), &branch, 1)?;
    Ok(builder.graph.node("Add", at("sum"), &[&shortcut, &branch], &[]))
}
