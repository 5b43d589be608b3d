//! Standard output: results for people and for programs. Everything else goes to standard error.

use std::io::{self, IsTerminal, Write};

use mentor_run::json;
use serde::Serialize;

use crate::terminal::error::Failure;

/// Writes bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    finish(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Writes text, and a line break after it where it has none.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    bytes(format!("{text}{end}").as_bytes())
}

/// Writes a value as indented JSON.
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
    let _ = writeln!(io::stderr().lock(), "{}", printable(line));
}

/// The same text with control characters as escapes: a file's name may hold what would move a terminal's cursor.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push('\n'),
            control if control.is_control() => shown.extend(control.escape_default()),
            character => shown.push(character),
        }
    }
    shown
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
        assert_eq!(printable("caf\u{e9}\n\u{1b}[2J\r"), "caf\u{e9}\n\\u{1b}[2J\\r");
    }
}
