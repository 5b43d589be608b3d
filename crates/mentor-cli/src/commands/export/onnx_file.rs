//! The format that is one file.

use std::fs;
use std::path::Path;

use anyhow::anyhow;
use mentor_data::shown_path;
use mentor_export::{Input, to_onnx};
use mentor_run::files::beside;
use mentor_run::{json, write_atomically};
use serde::Serialize;

use super::args::{Args, Precision};
use super::int8::{self, Int8, rounded};
use super::opened::{check_place, opened, verified};
use super::verify::Verification;
use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::table::count;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    int8: Option<Int8>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    check_flags(args)?;
    let report = beside(&args.out, ".json");
    check_place(&args.out, args.force)?;
    if has_report(args) {
        check_place(&report, args.force)?;
    }
    let (trained, run_blake3, model) = opened(args)?;
    let mut bytes = to_onnx(&model, args.input.into())?;
    let verification = args.verify.then(|| verified(args, &trained, &bytes)).transpose()?;
    let mut int8 = None;
    if args.precision == Precision::Int8 {
        let (rounded, found) = rounded(args, &trained, &model, &bytes)?;
        (bytes, int8) = (rounded, Some(found));
    }
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
        int8,
    };
    write_both(args, &report, &bytes, &exported)?;
    match args.json {
        true => output::json(&exported),
        false => output::text(&text(args, &exported)),
    }
}

fn check_flags(args: &Args) -> Result<(), Failure> {
    let problem = match args.precision {
        Precision::Int8 => return int8::check(args),
        Precision::F32 if args.max_loss.is_some() => "--max-loss is for --precision int8",
        Precision::F32 if args.data.is_some() && !args.verify => {
            "--data is for --verify and --precision int8"
        }
        Precision::F32 => return Ok(()),
    };
    Err(Failure::usage(anyhow!(problem)))
}

/// Whether a file beside the model says what was found.
fn has_report(args: &Args) -> bool {
    args.verify || args.precision == Precision::Int8
}

/// The model last: where it is, its report is. Of an earlier model none stays behind.
fn write_both(args: &Args, report: &Path, bytes: &[u8], exported: &Exported<'_>) -> Result<(), Failure> {
    if has_report(args) {
        let mut text = json::pretty(exported).map_err(Failure::failed)?;
        text.push(b'\n');
        write_atomically(report, &text)?;
    } else if args.force && report.is_file() && args.out.is_file() {
        fs::remove_file(report).map_err(|error| {
            Failure::failed(error).context(format!("{}: cannot remove it", shown_path(report)))
        })?;
    }
    write_atomically(&args.out, bytes).map_err(|error| {
        if has_report(args) {
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
    if let Some(int8) = &exported.int8 {
        int8.lines().into_iter().for_each(|(name, value)| line(name, value));
    }
    text
}
