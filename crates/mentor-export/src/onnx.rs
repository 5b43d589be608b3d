//! A model as an ONNX file.

use std::ops::Range;

use mentor_data::{Preprocessing, Resize};
use rten_onnx::onnx::DataType;
use serde::Serialize;

use crate::error::ExportError;
use crate::families::build_of;
use crate::graph::{Attribute, Axis, Graph, Value};
use crate::layers::{Builder, Features};
use crate::model::{ExportModel, Output};
use crate::picture;

/// A message of protobuf has at most 2 GiB; the graph beside the weights takes far less than the rest.
const MAX_WEIGHTS: u64 = (1 << 31) - (1 << 24);

/// What the file takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// `image`: bytes `[N, H, W, 3]`, pictures of any size, red, green and blue.
    Image,
    /// `tensor`: floats `[N, C, H, W]` of the model's own size, normalised.
    Tensor,
}

impl Input {
    /// The name of the graph's input.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Tensor => "tensor",
        }
    }
}

/// The bytes of an ONNX file of opset 18 with the outputs `probabilities` (of a classifier) and `embedding`.
///
/// Metadata: `classes` (a JSON list, in the order of the probabilities), `preprocessing` (JSON), and the
/// model's own entries.
///
/// # Errors
///
/// [`ExportError::UnknownArchitecture`], [`ExportError::Resizing`], [`ExportError::Tensor`] or
/// [`ExportError::TooLarge`].
pub fn to_onnx(model: &ExportModel, input: Input) -> Result<Vec<u8>, ExportError> {
    graph_of(model, input)?.graph.into_bytes(&metadata(model, input))
}

/// A graph, and where in it the network is.
pub(crate) struct Whole {
    pub(crate) graph: Graph,
    /// What the network sees.
    pub(crate) images: Value,
    /// What it gives.
    pub(crate) head: Value,
    /// Which of the operators are its own.
    pub(crate) network: Range<usize>,
}

/// The graph of a file.
///
/// # Errors
///
/// Those of [`to_onnx`].
pub(crate) fn graph_of(model: &ExportModel, input: Input) -> Result<Whole, ExportError> {
    let num_bytes = model.tensors.num_bytes();
    if num_bytes > MAX_WEIGHTS {
        return Err(ExportError::TooLarge { num_bytes, limit: MAX_WEIGHTS });
    }
    let build = build_of(&model.architecture)?;
    let [channels, height, width] = model.preprocessing.format.shape();
    let mut graph = Graph::default();
    let resize = model.preprocessing.format.resize;
    let images = match input {
        Input::Image if matches!(resize, Resize::CenterShare { .. }) => {
            return Err(ExportError::Resizing { resize: resize.to_string() });
        }
        Input::Image => picture::image(&mut graph, &model.preprocessing),
        Input::Tensor => {
            let axes = [Axis::Any("batch"), Axis::Fixed(channels), Axis::Fixed(height), Axis::Fixed(width)];
            graph.input(input.name(), DataType::FLOAT, &axes)
        }
    };
    let start = graph.operators().len();
    let mut builder = Builder { graph, tensors: &model.tensors, channels };
    let features = build(&mut builder, &images)?;
    let mut graph = builder.graph;
    let network = start..graph.operators().len();
    outputs(&mut graph, &features, &model.output);
    Ok(Whole { graph, images, head: features.head, network })
}

fn outputs(graph: &mut Graph, features: &Features, output: &Output) {
    let rows = |width| [Axis::Any("batch"), Axis::Fixed(width)];
    match output {
        Output::Classifier { calibration, .. } => {
            let mut scores = features.head.clone();
            if let Some(calibration) = calibration {
                let temperature = graph.float("temperature", calibration.temperature as f32);
                scores = graph.node("Div", "tempered", &[&scores, &temperature], &[]);
                if !calibration.biases.is_empty() {
                    let biases: Vec<f32> = calibration.biases.iter().map(|&bias| bias as f32).collect();
                    let biases = graph.floats("biases", &[biases.len()], &biases);
                    scores = graph.node("Add", "calibrated", &[&scores, &biases], &[]);
                }
            }
            let softmax = graph.node("Softmax", "softmax", &[&scores], &[("axis", Attribute::Int(-1))]);
            graph.output("probabilities", &softmax, &rows(features.outputs));
            graph.output("embedding", &features.features, &rows(features.width));
        }
        Output::Embedding { unit_norm } => {
            let head = &features.head;
            let embedding = if *unit_norm { unit(graph, head) } else { head.clone() };
            graph.output("embedding", &embedding, &rows(features.outputs));
        }
    }
}

/// x / ‖x‖ of each row; a row of zeros stays as it is.
fn unit(graph: &mut Graph, rows: &Value) -> Value {
    let squares = graph.node("Mul", "squares", &[rows, rows], &[]);
    let axes = graph.ints("squares.axis", &[1]);
    let sum = graph.node("ReduceSum", "squares.sum", &[&squares, &axes], &[("keepdims", Attribute::Int(1))]);
    let [zero, one] = [("none", 0.0), ("one", 1.0)].map(|(name, value)| graph.float(name, value));
    let is_zero = graph.node("Equal", "squares.none", &[&sum, &zero], &[]);
    let sum = graph.node("Where", "squares.positive", &[&is_zero, &one, &sum], &[]);
    let norm = graph.node("Sqrt", "norm.value", &[&sum], &[]);
    graph.node("Div", "unit", &[rows, &norm], &[])
}

/// `preprocessing` of the metadata: what `model.json` says, and what the file takes.
#[derive(Serialize)]
struct Described<'a> {
    input: Input,
    #[serde(flatten)]
    preprocessing: &'a Preprocessing,
}

/// The entries that a file has.
pub(crate) fn metadata(model: &ExportModel, input: Input) -> Vec<(String, String)> {
    let json = |value: Result<String, serde_json::Error>| value.expect("plain data is JSON");
    let described = Described { input, preprocessing: &model.preprocessing };
    let mut entries = vec![
        ("classes".to_owned(), json(serde_json::to_string(model.output.classes()))),
        ("preprocessing".to_owned(), json(serde_json::to_string(&described))),
        ("architecture".to_owned(), model.architecture.clone()),
    ];
    entries.extend(model.metadata.iter().cloned());
    entries
}
