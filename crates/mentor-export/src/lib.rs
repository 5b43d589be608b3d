//! Trained models as files that other programs run.
//!
//! [`to_onnx`] writes a model as ONNX, with the resizing and normalising of pictures and the calibration
//! inside, so that the file answers as the model does. [`OnnxModel`] runs such a file by a second engine
//! (rten), and [`Comparison`] says how far the answers of both are apart.
//!
//! [`to_safetensors`], [`to_triton`] and [`to_web`] give the files of a folder: weights under the names that
//! timm has, a model repository for Triton, and a page that classifies in a browser.
//!
//! [`to_onnx_int8`] writes a model in whole numbers of eight bits, with steps that a [`Calibrator`] has
//! measured on pictures.
//!
//! A graph follows from the name of the architecture and the tensors, so that this crate needs no training
//! engine.
//!
//! Files, from the inside out: `graph` (nodes, constants, bytes), `layers` (what families are built from),
//! `families`, `picture` (resizing inside the graph), `onnx` (the whole); then `engine`, `onnx_model` (a file
//! that was written, run again), `comparison`; `int8` (a graph in eight bits); and `folders`, what else a
//! model can be written as.

mod comparison;
mod engine;
mod error;
mod families;
mod folders;
mod framing;
mod graph;
mod int8;
mod layers;
mod model;
mod onnx;
mod onnx_model;
mod picture;

pub use comparison::{Comparison, TOLERANCE};
pub use engine::{HAS_ENGINE, Rows};
pub use error::ExportError;
pub use folders::{Folder, to_safetensors, to_triton, to_web};
pub use int8::{Calibrator, Ranges, to_onnx_int8};
pub use model::{ExportModel, Output, Tensors};
pub use onnx::{Input, to_onnx};
pub use onnx_model::{Answers, OnnxModel, Pictures};
