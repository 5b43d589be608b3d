//! `mentor report`: draws runs side by side in one HTML file.

use std::path::{Path, PathBuf};

use mentor_report::{RunReport, render};
use mentor_run::write_atomically;

use crate::terminal::error::Failure;
use crate::terminal::output;

const EXAMPLES: &str = "\
Examples:
  mentor report runs/a
      write runs/a/report.html
  mentor report runs/a runs/b --out compare.html
      draw two runs side by side";

/// Draw one run, or several side by side, as one HTML file that needs no network
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Draw these runs; a run that is not complete is drawn up to its last epoch
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,

    /// Write to this file [default: report.html, in the directory of a single run, or here for several]
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
