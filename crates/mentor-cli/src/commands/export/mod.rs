//! `mentor export`: writes a trained model as a file that other programs run.

mod verify;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use burn::tensor::Device;
use clap::ValueEnum;
use mentor_data::shown_path;
use mentor_export::{ExportModel, Input, OnnxModel, Output, to_onnx};
use mentor_model::{Head, parameters};
use mentor_run::files::beside;
use mentor_run::{RunDir, json, write_atomically};
use mentor_train::TrainedModel;
use serde::Serialize;

use self::verify::{Verification, verify};
use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::table::count;

const EXAMPLES: &str = "\
Examples:
  mentor export runs/photos --out model.onnx
      take pictures of any size as bytes, and give probabilities and embeddings
  mentor export runs/photos --out model.onnx --verify
      run the file on validation pictures by a second engine first, and write it if it answers as the run does
  mentor export runs/photos --out model.onnx --input tensor
      take normalised floats instead, for those who resize themselves

The file is ONNX, opset 18. Input image: uint8 [N, H, W, 3], red, green and blue; gray pictures three times. \
Input tensor: float [N, C, H, W] of the model's size. Outputs: probabilities [N, classes], with the \
calibration, and embedding [N, D]; an embedding model gives embedding alone. Metadata: classes, \
preprocessing, architecture, run_blake3 (of the run's model.json), licence, mentor.

--verify writes what it found to the file's name with .json. If the answers differ, nothing is written. \
docs/export.md has the details.";

/// Write a trained model as an ONNX file
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Export the model of this complete run
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Write to this file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Take pictures of any size (image), or normalised floats of the model's size (tensor)
    #[arg(long, value_name = "INPUT", value_enum, default_value_t = InputChoice::Image)]
    input: InputChoice,

    /// Compare the file with the run on up to 1000 validation pictures, and refuse it if they disagree
    #[arg(long)]
    verify: bool,

    /// Verify on the validation split of this data [default: what the model was trained on]
    #[arg(long, value_name = "DATA", requires = "verify")]
    data: Option<String>,

    /// State the licence of the weights in the metadata, such as CC-BY-4.0
    #[arg(long, value_name = "TEXT", default_value = "unstated")]
    licence: String,

    /// Replace files that exist
    #[arg(long)]
    force: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// `--input`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InputChoice {
    Image,
    Tensor,
}

impl From<InputChoice> for Input {
    fn from(choice: InputChoice) -> Self {
        match choice {
            InputChoice::Image => Self::Image,
            InputChoice::Tensor => Self::Tensor,
        }
    }
}

/// What was exported: `--json`, and the file beside a verified model.
#[derive(Serialize)]
struct Exported<'a> {
    file: String,
    bytes: usize,
    blake3: String,
    architecture: &'a str,
    classes: usize,
    input: Input,
    run_blake3: &'a str,
    mentor: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<Verification>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let report = beside(&args.out, ".json");
    check_place(&args.out, args.force)?;
    if args.verify {
        check_place(&report, args.force)?;
    }
    let trained = TrainedModel::load(&args.run, &Device::flex())?;
    if let Some(backbone) = &trained.file.backbone {
        let (run, network) = (shown_path(&args.run), &backbone.architecture);
        let error = anyhow!("{run}: stands on the pretrained network {network}, which is not exported");
        return Err(Failure::usage(error).help("train one of the networks that `mentor models` lists"));
    }
    let run_blake3 = blake3::hash(&RunDir::open(&args.run)?.model_json()?).to_hex().to_string();
    let model = export_model(&trained, &run_blake3, &args.licence);
    let bytes = to_onnx(&model, args.input.into())?;
    let verification = match args.verify {
        true => {
            let exported = OnnxModel::open(bytes.clone())?;
            Some(verify(&trained, args.data.as_deref(), &exported)?)
        }
        false => None,
    };
    let exported = Exported {
        file: args.out.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        bytes: bytes.len(),
        blake3: blake3::hash(&bytes).to_hex().to_string(),
        architecture: &model.architecture,
        classes: model.output.classes().len(),
        input: args.input.into(),
        run_blake3: &run_blake3,
        mentor: env!("CARGO_PKG_VERSION"),
        verification,
    };
    write_both(args, &report, &bytes, &exported)?;
    match args.json {
        true => output::json(&exported),
        false => output::text(&text(args, &exported)),
    }
}

/// Fails before the work rather than after it.
fn check_place(path: &Path, force: bool) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let problem = match folder {
        Some(folder) if !folder.is_dir() => format!("there is no folder {}", shown_path(folder)),
        _ if path.is_dir() => "is a folder".to_owned(),
        _ if path.exists() && !force => {
            let error = anyhow!("{}: exists", shown_path(path));
            return Err(Failure::usage(error).help("choose another name, or replace it with --force"));
        }
        _ => return Ok(()),
    };
    Err(Failure::usage(anyhow!("{}: {problem}", shown_path(path))))
}

/// The model as plain values.
fn export_model(trained: &TrainedModel, run_blake3: &str, licence: &str) -> ExportModel {
    let file = &trained.file;
    let tensors = parameters(&trained.model);
    let metadata = [("run_blake3", run_blake3), ("licence", licence), ("mentor", env!("CARGO_PKG_VERSION"))];
    ExportModel {
        architecture: file.spec.architecture.clone(),
        tensors: tensors.into_iter().map(|tensor| (tensor.path, tensor.shape, tensor.values)).collect(),
        output: match file.spec.head {
            Head::Classifier { .. } => {
                Output::Classifier { classes: file.classes.clone(), calibration: file.calibration.clone() }
            }
            Head::Embedding { unit_norm, .. } => Output::Embedding { unit_norm },
        },
        preprocessing: file.preprocessing.clone(),
        metadata: metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
    }
}

/// The model last: where it is, the report of its verification is. Of an earlier model none stays behind.
fn write_both(args: &Args, report: &Path, bytes: &[u8], exported: &Exported<'_>) -> Result<(), Failure> {
    if args.verify {
        let mut text = json::pretty(exported).map_err(Failure::failed)?;
        text.push(b'\n');
        write_atomically(report, &text)?;
    } else if args.force && report.is_file() && args.out.is_file() {
        fs::remove_file(report).map_err(|error| {
            Failure::failed(error).context(format!("{}: cannot remove it", shown_path(report)))
        })?;
    }
    write_atomically(&args.out, bytes).map_err(|error| {
        if args.verify {
            // It speaks of a file that is not there.
            let _ = fs::remove_file(report);
        }
        error.into()
    })
}

fn text(args: &Args, exported: &Exported<'_>) -> String {
    let mut text = format!("{}\n", shown_path(&args.out));
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<18} {value}\n"));
    line("model", exported.architecture.to_owned());
    line("input", exported.input.name().to_owned());
    line("bytes", count(exported.bytes as u64));
    if let Some(verification) = &exported.verification {
        verification.lines().into_iter().for_each(|(name, value)| line(name, value));
    }
    text
}
