//! Names of classes as text: which are one, and which look like one.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

use crate::classes::natural::natural_order;
use crate::notes::Note;

/// A name in Unicode's composed form (NFC), as every class of a data set has it. Two names that differ only
/// in how their accents are encoded are the same text: macOS and zip files write "é" as two code points,
/// others as one.
///
/// ```
/// assert_eq!(mentor_data::class_name("cafe\u{301}"), "caf\u{e9}");
/// ```
pub fn class_name(name: &str) -> String {
    name.nfc().collect()
}

/// The classes that some names give, in natural order.
pub(crate) struct ClassNames {
    names: Vec<String>,
    /// Those that are written in several ways.
    merged: Vec<String>,
}

impl ClassNames {
    pub(crate) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut spellings: BTreeMap<String, (&str, bool)> = BTreeMap::new();
        for name in names {
            let (first, differs) = spellings.entry(class_name(name)).or_insert((name, false));
            *differs |= *first != name;
        }
        let merged =
            spellings.iter().filter(|(_, (_, differs))| *differs).map(|(name, _)| name.clone()).collect();
        let mut names: Vec<String> = spellings.into_keys().collect();
        names.sort_by(|a, b| natural_order(a, b));
        Self { names, merged }
    }

    /// The class of one of the names.
    pub(crate) fn target(&self, name: &str) -> u32 {
        let name = class_name(name);
        // Every name was given before, so it is there.
        self.names.binary_search_by(|class| natural_order(class, &name)).unwrap_or_default() as u32
    }

    /// What was merged, and what looks alike and was not.
    pub(crate) fn notes(&self) -> Vec<Note> {
        let merged = self.merged.iter().map(|class| Note::MergedClass { class: class.clone() });
        let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in &self.names {
            alike.entry(key(name)).or_default().push(name.clone());
        }
        let groups = alike.into_values().filter(|names| names.len() > 1);
        merged.chain(groups.map(|classes| Note::AlikeClasses { classes })).collect()
    }

    pub(crate) fn into_names(self) -> Vec<String> {
        self.names
    }
}

/// Of `names` the first that a person would take for `name`, and that is not the same text.
///
/// ```
/// let names = ["dog".to_owned(), "cat".to_owned()];
/// assert_eq!(mentor_data::look_alike("Cat ", &names), Some("cat"));
/// assert_eq!(mentor_data::look_alike("cat", &names), None);
/// assert_eq!(mentor_data::look_alike("cats", &names), None);
/// ```
pub fn look_alike<'a>(name: &str, names: impl IntoIterator<Item = &'a String>) -> Option<&'a str> {
    let (own, wanted) = (class_name(name), key(name));
    let mut others = names.into_iter().filter(|&other| class_name(other) != own);
    others.find(|other| key(other) == wanted).map(String::as_str)
}

/// What names have in common that a person would take for one: compatible letters, case, spaces and the signs
/// that stand for them, and the value of numbers ("0" and "0.0").
fn key(name: &str) -> String {
    let folded: String =
        name.nfkc().filter(|c| !c.is_control() && !is_invisible(*c)).flat_map(char::to_lowercase).collect();
    let words: Vec<&str> = folded
        .split(|c: char| c.is_whitespace() || c == '_' || is_hyphen(c))
        .filter(|w| !w.is_empty())
        .collect();
    let sign = if folded.starts_with(is_hyphen) { "-" } else { "" };
    let text = format!("{sign}{}", words.join(" "));
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    match text.parse::<f64>() {
        Ok(value) if is_number => value.to_string(),
        _ => text,
    }
}

/// The hyphen of a keyboard, and what text programs make of it: hyphens, dashes and the minus sign.
fn is_hyphen(character: char) -> bool {
    matches!(character, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// Marks without a width, such as a byte order mark in the middle of a text.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(character, '\u{2060}'..='\u{2064}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_in_two_forms_is_one_class() {
        let names = ClassNames::of(["tea", "cafe\u{301}", "caf\u{e9}"].into_iter());
        assert_eq!([names.target("cafe\u{301}"), names.target("caf\u{e9}"), names.target("tea")], [0, 0, 1]);
        assert_eq!(names.notes(), [Note::MergedClass { class: "caf\u{e9}".to_owned() }]);
        assert_eq!(names.into_names(), ["caf\u{e9}", "tea"]);
    }

    #[test]
    fn the_name_that_is_meant_is_found_among_others() {
        let names = ["dog", "cat", "caf\u{e9}", "new york"].map(str::to_owned);
        for (name, expected) in [
            ("Cat", Some("cat")),
            ("cat ", Some("cat")),
            ("\u{feff}cat", Some("cat")),
            ("New-York", Some("new york")),
            ("CAFE\u{301}", Some("caf\u{e9}")),
            // The same text is no look-alike.
            ("cafe\u{301}", None),
            ("emu", None),
        ] {
            assert_eq!(look_alike(name, &names), expected, "{name:?}");
        }
    }

    #[test]
    fn names_that_look_alike_are_two_classes_and_said() {
        let alike = [
            ["Cat", "cat"],
            ["cat", "cat "],
            ["0", "0.0"],
            ["1", "01"],
            ["new york", "new_york"],
            ["\u{ff21}", "a"],
            ["t-shirt", "t\u{2010}shirt"],
            ["t-shirt", "t\u{2013}shirt"],
            ["-1", "\u{2212}1.0"],
        ];
        for pair in alike {
            let names = ClassNames::of(pair.into_iter());
            let notes = names.notes();
            assert!(
                matches!(&notes[..], [Note::AlikeClasses { classes }] if classes.len() == 2),
                "{pair:?}: {notes:?}"
            );
            assert_eq!(names.into_names().len(), 2);
        }
        for pair in [["cat", "cats"], ["1", "10"], ["1.5", "15"], ["a.b", "ab"], ["1e0", "1"], ["-1", "1"]] {
            assert!(ClassNames::of(pair.into_iter()).notes().is_empty(), "{pair:?}");
        }
    }
}
