//! What a place for scalars is told.

use std::path::PathBuf;

use mentor_run::Started;

/// A number and its name.
pub(crate) type Scalar = (String, f64);

/// One place where scalars are written.
pub(crate) trait Sink {
    /// A part of the work begins that trains; `stage` is its name if there are several.
    fn started(&mut self, stage: Option<&str>, started: &Started) -> anyhow::Result<()>;

    /// Scalars after `step` updates.
    fn scalars(&mut self, step: u64, scalars: &[Scalar]) -> anyhow::Result<()>;

    /// The run is complete, was interrupted, or has failed.
    fn ended(&mut self, end: End) -> anyhow::Result<()>;
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Complete,
    Interrupted,
    Failed,
}

/// A name as one part of a path.
pub(crate) fn slug(text: &str) -> PathBuf {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let name: String = text.chars().map(plain).take(60).collect();
    name.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-").into()
}
