//! Names of several files in one: braces as the shell has them, `{000..099}` and `{train,val}`, and the wild
//! cards `*`, `?` and `[..]`.

use std::path::{Path, PathBuf};

use crate::error::DataError;

/// More files are no longer listed.
const MAX_FILES: usize = 100_000;

/// Whether a name may mean several files.
pub(crate) fn is_pattern(name: &str) -> bool {
    name.contains(['{', '*', '?', '['])
}

/// The files that a pattern means: those of braces in their order, those of wild cards in the order of their
/// names.
///
/// # Errors
///
/// If a file that braces name is missing, nothing fits the wild cards, or the pattern means more than 100,000
/// files.
pub(crate) fn files(pattern: &str) -> Result<Vec<PathBuf>, DataError> {
    let whole = Path::new(pattern);
    let wrong = |reason: String| DataError::Pattern { path: whole.to_owned(), reason };
    let too_many = || wrong(format!("means more than {MAX_FILES} files"));
    let mut names = Vec::new();
    expand("", pattern, &mut names).map_err(|TooMany| too_many())?;
    let mut files = Vec::new();
    for name in names {
        let path = PathBuf::from(&name);
        if path.exists() {
            files.push(path);
        } else if name.contains(['*', '?', '[']) {
            let found = glob::glob(&name).map_err(|error| wrong(format!("{error}")))?;
            let mut found: Vec<PathBuf> =
                found.filter_map(Result::ok).filter(|path| !path.is_dir()).take(MAX_FILES + 1).collect();
            found.sort();
            files.append(&mut found);
        } else {
            return Err(DataError::NoDataSet { path });
        }
        if files.len() > MAX_FILES {
            return Err(too_many());
        }
    }
    let mut seen = std::collections::HashSet::new();
    files.retain(|path| seen.insert(path.clone()));
    if files.is_empty() { Err(wrong("no file has such a name".to_owned())) } else { Ok(files) }
}

struct TooMany;

/// Adds `before` with all that the braces in `pattern` mean.
fn expand(before: &str, pattern: &str, names: &mut Vec<String>) -> Result<(), TooMany> {
    if names.len() >= MAX_FILES {
        return Err(TooMany);
    }
    let braces = pattern.find('{').and_then(|open| {
        let close = open + pattern[open..].find('}')?;
        Some((open, close, alternatives(&pattern[open + 1..close])?))
    });
    let Some((open, close, alternatives)) = braces else {
        names.push(format!("{before}{pattern}"));
        return Ok(());
    };
    for alternative in alternatives.take(MAX_FILES + 1) {
        expand(&format!("{before}{}{alternative}", &pattern[..open]), &pattern[close + 1..], names)?;
    }
    Ok(())
}

/// What is in braces; `None` if it is no list and no range.
fn alternatives(inside: &str) -> Option<Box<dyn Iterator<Item = String> + '_>> {
    if let Some((first, last)) = inside.split_once("..") {
        let number = |text: &str| {
            (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse::<u64>())
        };
        let (start, end) = (number(first)?.ok()?, number(last)?.ok()?);
        // As in bash: a zero in front makes all as wide as the widest.
        let padded = [first, last].iter().any(|text| text.len() > 1 && text.starts_with('0'));
        let width = if padded { first.len().max(last.len()) } else { 0 };
        let name = move |number: u64| format!("{number:0width$}");
        return Some(match start <= end {
            true => Box::new((start..=end).map(name)),
            false => Box::new((end..=start).rev().map(name)),
        });
    }
    inside
        .contains(',')
        .then(|| Box::new(inside.split(',').map(str::to_owned)) as Box<dyn Iterator<Item = _>>)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(pattern: &str) -> Vec<String> {
        let mut names = Vec::new();
        assert!(expand("", pattern, &mut names).is_ok());
        names
    }

    #[test]
    fn braces_mean_what_they_mean_in_a_shell() {
        assert_eq!(expanded("{008..010}.tar"), ["008.tar", "009.tar", "010.tar"]);
        assert_eq!(expanded("a-{9..11}"), ["a-9", "a-10", "a-11"]);
        assert_eq!(expanded("{2..1}"), ["2", "1"]);
        assert_eq!(expanded("{train,val}-{0..1}.tar").len(), 4);
        assert_eq!(expanded("{train,val}-{0..1}.tar")[2], "val-0.tar");
        assert_eq!(expanded("{a..b}{}"), ["{a..b}{}"]);
        assert!(matches!(expand("", "{0..99999999}", &mut Vec::new()), Err(TooMany)));
        assert!(matches!(expand("", "{0..999}{0..999}", &mut Vec::new()), Err(TooMany)));
    }

    #[test]
    fn wild_cards_find_files_and_a_missing_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        ["b.tar", "a.tar", "c.txt"].iter().for_each(|name| std::fs::write(at(name), "").unwrap());
        let pattern = |name: &str| files(at(name).to_str().unwrap());
        assert_eq!(pattern("*.tar").unwrap(), [at("a.tar"), at("b.tar")]);
        assert_eq!(pattern("{b,a}.tar").unwrap(), [at("b.tar"), at("a.tar")]);
        assert!(pattern("{b,x}.tar").unwrap_err().to_string().contains("x.tar: no such file"));
        assert!(pattern("*.zip").unwrap_err().to_string().contains("no file has such a name"));
    }
}
