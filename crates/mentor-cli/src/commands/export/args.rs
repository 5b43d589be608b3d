//! The flags of `mentor export`.

use std::path::PathBuf;

use clap::ValueEnum;
use mentor_export::Input;

const EXAMPLES: &str = "\
Examples:
  mentor export runs/photos --out model.onnx
      take pictures of any size as bytes, and give probabilities and embeddings
  mentor export runs/photos --out model.onnx --verify
      run the file on validation pictures by a second engine first, and write it if it answers as the run does
  mentor export runs/photos --out model.onnx --input tensor
      take normalised floats instead, for those who resize themselves
  mentor export runs/photos --out small.onnx --precision int8
      write weights and activations of eight bits, if the model loses at most half a point of accuracy
  mentor export runs/photos --format web --out site/
      write a page that classifies in the browser; also: --format safetensors, --format triton

The file is ONNX, opset 18. Input image: uint8 [N, H, W, 3], red, green and blue; gray pictures three times. \
Input tensor: float [N, C, H, W] of the model's size. Outputs: probabilities [N, classes], with the \
calibration, and embedding [N, D]; an embedding model gives embedding alone. Metadata: classes, \
preprocessing, architecture, run_blake3 (of the run's model.json), licence, mentor.

--verify writes what it found to the file's name with .json. If the answers differ, nothing is written.

--precision int8 measures the model before and after on validation pictures, and writes what it found to the \
same name with .json. It needs an install with --features verify, as --verify does.

The other formats write a folder. safetensors: weights under timm's names with its config.json, where timm \
has the network (resnet-18 and -34 from 64 pixels on, vit), else under mentor's. triton: a model repository. \
web: a page; copy onnxruntime-web into it. docs/export.md has the details.";

/// Write a trained model as a file that other programs run
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Export the model of this complete run
    #[arg(value_name = "RUN")]
    pub(super) run: PathBuf,

    /// Write to this file; of another format than onnx, to this folder
    #[arg(long, value_name = "PATH")]
    pub(super) out: PathBuf,

    /// Write an ONNX file (onnx), or a folder: weights (safetensors), a model repository (triton) or a page
    /// that classifies (web)
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Onnx)]
    pub(super) format: Format,

    /// Take pictures of any size (image), or normalised floats of the model's size (tensor)
    #[arg(long, value_name = "INPUT", value_enum, default_value_t = InputChoice::Image)]
    pub(super) input: InputChoice,

    /// Compute in floats (f32), or with weights and activations of eight bits (int8), rounded by what up to
    /// 512 validation pictures show
    #[arg(long, value_name = "PRECISION", value_enum, default_value_t = Precision::F32)]
    pub(super) precision: Precision,

    /// Refuse an int8 model that loses more than this share of accuracy, from 0 to 1 [default: 0.005]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(super) max_loss: Option<f64>,

    /// Compare the file with the run on up to 1000 validation pictures, and refuse it if they disagree
    #[arg(long)]
    pub(super) verify: bool,

    /// Verify, and measure int8, on the validation split of this data [default: what the model was trained
    /// on]
    #[arg(long, value_name = "DATA")]
    pub(super) data: Option<String>,

    /// State the licence of the weights in the metadata, such as CC-BY-4.0
    #[arg(long, value_name = "TEXT", default_value = "unstated")]
    pub(super) licence: String,

    /// Replace files that exist
    #[arg(long)]
    pub(super) force: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Onnx,
    Safetensors,
    Triton,
    Web,
}

/// `--input`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum InputChoice {
    Image,
    Tensor,
}

/// `--precision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Precision {
    F32,
    Int8,
}

impl From<InputChoice> for Input {
    fn from(choice: InputChoice) -> Self {
        match choice {
            InputChoice::Image => Self::Image,
            InputChoice::Tensor => Self::Tensor,
        }
    }
}

/// A share, from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("must be from 0 to 1".to_owned()) }
}
