//! The end of a command that fails: an exit status, one `error:` line, its causes, and what to do next.

use clap::Command;
use mentor_data::escape;
use mentor_export::ExportError;
use mentor_linear::LinearError;
use mentor_loss::LossError;
use mentor_metrics::retrieval::RetrievalError;
use mentor_run::{ConfigError, RunDirError};
use mentor_train::pseudo_labels::LabelsError;
use mentor_train::{CacheError, LoadError, PlanError, TrainError};

use crate::terminal::options;

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
    /// Ways out, of which one is enough; one that needs an option has its key in backquotes.
    help: Vec<String>,
}

impl Failure {
    fn new(status: u8, error: impl Into<anyhow::Error>) -> Self {
        Self { status, error: Some(error.into()), help: Vec::new() }
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
        Self { status, error: None, help: Vec::new() }
    }

    /// Whether a signal ended the command.
    pub(crate) fn is_interruption(&self) -> bool {
        matches!(self.status, 130 | 143)
    }

    /// What to do next.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = vec![help.into()];
        self
    }

    /// What to do next, as an error of a library says it.
    pub(crate) fn ways(mut self, ways: Vec<String>) -> Self {
        self.help = ways;
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

    /// The `error:` line, the causes and the `help:` line; nothing where only the status matters. `command`
    /// is the one that failed: messages have its flags.
    pub(crate) fn render(&self, command: &Command) -> Option<String> {
        let error = self.error.as_ref()?;
        let mut lines: Vec<String> = Vec::new();
        for cause in error.chain() {
            let line = options::in_flags(&cause.to_string(), command);
            // Many errors quote their source; saying it again helps nobody.
            if !lines.iter().any(|said| said.contains(&line)) {
                lines.push(line);
            }
        }
        let mut help = options::ways_in_flags(&self.help, command);
        if help.is_none() && self.status == USAGE {
            help = Some("with --help, a command lists what it takes".to_owned());
        }
        let mut text = format!("error: {}", indented(lines.first()?));
        lines.iter().skip(1).for_each(|cause| text.push_str(&format!("\n  caused by: {}", indented(cause))));
        if let Some(help) = help {
            text.push_str(&format!("\nhelp: {}", escape(&help)));
        }
        Some(text)
    }
}

/// A message whose further lines are indented: none can look like another message.
fn indented(message: &str) -> String {
    let mut lines = message.split('\n');
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| text + if line.starts_with("  ") { "\n" } else { "\n  " } + line)
}

/// An error of a library that is about the user's data.
impl From<mentor_data::DataError> for Failure {
    fn from(error: mentor_data::DataError) -> Self {
        let help = error.help();
        let failure = match error {
            mentor_data::DataError::InvalidOption { .. } => Self::usage(error),
            error => Self::data(error),
        };
        failure.ways(help)
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

impl From<LossError> for Failure {
    fn from(error: LossError) -> Self {
        Self::usage(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let help = error.help();
        Self::usage(error).ways(help)
    }
}

/// Naming the wrong directory is usage; a file that is damaged, or a disk that is full, is a failure.
impl From<RunDirError> for Failure {
    fn from(error: RunDirError) -> Self {
        let help = error.help();
        let failure = match error {
            // It can be helped by another directory.
            RunDirError::Io { .. } if help.is_empty() => Self::failed(error),
            RunDirError::Damaged { .. }
            | RunDirError::NotPlain { .. }
            | RunDirError::TooLarge { .. }
            | RunDirError::MissingFile { .. } => Self::failed(error),
            _ => Self::usage(error),
        };
        failure.ways(help)
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Self {
        let help = error.help();
        let failure = match error {
            TrainError::Data(error) => return error.into(),
            TrainError::Model(error) => return error.into(),
            TrainError::Plan(error) => return error.into(),
            // Class weights that the data does not fit.
            TrainError::Loss(error @ LossError::ClassWeightCount { .. }) => return error.into(),
            TrainError::RunDir(error) | TrainError::Labels(LabelsError::File(error)) => return error.into(),
            TrainError::Load(error) => return error.into(),
            TrainError::Linear(LinearError::Separable | LinearError::NoPenalty) => Self::usage(error),
            TrainError::Diverged { .. } | TrainError::Overflowed { .. } => Self::diverged(error),
            TrainError::DataChanged
            | TrainError::LessonsChanged
            | TrainError::Backbone(_)
            | TrainError::Linear(_)
            | TrainError::Teacher { .. }
            | TrainError::SelfTrain { .. } => Self::data(error),
            TrainError::Labels(error) => Self::data(error),
            TrainError::Cache(CacheError::Foreign { .. }) => Self::usage(error),
            error => Self::failed(error),
        };
        failure.ways(help)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let help = error.help();
        match error {
            LoadError::RunDir(error) => error.into(),
            error => Self::failed(error).ways(help),
        }
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        let help = error.help();
        let failure = match error {
            ExportError::NoEngine => Self::usage(error),
            ExportError::NotOurs { .. } => Self::data(error),
            error => Self::failed(error),
        };
        failure.ways(help)
    }
}

impl From<RetrievalError> for Failure {
    fn from(error: RetrievalError) -> Self {
        let help = error.help();
        Self::data(error).ways(help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(failure: &Failure) -> String {
        failure.render(&Command::new("mentor")).unwrap()
    }

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
        assert_eq!(render(&failure), expected);
    }

    #[test]
    fn a_semicolon_in_a_message_is_not_the_beginning_of_the_help_line() {
        let failure = Failure::data(anyhow::anyhow!("a; b: not a data set"));
        assert_eq!(render(&failure), "error: a; b: not a data set");
        let missing = mentor_data::DataError::NotFound { path: "a; b".into() };
        assert_eq!(render(&missing.into()), "error: a; b: no such file or folder\nhelp: check the path");
    }

    #[test]
    fn no_line_of_a_message_looks_like_another_message() {
        let failure = Failure::data(anyhow::anyhow!("a\nerror: b\n  - c").context("d"));
        assert_eq!(render(&failure), "error: d\n  caused by: a\n  error: b\n  - c");
    }
}
