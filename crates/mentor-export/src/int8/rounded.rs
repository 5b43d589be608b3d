//! Which values of a network are rounded.

use std::collections::BTreeMap;

use rten_onnx::onnx::NodeProto;

use crate::graph::Value;
use crate::onnx::Whole;

/// Each rounded value, and the one whose range it has: mostly its own.
pub(super) type Rounded = BTreeMap<Value, Value>;

/// The axis of a layer's weights on which its channels lie; `None` of operators without constant weights.
pub(super) fn channel_axis(whole: &Whole, node: &NodeProto) -> Option<usize> {
    let axis = match operator(node) {
        "Conv" => 0,
        "Gemm" | "MatMul" => 1,
        _ => return None,
    };
    whole.graph.is_constant(node.input.get(1)?).then_some(axis)
}

/// The inputs of all layers with weights, and the results of convolutions and dense layers, after the
/// rectifier where one follows. What only moves or chooses such values has their range. Sums and means of
/// rounded values are rounded again.
///
/// Scores stay floats, and so do the products of tokens with weights, in whose place engines have operators
/// that give floats.
pub(super) fn rounded(whole: &Whole) -> Rounded {
    let nodes = &whole.graph.operators()[whole.network.clone()];
    let mut rounded = Rounded::new();
    for node in nodes {
        let (Some(input), Some(output)) = (node.input.first(), node.output.first()) else { continue };
        let is_rounded = |value: &Value| rounded.contains_key(value);
        match operator(node) {
            "MaxPool" | "Flatten" | "Slice" | "Pad" if is_rounded(input) => {
                let range = rounded[input].clone();
                rounded.insert(output.clone(), range);
            }
            "Add" if node.input.iter().all(is_rounded) => add(&mut rounded, rectified(whole, output)),
            "GlobalAveragePool" if is_rounded(input) => add(&mut rounded, output),
            name if channel_axis(whole, node).is_some() => {
                add(&mut rounded, input);
                if name != "MatMul" && *output != whole.head {
                    add(&mut rounded, rectified(whole, output));
                }
            }
            _ => {}
        }
    }
    rounded
}

fn add(rounded: &mut Rounded, value: &Value) {
    rounded.entry(value.clone()).or_insert_with(|| value.clone());
}

/// What a rectifier makes of `value` if nothing else sees it, else `value`.
fn rectified<'a>(whole: &'a Whole, value: &'a Value) -> &'a Value {
    let mut users = whole.graph.operators().iter().filter(|node| node.input.contains(value));
    match (users.next(), users.next()) {
        (Some(only), None) if operator(only) == "Relu" => &only.output[0],
        _ => value,
    }
}

fn operator(node: &NodeProto) -> &str {
    node.op_type.as_deref().unwrap_or_default()
}
