//! What is exported of a run, and where it may go.

use std::path::Path;

use anyhow::anyhow;
use burn::tensor::Device;
use mentor_data::shown_path;
use mentor_export::{ExportModel, OnnxModel, Output};
use mentor_model::{Head, parameters};
use mentor_run::RunDir;
use mentor_train::TrainedModel;

use super::args::Args;
use super::verify::{Verification, verify};
use crate::terminal::error::Failure;

/// What `--verify` finds.
pub(super) fn verified(args: &Args, trained: &TrainedModel, onnx: &[u8]) -> Result<Verification, Failure> {
    verify(trained, args.data.as_deref(), &OnnxModel::open(onnx.to_vec())?)
}

/// The model of the run, the hash of its description, and what is exported of it.
pub(super) fn opened(args: &Args) -> Result<(TrainedModel, String, ExportModel), Failure> {
    let trained = TrainedModel::load(&args.run, &Device::flex())?;
    if let Some(backbone) = &trained.file.backbone {
        let (run, network) = (shown_path(&args.run), &backbone.architecture);
        let error = anyhow!("{run}: stands on the pretrained network {network}, which is not exported");
        return Err(Failure::usage(error).help("train one of the networks that `mentor models` lists"));
    }
    let run_blake3 = blake3::hash(&RunDir::open(&args.run)?.model_json()?).to_hex().to_string();
    let model = export_model(&trained, &run_blake3, &args.licence);
    Ok((trained, run_blake3, model))
}

/// Fails before the work rather than after it.
pub(super) fn check_place(path: &Path, force: bool) -> Result<(), Failure> {
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
