//! Why pictures cannot be labelled.

use std::io;
use std::path::{Path, PathBuf};

use mentor_data::{shown, shown_path};

/// Why pictures cannot be labelled. Every message is one line that says where and what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnnotateError {
    /// Fewer than two classes, or more than the page has room for.
    #[error("{found} classes are named: name 2 to 100")]
    NumClasses {
        /// How many.
        found: usize,
    },
    /// A name is given twice.
    #[error("the class \"{}\" is named twice", shown(name))]
    EqualClasses {
        /// The name.
        name: String,
    },
    /// A name is empty, or has a line break in it.
    #[error("a class is named \"{}\": a name has letters, and no line breaks", shown(name))]
    ClassName {
        /// The name.
        name: String,
    },
    /// The file of labels, or the socket, cannot be used.
    #[error("{}: {source}", shown_path(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No address of this machine can be listened on.
    #[error("127.0.0.1:{port}: {source}")]
    Listen {
        /// The port; 0 for any.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// Another process holds the file of labels.
    #[error("{}: another mentor annotate writes to it", shown_path(path))]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file of labels does not begin with the columns that are written.
    #[error("{}: begins with \"{}\", not with {expected}", shown_path(path), shown(found))]
    Header {
        /// The file.
        path: PathBuf,
        /// Its first line.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A line is no answer about these pictures.
    #[error("{}: line {line}: {reason}", shown_path(path))]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
}

impl AnnotateError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// What to do next: ways of which one is enough.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        let ways: &[&str] = match self {
            Self::NumClasses { .. } => &["separate the names by commas"],
            Self::EqualClasses { .. } | Self::ClassName { .. } => &["give every class a name of its own"],
            Self::Io { .. } => &["name a file that can be written"],
            Self::Listen { .. } => &["name another port", "leave the port out"],
            Self::Locked { .. } => &["use the page of that process", "name another file"],
            Self::Header { .. } | Self::Line { .. } => {
                &["name a new file", "name the folder and the classes that it belongs to"]
            }
        };
        ways.iter().map(|&way| way.to_owned()).collect()
    }

    /// Whether other arguments help, and not other files.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NumClasses { .. }
                | Self::EqualClasses { .. }
                | Self::ClassName { .. }
                | Self::Listen { .. }
                | Self::Locked { .. }
        )
    }
}
