//! What a command ends with when it fails: an exit status, one `error:` line, its causes, and what to do next.

use std::io::ErrorKind;

use mentor_run::RunDirError;
use mentor_train::pseudo_labels::LabelsError;
use mentor_train::{CacheError, LoadError, PlanError, TrainError};

/// Ran and failed.
pub(crate) const FAILED: u8 = 1;
/// Usage or configuration.
pub(crate) const USAGE: u8 = 2;
/// Bad data.
pub(crate) const BAD_DATA: u8 = 3;
/// Training diverged.
pub(crate) const DIVERGED: u8 = 4;

/// Why a command failed, and what its caller should know.
#[derive(Debug)]
pub(crate) struct Failure {
    status: u8,
    error: Option<anyhow::Error>,
    help: Option<String>,
}

impl Failure {
    fn new(status: u8, error: impl Into<anyhow::Error>) -> Self {
        Self { status, error: Some(error.into()), help: None }
    }

    /// Ran and failed.
    pub(crate) fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self::new(FAILED, error)
    }

    /// Usage or configuration.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::new(USAGE, error)
    }

    /// Bad data.
    pub(crate) fn data(error: impl Into<anyhow::Error>) -> Self {
        Self::new(BAD_DATA, error)
    }

    /// Training diverged.
    pub(crate) fn diverged(error: impl Into<anyhow::Error>) -> Self {
        Self::new(DIVERGED, error)
    }

    /// Only an exit status: what there is to say was said.
    pub(crate) fn status_only(status: u8) -> Self {
        Self { status, error: None, help: None }
    }

    /// What to do next.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A line above the error, which becomes its cause.
    pub(crate) fn context(mut self, line: impl Into<String>) -> Self {
        let line = line.into();
        self.error = self.error.map(|error| error.context(line));
        self
    }

    /// The exit status.
    pub(crate) fn status(&self) -> u8 {
        self.status
    }

    /// The `error:` line, the causes and the `help:` line; nothing where only the status matters.
    pub(crate) fn render(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        let mut lines: Vec<String> = Vec::new();
        for cause in error.chain() {
            let line = cause.to_string();
            // Many errors quote their source; saying it again helps nobody.
            if !lines.iter().any(|said| said.contains(&line)) {
                lines.push(line);
            }
        }
        // The libraries end a message with what to do next, after a semicolon.
        let mut help = self.help.clone();
        if help.is_none()
            && let Some(last) = lines.last_mut().filter(|line| !line.contains('\n'))
            && let Some((what, next)) = last.rsplit_once("; ")
        {
            help = Some(next.to_owned());
            *last = what.to_owned();
        }
        if help.is_none() && self.status == USAGE {
            help = Some("with --help, a command lists what it takes".to_owned());
        }
        let mut text = format!("error: {}", lines.first()?);
        lines.iter().skip(1).for_each(|cause| text.push_str(&format!("\n  caused by: {cause}")));
        if let Some(help) = help {
            text.push_str(&format!("\nhelp: {help}"));
        }
        Some(text)
    }
}

/// An error of a library that is about the user's data.
impl From<mentor_data::DataError> for Failure {
    fn from(error: mentor_data::DataError) -> Self {
        match error {
            mentor_data::DataError::InvalidOption { .. } => Self::usage(error),
            mentor_data::DataError::BadImage { path, fault, .. } => {
                let help = format!(
                    "{}; training leaves such files out with --on-bad-image skip or quarantine",
                    fault.advice()
                );
                Self::data(anyhow::anyhow!("{}: {fault}", path.display())).help(help)
            }
            error => Self::data(error),
        }
    }
}

impl From<mentor_model::ModelError> for Failure {
    fn from(error: mentor_model::ModelError) -> Self {
        Self::usage(error)
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        Self::usage(error)
    }
}

/// Naming the wrong directory is usage; a file that is damaged, or a disk that is full, is a failure.
impl From<RunDirError> for Failure {
    fn from(error: RunDirError) -> Self {
        use ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
        match &error {
            RunDirError::Io { source, .. } => match source.kind() {
                NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem => {
                    Self::usage(error).help("choose another directory, or make this one writable")
                }
                _ => Self::failed(error),
            },
            RunDirError::Damaged { .. }
            | RunDirError::NotPlain { .. }
            | RunDirError::TooLarge { .. }
            | RunDirError::MissingFile { .. } => Self::failed(error),
            _ => Self::usage(error),
        }
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Data(error) => error.into(),
            TrainError::Model(error) => error.into(),
            TrainError::Plan(error) => error.into(),
            TrainError::RunDir(error) => error.into(),
            TrainError::Diverged { .. } | TrainError::Overflowed { .. } => Self::diverged(error),
            TrainError::DataChanged
            | TrainError::LessonsChanged
            | TrainError::Teacher { .. }
            | TrainError::SelfTrain { .. } => Self::data(error),
            TrainError::Labels(LabelsError::File(error)) => error.into(),
            TrainError::Labels(error) => Self::data(error),
            TrainError::Load(error) => error.into(),
            TrainError::Cache(CacheError::Foreign { .. }) => Self::usage(error),
            error => Self::failed(error),
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::RunDir(error) => error.into(),
            error => Self::failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read {path}: {source}")]
    struct Reading {
        path: &'static str,
        source: std::io::Error,
    }

    #[test]
    fn a_cause_that_the_error_quotes_is_not_said_again() {
        let source = std::io::Error::other("disk on fire");
        let failure = Failure::failed(Reading { path: "a.png", source }).context("cannot start");
        let expected = "error: cannot start\n  caused by: cannot read a.png: disk on fire";
        assert_eq!(failure.render().unwrap(), expected);
    }

    #[test]
    fn advice_at_the_end_of_a_message_is_the_help_line() {
        let failure = Failure::data(anyhow::anyhow!("a; b: not a data set; give a folder"));
        assert_eq!(failure.render().unwrap(), "error: a; b: not a data set\nhelp: give a folder");
        let failure = failure.help("read the manual");
        assert_eq!(
            failure.render().unwrap(),
            "error: a; b: not a data set; give a folder\nhelp: read the manual"
        );
    }
}
