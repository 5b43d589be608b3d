//! Standard output: results for people and for programs. Everything else goes to standard error.

use std::io::{self, IsTerminal, Write};

use mentor_data::{escape, shorten};
use mentor_run::json;
use serde::Serialize;

use crate::terminal::error::Failure;

/// Writes bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    finish(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Writes text for people, and a line break after it where it has none.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    bytes((printable(text, usize::MAX) + end).as_bytes())
}

/// Writes a value as indented JSON, whose names are what they are: programs read it.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let mut bytes = json::pretty(value).map_err(Failure::failed)?;
    bytes.push(b'\n');
    self::bytes(&bytes)
}

/// A value as JSON on one line, with its line break.
pub(crate) fn json_line<T: Serialize>(value: &T) -> Result<Vec<u8>, Failure> {
    let mut line = json::line(value).map_err(Failure::failed)?;
    line.push(b'\n');
    Ok(line)
}

/// Writes a line of progress or advice to standard error, unless nobody reads it any more.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", printable(line, MAX_LINE));
}

/// Characters of a line on standard error; what a user's data holds may be of any length.
pub(crate) const MAX_LINE: usize = 2000;

/// The same lines with escapes for what cannot be seen, which may move a terminal's cursor, and a long one
/// without its middle.
pub(crate) fn printable(text: &str, max_chars: usize) -> String {
    let lines: Vec<_> = text.split('\n').map(|line| shorten(escape(line), max_chars)).collect();
    lines.join("\n")
}

/// Whether standard error is a terminal, on which a progress bar can be drawn.
pub(crate) fn is_interactive() -> bool {
    io::stderr().is_terminal()
}

/// A reader that has seen enough (`mentor … | head`) ends the command, and is no failure.
fn finish(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::status_only(0)),
        result => result
            .map_err(|error| Failure::failed(error).context("cannot write the result to standard output")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_lines_and_letters_kept() {
        assert_eq!(printable("caf\u{e9}\n\u{1b}[2J\r", 99), "caf\u{e9}\n\\u{1b}[2J\\r");
        assert_eq!(printable("abcdef\nab", 3), "a…f\nab");
    }
}
