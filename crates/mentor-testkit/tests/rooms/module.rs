//! One source file: what it defines, what it passes on, and what it takes from others.

use std::collections::BTreeSet;

use crate::tokens::{tokens, without_tests};

/// A path of names, such as `crate::plan::Plan`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) names: Vec<String>,
    /// The name that it has here.
    pub(crate) here: String,
    /// Whether others may take it from here.
    pub(crate) passed_on: bool,
}

/// What a file says.
pub(crate) struct Module {
    /// Such as `crates/mentor-train/src/plan/mod.rs`.
    pub(crate) file: String,
    /// The crate, as code names it, and the modules down to this one.
    pub(crate) place: Vec<String>,
    /// Items of its own.
    pub(crate) items: BTreeSet<String>,
    /// Names that it takes by `use`, those for itself and those that it passes on.
    pub(crate) uses: Vec<Path>,
    /// Paths that are written out where they are needed.
    pub(crate) written: Vec<Path>,
    /// All its words and signs but tests.
    pub(crate) tokens: Vec<String>,
}

impl Module {
    /// Reads `crates/NAME/src/…`.
    pub(crate) fn new(file: &str, source: &str) -> Self {
        let tokens = without_tests(tokens(source));
        let (items, uses, written) = read(&tokens);
        Self { file: file.to_owned(), place: place(file), items, uses, written, tokens }
    }

    /// Whether `name` stands anywhere but in a `use`.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        let (mut in_use, mut found) = (false, false);
        for token in &self.tokens {
            in_use = token == "use" || (in_use && token != ";");
            found |= !in_use && token == name;
        }
        found
    }
}

fn place(file: &str) -> Vec<String> {
    let mut parts = file.split('/').skip(1);
    let mut place = vec![parts.next().unwrap_or_default().replace('-', "_")];
    place.extend(parts.skip(1).map(|part| part.trim_end_matches(".rs").to_owned()));
    place.retain(|part| !["mod", "lib", "main"].contains(&part.as_str()));
    place
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn read(tokens: &[String]) -> (BTreeSet<String>, Vec<Path>, Vec<Path>) {
    const KINDS: [&str; 9] =
        ["fn", "struct", "enum", "union", "trait", "type", "const", "static", "macro_rules"];
    let (mut items, mut uses, mut written) = (BTreeSet::new(), Vec::new(), Vec::new());
    let (mut at, mut depth) = (0, 0);
    while at < tokens.len() {
        let token = tokens[at].as_str();
        match token {
            "{" => depth += 1,
            "}" => depth -= 1,
            // `impl Trait + use<>` takes nothing.
            "use" if tokens.get(at + 1).is_some_and(|next| next != "<") => {
                let first = uses.len();
                let passed_on = at > 0 && ["pub", ")"].contains(&tokens[at - 1].as_str());
                at = use_tree(tokens, at + 1, Vec::new(), &mut uses);
                uses[first..].iter_mut().for_each(|path| path.passed_on = passed_on);
                continue;
            }
            _ if depth == 0 && KINDS.contains(&token) => {
                let name = tokens[at + 1..].iter().find(|token| is_name(token));
                items.extend(name.cloned());
            }
            _ if is_name(token) && tokens.get(at + 1).is_some_and(|next| next == "::") => {
                let before = at.checked_sub(1).map_or("", |before| tokens[before].as_str());
                let mut names = vec![token.to_owned()];
                while tokens.get(at + 1).is_some_and(|next| next == "::")
                    && tokens.get(at + 2).is_some_and(|next| is_name(next))
                {
                    names.push(tokens[at + 2].clone());
                    at += 2;
                }
                if before != "::" && names.len() > 1 {
                    written.push(Path { here: names[names.len() - 1].clone(), names, passed_on: false });
                }
            }
            _ => {}
        }
        at += 1;
    }
    (items, uses, written)
}

/// Reads one tree of a `use` from `at` on, and gives the place after it.
fn use_tree(tokens: &[String], mut at: usize, mut names: Vec<String>, found: &mut Vec<Path>) -> usize {
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = use_tree(tokens, at, names.clone(), found);
                    at += usize::from(tokens.get(at).is_some_and(|token| token == ","));
                }
                return at + 1;
            }
            "," | "}" | ";" => break,
            "as" => {
                let here = tokens.get(at + 1).cloned().unwrap_or_default();
                found.push(Path { names, here, passed_on: false });
                return at + 2;
            }
            "::" => {}
            name => names.push(name.to_owned()),
        }
        at += 1;
    }
    if names.last().is_some_and(|last| last == "self") && names.len() > 1 {
        names.pop();
    }
    if let Some(last) = names.last().cloned() {
        found.push(Path { names, here: last, passed_on: false });
    }
    at
}
