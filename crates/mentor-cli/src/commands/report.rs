//! `mentor report`: runs side by side in one HTML file.

use std::path::{Path, PathBuf};

use mentor_report::{RunReport, render};
use mentor_run::write_atomically;

use crate::terminal::error::Failure;
use crate::terminal::output;

const EXAMPLES: &str = "\
Examples:
  mentor report runs/a
      writes runs/a/report.html
  mentor report runs/a runs/b --out compare.html";

/// Draw one run, or several side by side, as one HTML file that needs no network
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Directories of runs; one that is not complete is shown as far as it has come
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,

    /// File to write [default: report.html, of one run in its directory, of several in this one]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let out = match (&args.out, args.runs.as_slice()) {
        // A file of a run is written by the run directory, whole or not at all.
        (None, [run]) => {
            super::train::write_report(run)?;
            return output::text(&run.join("report.html").display().to_string());
        }
        (None, _) => PathBuf::from("report.html"),
        (Some(out), _) => out.clone(),
    };
    let reports = args.runs.iter().map(|run| RunReport::read(run)).collect::<Result<Vec<_>, _>>()?;
    write(&out, &reports)?;
    output::text(&out.display().to_string())
}

/// Renders the runs into a file.
pub(super) fn write(out: &Path, reports: &[RunReport]) -> Result<(), Failure> {
    Ok(write_atomically(out, render(reports).as_bytes())?)
}
