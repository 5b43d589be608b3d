//! An ONNX graph under construction, and its bytes.
//!
//! The messages are those of `rten-onnx`, which also encodes them. Its graph has no name, which ONNX
//! requires, so that the two outermost messages are written here.

use std::cell::RefCell;

use rten_onnx::onnx::{
    AttributeProto, AttributeType, DataType, Dimension, GraphProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TypeProto, TypeProtoTensor, ValueInfoProto,
};
use rten_onnx::protobuf::{EncodeMessage, MessageWriter, ProtobufError, ValueWriter, WriteValue};

use crate::error::ExportError;

/// The version of the operators: the first with `antialias`, in all engines since 2023.
pub(crate) const OPSET: i64 = 18;
/// The version of the format that belongs to these operators.
const IR_VERSION: i64 = 8;

/// The name of a value of the graph: what a node gives, or a constant.
pub(crate) type Value = String;

/// A number or several that a node is given beside its inputs.
#[derive(Clone, Debug)]
pub(crate) enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
}

/// The length of an axis of an input or output.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Axis {
    Fixed(usize),
    /// Any length, under this name.
    Any(&'static str),
}

/// Nodes in an order in which each follows what it needs, and constants.
#[derive(Default)]
pub(crate) struct Graph {
    graph: GraphProto,
}

impl Graph {
    /// What was added so far, in order.
    pub(crate) fn operators(&self) -> &[NodeProto] {
        &self.graph.node
    }

    /// The operators are replaced by others.
    pub(crate) fn take_operators(&mut self) -> Vec<NodeProto> {
        std::mem::take(&mut self.graph.node)
    }

    /// An operator of another graph, or of this one.
    pub(crate) fn push(&mut self, operator: NodeProto) {
        self.graph.node.push(operator);
    }

    /// Whether `value` is a constant.
    pub(crate) fn is_constant(&self, value: &str) -> bool {
        self.graph.initializer.iter().any(|constant| constant.name.as_deref() == Some(value))
    }

    /// Takes a constant of floats out of the graph: its shape and values.
    pub(crate) fn take_floats(&mut self, value: &str) -> Option<(Vec<usize>, Vec<f32>)> {
        let constants = &mut self.graph.initializer;
        let place = constants.iter().position(|constant| constant.name.as_deref() == Some(value))?;
        let constant = constants.remove(place);
        let bytes = constant.raw_data?.into_inner();
        let values = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        Some((constant.dims.into_iter().map(|side| side as usize).collect(), values))
    }

    /// A constant of floats.
    pub(crate) fn floats(&mut self, name: impl Into<Value>, shape: &[usize], values: &[f32]) -> Value {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name.into(), shape, DataType::FLOAT, bytes)
    }

    /// A constant float without axes.
    pub(crate) fn float(&mut self, name: impl Into<Value>, value: f32) -> Value {
        self.floats(name, &[], &[value])
    }

    /// A constant list of integers.
    pub(crate) fn ints(&mut self, name: impl Into<Value>, values: &[i64]) -> Value {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name.into(), &[values.len()], DataType::INT64, bytes)
    }

    /// A constant integer without axes.
    pub(crate) fn int(&mut self, name: impl Into<Value>, value: i64) -> Value {
        self.constant(name.into(), &[], DataType::INT64, value.to_le_bytes().to_vec())
    }

    /// A constant of any type: its bytes, the lowest of each value first.
    pub(crate) fn constant(
        &mut self,
        name: Value,
        shape: &[usize],
        data_type: DataType,
        bytes: Vec<u8>,
    ) -> Value {
        self.graph.initializer.push(TensorProto {
            name: Some(name.clone()),
            dims: dims(shape),
            data_type: Some(data_type),
            raw_data: Some(RefCell::new(bytes)),
            ..TensorProto::default()
        });
        name
    }

    /// What an operator gives for `inputs`, under the name `name`.
    pub(crate) fn node(
        &mut self,
        operator: &str,
        name: impl Into<Value>,
        inputs: &[&Value],
        attributes: &[(&str, Attribute)],
    ) -> Value {
        let name = name.into();
        self.nodes(operator, &name, inputs, attributes, vec![name.clone()]);
        name
    }

    /// As [`Graph::node`], of an operator with several outputs.
    pub(crate) fn nodes(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&Value],
        attributes: &[(&str, Attribute)],
        outputs: Vec<Value>,
    ) {
        self.graph.node.push(NodeProto {
            name: Some(name.to_owned()),
            op_type: Some(operator.to_owned()),
            input: inputs.iter().map(|&input| input.clone()).collect(),
            output: outputs,
            attribute: attributes.iter().map(|(name, attribute)| attribute.named(name)).collect(),
            ..NodeProto::default()
        });
    }

    /// An input of the graph.
    pub(crate) fn input(&mut self, name: &str, data_type: DataType, axes: &[Axis]) -> Value {
        self.graph.input.push(value_info(name, data_type, axes));
        name.to_owned()
    }

    /// Makes `value` an output as it is, of whatever shape: for a graph that is run here and not written.
    pub(crate) fn watch(&mut self, value: &Value) {
        self.graph.output.push(ValueInfoProto { name: Some(value.clone()), r#type: None });
    }

    /// Makes `value` an output of the graph, of floats, under the name `name`.
    pub(crate) fn output(&mut self, name: &str, value: &Value, axes: &[Axis]) {
        self.node("Identity", name, &[value], &[]);
        self.graph.output.push(value_info(name, DataType::FLOAT, axes));
    }

    /// The file.
    pub(crate) fn into_bytes(self, metadata: &[(String, String)]) -> Result<Vec<u8>, ExportError> {
        let file = File { graph: NamedGraph(self.graph), metadata };
        let mut bytes = Vec::new();
        file.encode(ValueWriter::new(&mut bytes))
            .map_err(|error| ExportError::Writing { reason: error.to_string() })?;
        Ok(bytes)
    }
}

fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&side| side as i64).collect()
}

fn value_info(name: &str, data_type: DataType, axes: &[Axis]) -> ValueInfoProto {
    let dim = axes.iter().map(|axis| match *axis {
        Axis::Fixed(length) => Dimension { dim_value: Some(length as i64), ..Dimension::default() },
        Axis::Any(name) => Dimension { dim_param: Some(name.to_owned()), ..Dimension::default() },
    });
    let shape = Some(TensorShapeProto { dim: dim.collect() });
    let tensor_type = Some(TypeProtoTensor { elem_type: Some(data_type), shape });
    let r#type = Some(TypeProto { tensor_type, ..TypeProto::default() });
    ValueInfoProto { name: Some(name.to_owned()), r#type }
}

impl Attribute {
    fn named(&self, name: &str) -> AttributeProto {
        let name = Some(name.to_owned());
        match self.clone() {
            Self::Int(i) => {
                AttributeProto { name, i: Some(i), r#type: Some(AttributeType::INT), ..Default::default() }
            }
            Self::Ints(ints) => {
                AttributeProto { name, ints, r#type: Some(AttributeType::INTS), ..Default::default() }
            }
            Self::Float(f) => {
                AttributeProto { name, f: Some(f), r#type: Some(AttributeType::FLOAT), ..Default::default() }
            }
        }
    }
}

/// `ModelProto`.
struct File<'a> {
    graph: NamedGraph,
    metadata: &'a [(String, String)],
}

/// `GraphProto`, whose name is its second field.
struct NamedGraph(GraphProto);

impl EncodeMessage for NamedGraph {
    fn encode_fields<W: WriteValue>(&self, fields: &mut MessageWriter<W>) -> Result<(), ProtobufError> {
        fields.write_string(2, "mentor")?;
        self.0.encode_fields(fields)
    }
}

impl EncodeMessage for File<'_> {
    fn encode_fields<W: WriteValue>(&self, fields: &mut MessageWriter<W>) -> Result<(), ProtobufError> {
        fields.write_int64(1, IR_VERSION)?;
        fields.write_string(2, "mentor")?;
        fields.write_string(3, env!("CARGO_PKG_VERSION"))?;
        fields.write_message(7, &self.graph)?;
        fields.write_message(8, &OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) })?;
        for (key, value) in self.metadata {
            let entry = StringStringEntryProto { key: Some(key.clone()), value: Some(value.clone()) };
            fields.write_message(14, &entry)?;
        }
        Ok(())
    }
}
