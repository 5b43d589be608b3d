//! The options that messages of the libraries name, as the flags of a command.
//!
//! A library names an option by its key in the configuration, in backquotes: `` `optimizer.learning_rate` ``.
//! A command may have a flag for it, or `--set`, or no way to it at all.

use clap::Command;

/// Keys whose last word is not the name of their flag.
const FLAGS: [(&str, &str); 7] = [
    ("data.source", "data"),
    ("model.name", "model"),
    ("loss.name", "loss"),
    ("optimizer.name", "optimizer"),
    ("distill.teachers", "teacher"),
    ("distill.cache", "no-cache"),
    ("self_train.augment", "noise-augment"),
];

/// A message with the flags of `command` in place of keys; a key that it has no flag for stays what it is.
pub(crate) fn in_flags(message: &str, command: &Command) -> String {
    replace(message, command).0
}

/// Those of some ways out that `command` has the options for, as one text; nothing if it has none.
pub(crate) fn ways_in_flags(ways: &[String], command: &Command) -> Option<String> {
    let mut open: Vec<String> =
        ways.iter().map(|way| replace(way, command)).filter(|(_, open)| *open).map(|(way, _)| way).collect();
    let last = open.pop()?;
    match open.as_slice() {
        [] => Some(last),
        [first] => Some(format!("{first}, or {last}")),
        _ => Some(format!("{}, or {last}", open.join(", "))),
    }
}

/// The text with flags, and whether there was one for every key.
fn replace(text: &str, command: &Command) -> (String, bool) {
    let mut replaced = String::with_capacity(text.len());
    let mut complete = true;
    // Every second part was in backquotes; an odd backquote is no mark of anything.
    let parts: Vec<&str> = text.split('`').collect();
    for (index, part) in parts.iter().enumerate() {
        let quoted = index % 2 == 1 && index + 1 < parts.len();
        match if quoted { key(part) } else { None } {
            Some(key) => match flag(key, command) {
                Some(flag) => replaced.push_str(&flag),
                None => {
                    complete = false;
                    replaced.push_str(key);
                }
            },
            None if quoted => replaced.push_str(&format!("`{part}`")),
            None if index > 0 && index % 2 == 1 => replaced.push_str(&format!("`{part}")),
            None => replaced.push_str(part),
        }
    }
    (replaced, complete)
}

/// The text, if it is the key of an option: words in tables, or the name of a flag.
fn key(text: &str) -> Option<&str> {
    let is_word = |word: &str| {
        let of_a_word =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
        word.starts_with(|letter: char| letter.is_ascii_lowercase()) && word.chars().all(of_a_word)
    };
    let is_key = text.split('.').all(is_word)
        && (text.contains('.') || ["out", "shard", "num_shards"].contains(&text));
    is_key.then_some(text)
}

/// How `command` sets the option of this key.
fn flag(key: &str, command: &Command) -> Option<String> {
    let known = FLAGS.iter().find(|(known, _)| *known == key).map(|(_, flag)| (*flag).to_owned());
    let name = known.unwrap_or_else(|| key.rsplit('.').next().unwrap_or(key).replace('_', "-"));
    let has = |name: &str| command.get_arguments().any(|argument| argument.get_long() == Some(name));
    if has(&name) {
        Some(format!("--{name}"))
    } else if has("set") && key.contains('.') {
        Some(format!("{key} (with --set {key}=VALUE)"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use mentor_data::{DataError, Fault};

    use super::*;
    use crate::args::Cli;

    fn ways(error: &DataError, command: &str) -> Option<String> {
        ways_in_flags(&error.help(), Cli::command().find_subcommand(command).unwrap())
    }

    fn bad(fault: Fault) -> DataError {
        DataError::BadImage { path: "a.png".into(), fault, can_be_skipped: true }
    }

    #[test]
    fn a_command_is_told_what_it_can_do() {
        let damaged = bad(Fault::Damaged("the file is empty".to_owned()));
        let both = "repair or remove the file, or set --on-bad-image to skip or quarantine";
        assert_eq!(ways(&damaged, "train").unwrap(), both);
        for command in ["predict", "embed", "eval", "data", "label"] {
            assert_eq!(ways(&damaged, command).unwrap(), "repair or remove the file", "{command}");
        }
        let large = bad(Fault::TooLarge { height: 2, width: 5, max_pixels: 9 });
        for command in ["train", "distill", "self-train", "predict", "data"] {
            let told = ways(&large, command).unwrap();
            assert!(told.starts_with("raise --max-pixels to 10"), "{command}: {told}");
        }
    }

    #[test]
    fn an_option_without_a_flag_is_set_by_its_key_or_left_out() {
        let key = "data.options.limits.max_memory_bytes";
        let large = DataError::TooLarge {
            path: "a.npz".into(),
            what: "the data set",
            size: 2,
            limit: 1,
            option: "max_memory_bytes",
        };
        for command in ["train", "distill", "self-train"] {
            assert_eq!(ways(&large, command).unwrap(), format!("raise {key} (with --set {key}=VALUE)"));
        }
        assert_eq!(ways(&large, "predict"), None);
    }

    #[test]
    fn keys_become_flags_and_other_words_in_backquotes_stay() {
        let train = Cli::command();
        let train = train.find_subcommand("train").unwrap();
        let text =
            "give `data.source`, not `path,label`, and lower `optimizer.learning_rate`; an odd ` stays";
        let told = "give --data, not `path,label`, and lower --learning-rate; an odd ` stays";
        assert_eq!(in_flags(text, train), told);
        assert_eq!(in_flags("a `b", train), "a `b");
    }
}
