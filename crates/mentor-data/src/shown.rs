//! Names of files and classes as a message shows them.

use std::borrow::Cow;
use std::path::Path;

/// The text on one line, with control characters as escapes, and so the invisible ones that turn the
/// direction of writing: neither moves a cursor, and no name looks like another.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(misleads) {
        return Cow::Borrowed(text);
    }
    let mut line = String::new();
    for character in text.chars() {
        match misleads(character) {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    Cow::Owned(line)
}

/// As [`shown`], of a path.
pub(crate) fn shown_path(path: &Path) -> String {
    shown(&path.to_string_lossy()).into_owned()
}

fn misleads(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{feff}')
        || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_misleads_is_escaped_and_letters_stay() {
        assert_eq!(shown("caf\u{e9} \u{5d0}"), "caf\u{e9} \u{5d0}");
        assert_eq!(shown("a\u{202e}gnp.b\u{1b}[2J\n"), r"a\u{202e}gnp.b\u{1b}[2J\n");
    }
}
