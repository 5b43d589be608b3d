//! What a run is called where a path has no place.

use std::path::Path;

use anyhow::anyhow;
use mentor_data::shown_path;

use crate::terminal::error::Failure;

/// The name of a run's directory.
///
/// # Errors
///
/// If it has no name, such as the root.
pub(crate) fn run_name(run: &Path) -> Result<String, Failure> {
    let named = run.canonicalize().unwrap_or_else(|_| run.to_owned());
    let name = named.file_name().map(|name| name.to_string_lossy().into_owned());
    name.ok_or_else(|| Failure::usage(anyhow!("{}: has no name", shown_path(run))))
}
