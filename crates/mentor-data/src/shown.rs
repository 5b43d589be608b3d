//! Names of files, classes and columns in messages: on one line, without control characters and marks of
//! direction, and shortened. Counts with their nouns.

use std::borrow::Cow;
use std::path::Path;

/// Characters of a name that a message shows; of a longer one the middle is left out.
const MAX_CHARS: usize = 300;
/// Names of a list that a message shows.
const MAX_LISTED: usize = 10;

/// A name as a message shows it: what cannot be seen as an escape such as `\n` or `\u{202e}`, and at most
/// some 300 characters.
#[must_use]
pub fn shown(name: &str) -> Cow<'_, str> {
    shorten(escape(name), MAX_CHARS)
}

/// A path as a message shows it, like [`shown`].
#[must_use]
pub fn shown_path(path: &Path) -> String {
    shown(&path.to_string_lossy()).into_owned()
}

/// The first ten of some names, like [`shown`], and how many there are in all: `a, b, …, 50,000 in all`;
/// `none` of none.
#[must_use]
pub fn listed<T: AsRef<str>>(names: &[T]) -> String {
    let first: Vec<_> = names.iter().take(MAX_LISTED).map(|name| shown(name.as_ref())).collect();
    match names.len() {
        0 => "none".to_owned(),
        len if len <= MAX_LISTED => first.join(", "),
        len => format!("{}, …, {} in all", first.join(", "), with_commas(len)),
    }
}

/// The same text with an escape for every character that cannot be seen.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unseen(character) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// The same text, of more than `max_chars` characters without its middle: endings tell files apart.
#[must_use]
pub fn shorten(text: Cow<'_, str>, max_chars: usize) -> Cow<'_, str> {
    // A character has at least a byte.
    if text.len() <= max_chars || text.chars().count() <= max_chars {
        return text;
    }
    let kept = max_chars.saturating_sub(1);
    let at = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(at, _)| at);
    let (head, tail) = (at(kept.div_ceil(2)), at(text.chars().count() - kept / 2));
    Cow::Owned(format!("{}…{}", &text[..head], &text[tail..]))
}

/// Control characters, marks that set the direction of text, characters without width, and line separators.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// A count with its noun, and its verb if there is one, in the number that fits: `one` for 1, else `many`.
///
/// ```
/// use mentor_data::counted;
/// assert_eq!(counted(1, "image is", "images are"), "1 image is");
/// assert_eq!(counted(12_345, "image is", "images are"), "12,345 images are");
/// assert_eq!(counted(0, "image is", "images are"), "0 images are");
/// ```
pub fn counted(count: usize, one: &str, many: &str) -> String {
    with_commas(count) + " " + if count == 1 { one } else { many }
}

/// A count with a comma before every three digits.
pub(crate) fn with_commas(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_an_escape_and_letters_stay() {
        assert_eq!(shown("café 猫 קט"), "café 猫 קט");
        assert_eq!(shown("a\n\t\u{1b}[2J\u{9b}\u{7f}b"), r"a\n\t\u{1b}[2J\u{9b}\u{7f}b");
        assert_eq!(shown("gnp\u{202e}\u{200b}\u{feff}.exe"), r"gnp\u{202e}\u{200b}\u{feff}.exe");
        assert_eq!(shown_path(Path::new("a\r.png")), r"a\r.png");
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        assert_eq!(shorten("train/photos/0001.png".into(), 11), "train…1.png");
        assert_eq!(shorten("éééééé".into(), 5), "éé…éé");
        assert_eq!(shorten("ééééé".into(), 5), "ééééé");
        assert_eq!(shorten("abc".into(), 0), "…");
        let long = shown_path(&Path::new(&"x".repeat(70_000)).join("end.png"));
        assert!(long.chars().count() == MAX_CHARS && long.ends_with("end.png"), "{long}");
    }

    #[test]
    fn a_list_shows_the_first_and_how_many() {
        assert_eq!(listed::<&str>(&[]), "none");
        assert_eq!(listed(&["a", "b\n"]), r"a, b\n");
        let many: Vec<String> = (0..50_000).map(|index| index.to_string()).collect();
        assert_eq!(listed(&many), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …, 50,000 in all");
    }
}
