//! The formats that are a folder.

use std::fs;
use std::path::Path;

use anyhow::anyhow;
use mentor_data::shown_path;
use mentor_export::{Folder, to_safetensors, to_triton, to_web};
use mentor_run::files::beside;
use mentor_run::{json, write_atomically};
use serde::Serialize;

use super::args::{Args, Format, InputChoice, Precision};
use super::opened::{check_place, opened, verified};
use super::verify::Verification;
use crate::files::run_name::run_name;
use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::table::count;

/// What was exported: `--json`, and the file beside a verified folder.
#[derive(Serialize)]
struct Exported<'a> {
    folder: String,
    files: Vec<FileOfFolder<'a>>,
    architecture: &'a str,
    classes: usize,
    /// Whose names the tensors of safetensors have: timm's or mentor's.
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<&'static str>,
    run_blake3: &'a str,
    mentor: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<Verification>,
}

#[derive(Serialize)]
struct FileOfFolder<'a> {
    path: &'a str,
    bytes: usize,
    blake3: String,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    check_flags(args)?;
    check_folder(&args.out, args.force)?;
    let report = beside(&args.out, ".json");
    if args.verify {
        check_place(&report, args.force)?;
    }
    let (trained, run_blake3, model) = opened(args)?;
    let mut names = None;
    let folder = match args.format {
        Format::Safetensors => {
            let (folder, is_timm) = to_safetensors(&model)?;
            names = Some(if is_timm { "timm" } else { "mentor" });
            folder
        }
        Format::Triton => {
            let black = vec![0; trained.format().num_values()];
            let width = trained.embeddings(&[black]).map_err(Failure::failed)?.width;
            to_triton(&model, args.input.into(), &run_name(&args.run)?, width)?
        }
        Format::Onnx | Format::Web => to_web(&model)?,
    };
    let onnx = folder.files.iter().find(|(path, _)| path.ends_with(".onnx"));
    let verification = match onnx.filter(|_| args.verify) {
        Some((_, bytes)) => Some(verified(args, &trained, bytes)?),
        None => None,
    };
    let files = folder.files.iter().map(|(path, content)| FileOfFolder {
        path,
        bytes: content.len(),
        blake3: blake3::hash(content).to_hex().to_string(),
    });
    let exported = Exported {
        folder: args.out.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        files: files.collect(),
        architecture: &model.architecture,
        classes: model.output.classes().len(),
        names,
        run_blake3: &run_blake3,
        mentor: env!("CARGO_PKG_VERSION"),
        verification,
    };
    if report.is_file() && args.force {
        // It speaks of the files before.
        fs::remove_file(&report).map_err(|error| {
            Failure::failed(error).context(format!("{}: cannot remove it", shown_path(&report)))
        })?;
    }
    write(&args.out, &folder)?;
    if args.verify {
        let mut text = json::pretty(&exported).map_err(Failure::failed)?;
        text.push(b'\n');
        write_atomically(&report, &text)?;
    }
    match args.json {
        true => output::json(&exported),
        false => output::text(&text(args, &exported)),
    }
}

fn check_flags(args: &Args) -> Result<(), Failure> {
    let problem = match args.format {
        _ if args.precision == Precision::Int8 || args.max_loss.is_some() => {
            "--precision int8 is for --format onnx"
        }
        _ if args.data.is_some() && !args.verify => "--data is for --verify",
        Format::Safetensors if args.verify => {
            "--verify runs ONNX files, and --format safetensors writes none"
        }
        Format::Safetensors | Format::Web if args.input == InputChoice::Tensor => {
            "--input tensor is for --format onnx and triton"
        }
        _ => return Ok(()),
    };
    Err(Failure::usage(anyhow!(problem)))
}

/// Fails before the work: the folder is new, or empty, or may be written into.
fn check_folder(path: &Path, force: bool) -> Result<(), Failure> {
    let is_used = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    if path.is_dir() && (force || !is_used) {
        return Ok(());
    }
    match is_used {
        true => {
            let error = anyhow!("{}: is a folder with files in it", shown_path(path));
            Err(Failure::usage(error).help("choose another name, or write into it with --force"))
        }
        false if path.exists() => Err(Failure::usage(anyhow!("{}: is a file", shown_path(path)))),
        false => check_place(path, force),
    }
}

/// Each file whole or not at all, the one that makes the folder whole last.
fn write(folder: &Path, files: &Folder) -> Result<(), Failure> {
    for (path, bytes) in &files.files {
        let path = folder.join(path);
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).map_err(|error| {
                Failure::failed(error).context(format!("{}: cannot make it", shown_path(above)))
            })?;
        }
        write_atomically(&path, bytes)?;
    }
    Ok(())
}

fn text(args: &Args, exported: &Exported<'_>) -> String {
    let mut text = format!("{}\n", shown_path(&args.out));
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<18} {value}\n"));
    line("model", exported.architecture.to_owned());
    if let Some(names) = exported.names {
        line("names of tensors", format!("those of {names}"));
    }
    for file in &exported.files {
        line(&count(file.bytes as u64), file.path.to_owned());
    }
    if let Some(verification) = &exported.verification {
        verification.lines().into_iter().for_each(|(name, value)| line(name, value));
    }
    match args.format {
        Format::Web => {
            text + "copy ort.wasm.min.js, ort-wasm-simd-threaded.mjs and \
            ort-wasm-simd-threaded.wasm of onnxruntime-web's dist/ into it\n"
        }
        _ => text,
    }
}
