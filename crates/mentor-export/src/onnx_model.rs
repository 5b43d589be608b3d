//! An exported file, read and run.
//!
//! A file may come from a stranger: its operators must be among those that are written here, it names no
//! other file, and what the engine panics with is an error. The engine limits neither time nor memory of a
//! model that is made to take much of them.

use std::collections::BTreeMap;

use mentor_data::{Preprocessing, catch_panic, listed};
use rten_onnx::onnx::ModelProto;

use crate::engine::{Engine, Rows};
use crate::error::{ExportError, bounded};
use crate::framing::is_framed;
use crate::onnx::Input;

/// The operators of all graphs that are written here.
const OPERATORS: &str = "\
    Abs Add Cast Conv DequantizeLinear Div Equal Erf Flatten Floor Gather Gemm GlobalAveragePool \
    Greater Identity LayerNormalization Less MatMul Max MaxPool Min Mul Or Pad QuantizeLinear Range \
    ReduceMean ReduceSum Relu Reshape Shape Slice Softmax Split Sqrt Sub Transpose Where";

/// An exported file, ready to run.
pub struct OnnxModel {
    engine: Engine,
    input: Input,
    classes: Vec<String>,
    preprocessing: Preprocessing,
}

/// What a model is given: its file says which of both it takes.
#[derive(Clone, Copy, Debug)]
pub enum Pictures<'a> {
    /// Bytes `[N, H, W, 3]` of pictures of one size.
    Images {
        /// All of them, one after the other.
        bytes: &'a [u8],
        /// Rows of each.
        height: usize,
        /// Columns of each.
        width: usize,
    },
    /// Normalised floats `[N, C, H, W]`.
    Tensors(&'a [f32]),
}

/// What a model gives for pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// One probability a class; `None` of an embedding model.
    pub probabilities: Option<Rows>,
    /// Embeddings, or of a classifier the features that its last layer sees.
    pub embedding: Rows,
}

impl OnnxModel {
    /// Reads a file that [`to_onnx`](crate::to_onnx) wrote.
    ///
    /// # Errors
    ///
    /// [`ExportError::NotOurs`] if it is no ONNX model, or has other operators, inputs or metadata than such
    /// a file; [`ExportError::Engine`] if rten does not load it.
    pub fn open(bytes: Vec<u8>) -> Result<Self, ExportError> {
        let (input, classes, preprocessing) = described(&bytes)?;
        let engine = Engine::load(bytes)?;
        if !engine.has(input.name()) || !engine.has("embedding") {
            return Err(not_ours(format!("has no input {} or no output embedding", input.name())));
        }
        if engine.has("probabilities") == classes.is_empty() {
            return Err(not_ours(
                "names classes without the output probabilities, or the reverse".to_owned(),
            ));
        }
        Ok(Self { engine, input, classes, preprocessing })
    }

    /// What the model takes.
    #[must_use]
    pub fn input(&self) -> Input {
        self.input
    }

    /// The names of the classes, in the order of the probabilities; none of an embedding model.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// What is done to a picture: by the file, or before a tensor is given to it.
    #[must_use]
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// Runs the model.
    ///
    /// # Errors
    ///
    /// [`ExportError::Engine`] if the engine refuses, or gives something else than rows of the right width.
    ///
    /// # Panics
    ///
    /// If the file does not take such pictures, or they are not whole.
    pub fn answer(&self, pictures: Pictures<'_>) -> Result<Answers, ExportError> {
        let mut rows = match pictures {
            Pictures::Images { bytes, height, width } => {
                assert_eq!(self.input, Input::Image, "bytes for a model that takes tensors");
                let count = bytes.len() / (3 * height * width).max(1);
                self.engine.of_bytes("image", [count, height, width, 3], bytes, self.outputs())?
            }
            Pictures::Tensors(values) => {
                assert_eq!(self.input, Input::Tensor, "tensors for a model that takes bytes");
                let [channels, height, width] = self.preprocessing.format.shape();
                let count = values.len() / (channels * height * width);
                self.engine.of_floats("tensor", [count, channels, height, width], values, self.outputs())?
            }
        }
        .into_iter();
        let (embedding, probabilities) = (rows.next().unwrap_or_default(), rows.next());
        match &probabilities {
            Some(rows) if rows.width != self.classes.len() => {
                let reason = format!("{} probabilities for {} classes", rows.width, self.classes.len());
                Err(ExportError::Engine { reason })
            }
            _ => Ok(Answers { probabilities, embedding }),
        }
    }

    fn outputs(&self) -> &'static [&'static str] {
        if self.classes.is_empty() { &["embedding"] } else { &["embedding", "probabilities"] }
    }
}

fn not_ours(reason: String) -> ExportError {
    ExportError::NotOurs { reason: bounded(reason) }
}

/// What the metadata of a file say, after its operators were looked at.
fn described(bytes: &[u8]) -> Result<(Input, Vec<String>, Preprocessing), ExportError> {
    if !is_framed(bytes) {
        return Err(not_ours("is no ONNX model".to_owned()));
    }
    let parsed = catch_panic(|| ModelProto::parse_buf(bytes).map_err(|error| error.to_string()));
    let parsed = parsed.and_then(|parsed| parsed);
    let model = parsed.map_err(|reason| not_ours(format!("is no ONNX model ({reason})")))?;
    let graph =
        model.graph.as_ref().ok_or_else(|| not_ours("is no ONNX model (it has no graph)".to_owned()))?;
    let mut others: Vec<String> = Vec::new();
    for node in &graph.node {
        let operator = node.op_type.as_deref().unwrap_or_default();
        let is_standard = node.domain.as_deref().unwrap_or_default().is_empty();
        let is_known = is_standard && OPERATORS.split(' ').any(|known| known == operator);
        if !is_known && !others.iter().any(|other| other == operator) {
            others.push(operator.to_owned());
        }
    }
    let metadata: BTreeMap<&str, &str> = model
        .metadata_props
        .iter()
        .filter_map(|entry| Some((entry.key.as_deref()?, entry.value.as_deref()?)))
        .collect();
    let (Some(classes), Some(preprocessing)) = (metadata.get("classes"), metadata.get("preprocessing"))
    else {
        return Err(not_ours("is an ONNX model, and not one that mentor export wrote".to_owned()));
    };
    if !others.is_empty() {
        return Err(not_ours(format!("has operators that mentor never writes: {}", listed(&others))));
    }
    let damaged = |error: serde_json::Error| not_ours(format!("its metadata cannot be read ({error})"));
    let classes: Vec<String> = serde_json::from_str(classes).map_err(damaged)?;
    let mut fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(preprocessing).map_err(damaged)?;
    let input = match fields.remove("input") {
        Some(name) if name == "image" => Input::Image,
        Some(name) if name == "tensor" => Input::Tensor,
        _ => return Err(not_ours("its metadata say of no input what it is".to_owned())),
    };
    let preprocessing: Preprocessing = serde_json::from_value(fields.into()).map_err(damaged)?;
    preprocessing.format.check().map_err(|error| not_ours(error.to_string()))?;
    let channels = preprocessing.format.channels;
    if [preprocessing.mean.len(), preprocessing.std.len()] != [channels; 2] {
        return Err(not_ours(format!("its metadata have no mean and deviation for {channels} channels")));
    }
    Ok((input, classes, preprocessing))
}
