//! The terminal: results, errors, tables, progress, and the signals that end a command.

pub(crate) mod error;
pub(crate) mod options;
pub(crate) mod output;
pub(crate) mod progress;
pub(crate) mod reading;
pub(crate) mod signals;
pub(crate) mod table;
