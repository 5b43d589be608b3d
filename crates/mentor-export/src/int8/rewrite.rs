//! The graph with rounded values.

use std::collections::BTreeSet;

use rten_onnx::onnx::{DataType, NodeProto};

use crate::error::ExportError;
use crate::graph::{Attribute, Graph, Value};
use crate::int8::ranges::Ranges;
use crate::int8::rounded::{Rounded, channel_axis, rounded};
use crate::int8::steps::{Rounding, weights};
use crate::model::ExportModel;
use crate::onnx::{Input, Whole, graph_of, metadata};

/// The bytes of an ONNX file as [`to_onnx`](crate::to_onnx) writes it, with weights and activations of eight
/// bits. Its metadata have `precision` beside the rest.
///
/// # Errors
///
/// Those of [`to_onnx`](crate::to_onnx), and [`ExportError::Tensor`] if the ranges are of another model.
pub fn to_onnx_int8(model: &ExportModel, input: Input, ranges: &Ranges) -> Result<Vec<u8>, ExportError> {
    let whole = graph_of(model, input)?;
    let mut entries = metadata(model, input);
    entries.push(("precision".to_owned(), "int8".to_owned()));
    Rewriting::new(whole, ranges)?.graph()?.into_bytes(&entries)
}

/// A graph while its values are rounded.
struct Rewriting<'a> {
    whole: Whole,
    rounded: Rounded,
    ranges: &'a Ranges,
    /// Ranges whose constants are in the graph.
    known: BTreeSet<Value>,
}

impl<'a> Rewriting<'a> {
    fn new(whole: Whole, ranges: &'a Ranges) -> Result<Self, ExportError> {
        let rounded = rounded(&whole);
        rounded.values().try_for_each(|value| ranges.of(value, &whole.images).map(drop))?;
        Ok(Self { whole, rounded, ranges, known: BTreeSet::new() })
    }

    fn graph(mut self) -> Result<Graph, ExportError> {
        let axes: Vec<Option<usize>> = self.whole.graph.operators()[self.whole.network.clone()]
            .iter()
            .map(|node| channel_axis(&self.whole, node))
            .collect();
        let start = self.whole.network.start;
        let nodes = self.whole.graph.take_operators();
        for (place, mut node) in nodes.into_iter().enumerate() {
            if place == 0 && start == 0 {
                // Of a file that takes tensors no operator gives them.
                self.round(&self.whole.images.clone())?;
            }
            if let Some(&Some(axis)) = place.checked_sub(start).and_then(|place| axes.get(place)) {
                self.round_layer(&mut node, axis)?;
            }
            for input in &mut node.input {
                if self.rounded.contains_key(input) {
                    *input = restored(input);
                }
            }
            let outputs = node.output.clone();
            self.whole.graph.push(node);
            outputs.iter().try_for_each(|output| self.round(output))?;
        }
        Ok(self.whole.graph)
    }

    /// Rounds `value`, if it is among those, and makes floats of it again.
    fn round(&mut self, value: &Value) -> Result<(), ExportError> {
        let Some(range) = self.rounded.get(value).cloned() else { return Ok(()) };
        let rounding = self.rounding(&range)?;
        let (step, zero) = (format!("{range}.step"), format!("{range}.zero"));
        let graph = &mut self.whole.graph;
        if self.known.insert(range) {
            graph.float(step.clone(), rounding.step);
            graph.constant(zero.clone(), &[], DataType::UINT8, vec![rounding.zero]);
        }
        let integers = graph.node("QuantizeLinear", format!("{value}.integers"), &[value, &step, &zero], &[]);
        graph.node("DequantizeLinear", restored(value), &[&integers, &step, &zero], &[]);
        Ok(())
    }

    fn rounding(&self, range: &Value) -> Result<Rounding, ExportError> {
        Ok(Rounding::of(self.ranges.of(range, &self.whole.images)?))
    }

    /// The weights and the bias of a layer as integers, from which the graph makes floats.
    fn round_layer(&mut self, node: &mut NodeProto, axis: usize) -> Result<(), ExportError> {
        let missing =
            |path: &str| ExportError::Tensor { path: path.to_owned(), problem: "is missing".to_owned() };
        let input_step = self.rounding(&self.rounded[&node.input[0]])?.step;
        let graph = &mut self.whole.graph;
        let name = node.input[1].clone();
        let (shape, values) = graph.take_floats(&name).ok_or_else(|| missing(&name))?;
        let bias = match node.input.get(2) {
            Some(name) => Some((name.clone(), graph.take_floats(name).ok_or_else(|| missing(name))?.1)),
            None => None,
        };
        let bias_values = bias.as_ref().map(|(_, values)| values.as_slice());
        let rounded = weights(&shape, axis, &values, bias_values, input_step);
        let bytes = rounded.integers.iter().map(|&integer| integer as u8).collect();
        let integers = Integers { shape: &shape, data_type: DataType::INT8, bytes, axis };
        node.input[1] = integers.restored(graph, &name, &rounded.steps);
        if let Some((name, values)) = bias {
            let steps: Vec<f32> = rounded.steps.iter().map(|step| input_step * step).collect();
            let integers = values.iter().zip(&steps).map(|(value, step)| (value / step).round() as i32);
            let bytes = integers.flat_map(i32::to_le_bytes).collect();
            let shape = [values.len()];
            let integers = Integers { shape: &shape, data_type: DataType::INT32, bytes, axis: 0 };
            node.input[2] = integers.restored(graph, &name, &steps);
        }
        Ok(())
    }
}

/// Constants of a layer, with a step for each place of an axis.
struct Integers<'a> {
    shape: &'a [usize],
    data_type: DataType,
    bytes: Vec<u8>,
    axis: usize,
}

impl Integers<'_> {
    /// Adds them to the graph, and what makes floats of them.
    fn restored(self, graph: &mut Graph, name: &str, steps: &[f32]) -> Value {
        let Self { shape, data_type, bytes, axis } = self;
        let length = [steps.len()];
        let zeros = vec![0; bytes.len() / shape.iter().product::<usize>().max(1) * steps.len()];
        let integers = graph.constant(format!("{name}.integers"), shape, data_type, bytes);
        let steps = graph.floats(format!("{name}.step"), &length, steps);
        // ONNX Runtime has integer products only for layers whose zeros are there, though all are 0.
        let zeros = graph.constant(format!("{name}.zero"), &length, data_type, zeros);
        let along = [("axis", Attribute::Int(axis as i64))];
        graph.node("DequantizeLinear", restored(name), &[&integers, &steps, &zeros], &along)
    }
}

/// The name of a value after rounding.
fn restored(value: &str) -> Value {
    format!("{value}.restored")
}
