//! What must hold between rooms, and what words must not stand in them.

use std::collections::BTreeMap;

use crate::graph::Graph;
use crate::module::Module;

/// The rooms of a folder from the lowest to the highest: each may use only those before it.
pub(crate) type Floors = BTreeMap<String, Vec<String>>;

/// Reads the floors from a block of text: `FOLDER: room room …` a line, the folder below `crates/`.
pub(crate) fn floors(architecture: &str) -> Floors {
    let block = architecture.split("```floors\n").nth(1).unwrap_or_default();
    // A list goes on in lines that begin with a space.
    let block = block.split("```").next().unwrap_or_default().replace("\n ", " ");
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    block
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(folder, rooms)| (folder.to_owned(), words(rooms)))
        .collect()
}

/// The room of a file in a folder: the name of its subfolder, or its own.
fn room<'a>(folder: &str, file: &'a str) -> Option<&'a str> {
    let (package, inside) = folder.split_once('/').unwrap_or((folder, ""));
    let root = format!("crates/{package}/src/{inside}");
    let below = file.strip_prefix(root.trim_end_matches('/'))?.strip_prefix('/')?;
    let name = below.split('/').next()?.trim_end_matches(".rs");
    // What a folder is as a whole may use all of it.
    (!["lib", "main", "mod"].contains(&name)).then_some(name)
}

/// Arrows that run from a lower room to a higher one, and rooms that have no floor.
pub(crate) fn upward(graph: &Graph<'_>, floors: &Floors) -> Vec<String> {
    let mut found = Vec::new();
    for (folder, rooms) in floors {
        let floor = |room: &str| rooms.iter().position(|known| known == room);
        for (from, to) in graph.arrows() {
            let (Some(low), Some(high)) = (room(folder, &from.file), room(folder, &to.file)) else {
                continue;
            };
            match (floor(low), floor(high)) {
                (Some(below), Some(above)) if below < above => {
                    found.push(format!("{} takes from {}: {low} is below {high}", from.file, to.file));
                }
                (None, _) => found.push(format!("{folder}: the room {low} has no floor")),
                (_, None) => found.push(format!("{folder}: the room {high} has no floor")),
                _ => {}
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Words that some code must do without.
pub(crate) struct Ban {
    /// What is broken.
    pub(crate) rule: &'static str,
    /// Sequences of words and signs, separated by blanks.
    pub(crate) words: &'static [&'static str],
    /// Whether it holds for a file.
    pub(crate) holds: fn(&str) -> bool,
}

/// Invariants of ARCHITECTURE.md that are about words, by their numbers there.
pub(crate) const BANS: [Ban; 3] = [
    Ban {
        rule: "1: mentor-loss has no file, clock, print, environment, global state or random number",
        words: &[
            "fs ::",
            "std :: fs",
            "std :: io",
            "std :: env",
            "std :: net",
            "std :: process",
            "std :: time",
            "env !",
            "option_env !",
            "Instant",
            "SystemTime",
            "println !",
            "eprintln !",
            "print !",
            "eprint !",
            "dbg !",
            "static",
            "thread_local !",
            "OnceLock",
            "LazyLock",
            "OnceCell",
            "mentor_random",
            "rand ::",
        ],
        holds: |file| file.starts_with("crates/mentor-loss/src/"),
    },
    Ban {
        rule: "3: only mentor-cli prints or exits",
        words: &[
            "println !",
            "eprintln !",
            "print !",
            "eprint !",
            "dbg !",
            "process :: exit",
            "process :: abort",
            "stdout (",
            "stderr (",
        ],
        holds: |file| !file.starts_with("crates/mentor-cli/"),
    },
    Ban {
        rule: "5: files of a run are opened by mentor-run, teachers' caches and files of pseudo-labels by \
               their rooms",
        words: &[
            "fs :: read (",
            "fs :: read_to_string",
            "fs :: write",
            "fs :: copy",
            "fs :: create_dir",
            "fs :: create_dir_all",
            "File ::",
            "OpenOptions ::",
        ],
        holds: |file| {
            let own = ["crates/mentor-train/src/teachers/cache/", "crates/mentor-train/src/pseudo_labels/"];
            let above = ["crates/mentor-train/", "crates/mentor-report/", "crates/mentor-metrics/"];
            above.iter().any(|package| file.starts_with(package))
                && !own.iter().any(|room| file.starts_with(room))
        },
    },
];

/// Files in which banned words stand.
pub(crate) fn banned(modules: &[Module], bans: &[Ban]) -> Vec<String> {
    let mut found = Vec::new();
    for ban in bans {
        for module in modules.iter().filter(|module| (ban.holds)(&module.file)) {
            for words in ban.words {
                let words: Vec<&str> = words.split(' ').collect();
                let stands = |window: &[String]| window.iter().map(String::as_str).eq(words.iter().copied());
                if let Some(place) = module.tokens.windows(words.len()).position(stands) {
                    let around = module.tokens[place..].iter().take(5).cloned().collect::<Vec<_>>().join(" ");
                    found.push(format!("{}: {}: {around}", ban.rule, module.file));
                }
            }
        }
    }
    found
}
