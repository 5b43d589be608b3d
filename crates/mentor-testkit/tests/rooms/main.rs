//! The rooms of the workspace: imports run downwards, files do not need each other, the invariants of
//! ARCHITECTURE.md that a reader of words can check hold, and no line is too wide.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod graph;
mod module;
mod rules;
mod tokens;
mod width;

use std::fs;
use std::path::Path;

use graph::Graph;
use module::Module;
use rules::{BANS, banned, floors, upward};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Every source file of every crate, tests and examples left out.
fn workspace() -> Vec<Module> {
    let mut found = Vec::new();
    for package in fs::read_dir(root().join("crates")).unwrap() {
        read(&package.unwrap().path().join("src"), &mut found);
    }
    assert!(found.len() > 100, "only {} files were found", found.len());
    found
}

fn read(folder: &Path, found: &mut Vec<Module>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" {
            read(&path, found);
        } else if name.ends_with(".rs") && !["tests.rs", "fixture.rs", "testing.rs"].contains(&name) {
            let file = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
            found.push(Module::new(&file, &fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn no_arrow_runs_up() {
    let modules = workspace();
    let floors = floors(&fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap());
    assert!(floors.len() >= 6, "{floors:?}");
    let found = upward(&Graph::new(&modules), &floors);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn files_need_each_other_nowhere_but_in_the_trait_that_routes_operations_by_device() {
    let modules = workspace();
    let graph = Graph::new(&modules);
    let inherent = |cycle: &[&str]| {
        let ops = "crates/mentor-kernels/src/ops/";
        cycle.contains(&"crates/mentor-kernels/src/ops/extension.rs")
            && cycle.iter().all(|file| file.starts_with(ops))
    };
    let found: Vec<String> =
        graph.cycles().iter().filter(|cycle| !inherent(cycle)).map(|cycle| cycle.join("\n  ")).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_folder_shows_more_than_fifteen_entries_at_its_top() {
    for package in fs::read_dir(root().join("crates")).unwrap() {
        let source = package.unwrap().path().join("src");
        let entries = fs::read_dir(&source).unwrap().count();
        assert!(entries <= 15, "{} has {entries} entries", source.display());
    }
}

#[test]
fn words_that_an_invariant_forbids_stand_nowhere() {
    let found = banned(&workspace(), &BANS);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_line_of_code_or_docs_is_wider_than_rustfmt_allows() {
    let found = width::too_wide(root());
    assert!(found.is_empty(), "{} lines:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_report_needs_neither_training_nor_the_engine() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut open = vec!["mentor-report".to_owned()];
    let mut seen = Vec::new();
    while let Some(name) = open.pop() {
        if seen.contains(&name) {
            continue;
        }
        let package =
            lock.split("[[package]]\n").find(|package| package.starts_with(&format!("name = \"{name}\"\n")));
        let needs = package.unwrap().split("dependencies = [").nth(1).unwrap_or_default();
        let needs = needs.lines().map(|line| line.trim().trim_matches([' ', ',', '"']));
        open.extend(
            needs.filter_map(|line| Some(line.split(' ').next()?.to_owned())).filter(|name| is_package(name)),
        );
        seen.push(name);
    }
    assert!(seen.len() > 10, "{seen:?}");
    for refused in ["mentor-train", "mentor-loss", "mentor-model", "mentor-kernels", "burn"] {
        assert!(!seen.iter().any(|name| name == refused), "mentor-report needs {refused}");
    }
}

fn is_package(name: &str) -> bool {
    name.starts_with(|first: char| first.is_alphanumeric())
}

/// A tree that is not there: what is wrong in it is found, and what only looks wrong is not.
mod made_up {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Vec<Module> {
        files.iter().map(|(file, source)| Module::new(&format!("crates/{file}"), source)).collect()
    }

    fn upward_of(files: &[(&str, &str)]) -> Vec<String> {
        upward(&Graph::new(&tree(files)), &floors("```floors\na: low high\na/high: left right\n```\n"))
    }

    #[test]
    fn a_wide_line_is_found_unless_it_is_a_row_of_a_table_or_has_an_address() {
        let text =
            "/// 12345678\n/// | 3456 |\n| 345678 |\n1234567890\n12345678901\n// http://ab\näöüäöüäöüä\n";
        assert_eq!(width::of_text("a.md", text, 10), ["a.md:1: 12 columns", "a.md:5: 11 columns"]);
    }

    const LIB: (&str, &str) = ("a/src/lib.rs", "mod low; mod high; pub use high::top::Top;");

    #[test]
    fn an_arrow_up_is_found_also_through_a_name_that_is_passed_on() {
        let high = [("a/src/high/mod.rs", "pub mod top;"), ("a/src/high/top.rs", "pub struct Top;")];
        for taken in [
            "use crate::high::top::Top;",
            "use crate::Top;",
            "use crate::{Top as Roof};",
            "use super::high::{self, top};",
            "fn f() -> crate::high::top::Top { todo!() }",
        ] {
            let found = upward_of(&[LIB, high[0], high[1], ("a/src/low.rs", taken)]);
            let named = found
                .iter()
                .all(|line| line.starts_with("crates/a/src/low.rs takes from crates/a/src/high/"));
            assert!(named && !found.is_empty(), "{taken}: {found:?}");
        }
    }

    #[test]
    fn arrows_down_comments_strings_and_tests_are_no_arrows_up() {
        let low = r##"
            //! See crate::high::top::Top.
            /* use crate::high::top::Top; /* and again */ use crate::high; */
            pub struct Ground<'a>(&'a str);
            const TEXT: &str = "use crate::high::top::Top;";
            const RAW: &str = r#"crate::high::top::Top"#;
            const SIGN: char = '"';
            const ESCAPED: char = '\'';
            #[cfg(test)]
            mod tests { use crate::high::top::Top; mod inner { use crate::high; } }
            pub fn after() {}
        "##;
        let top = "use crate::low::Ground; pub struct Top;";
        let files =
            [LIB, ("a/src/high/mod.rs", "pub mod top;"), ("a/src/high/top.rs", top), ("a/src/low.rs", low)];
        let found: Vec<String> =
            upward_of(&files).into_iter().filter(|line| !line.contains("no floor")).collect();
        assert!(found.is_empty(), "{found:?}");
        let modules = tree(&files);
        assert!(modules[3].items.contains("after") && modules[3].items.contains("Ground"));
        let graph = Graph::new(&modules);
        let arrows: Vec<(&str, &str)> = graph.arrows().map(|(from, to)| (&*from.file, &*to.file)).collect();
        assert_eq!(arrows, [("crates/a/src/high/top.rs", "crates/a/src/low.rs")]);
    }

    #[test]
    fn rooms_of_a_room_have_floors_too_and_a_room_without_one_is_named() {
        let left = ("a/src/high/left.rs", "use super::right::R;");
        let right = ("a/src/high/right.rs", "pub struct R;");
        assert_eq!(upward_of(&[LIB, left, right]).len(), 1);
        let stray = [("a/src/high/stray.rs", "use super::right::R;"), right];
        assert_eq!(upward_of(&[LIB, stray[0], stray[1]]), ["a/high: the room stray has no floor"]);
    }

    #[test]
    fn files_that_need_each_other_are_a_cycle_and_passing_on_is_none() {
        let files = [
            ("a/src/lib.rs", "mod b; mod c; mod d; pub use b::B;"),
            ("a/src/b.rs", "use crate::c::C; pub struct B;"),
            ("a/src/c.rs", "use crate::d::D; pub struct C;"),
            ("a/src/d.rs", "use crate::B; pub struct D;"),
        ];
        assert_eq!(
            Graph::new(&tree(&files)).cycles(),
            [["crates/a/src/b.rs", "crates/a/src/c.rs", "crates/a/src/d.rs"]]
        );
        let files = [LIB, ("a/src/high/mod.rs", "pub mod top;"), ("a/src/high/top.rs", "pub struct Top;")];
        assert!(Graph::new(&tree(&files)).cycles().is_empty());
    }

    #[test]
    fn forbidden_words_are_found_where_they_are_forbidden() {
        for (file, source, rule) in [
            ("mentor-loss/src/a.rs", "fn f() { let now = std::time::Instant::now(); }", "1"),
            ("mentor-loss/src/a.rs", "static COUNT: u32 = 0;", "1"),
            ("mentor-loss/src/a.rs", "use mentor_random::Stream;", "1"),
            ("mentor-train/src/a.rs", "fn f() { println!(\"done\"); }", "3"),
            ("mentor-data/src/a.rs", "fn f() { std::process::exit(1) }", "3"),
            ("mentor-train/src/engine/a.rs", "use std::fs; fn f() { fs::write(a, b); }", "5"),
        ] {
            let found = banned(&tree(&[(file, source)]), &BANS);
            assert!(found.iter().any(|line| line.starts_with(rule)), "{source}: {found:?}");
        }
        for (file, source) in [
            ("mentor-loss/src/a.rs", "fn name() -> &'static str { \"std::fs\" } // static"),
            ("mentor-cli/src/a.rs", "fn f() { println!(\"done\"); std::process::exit(1) }"),
            ("mentor-train/src/teachers/cache/a.rs", "fn f() { File::open(path); }"),
        ] {
            let found = banned(&tree(&[(file, source)]), &BANS);
            assert!(found.is_empty(), "{source}: {found:?}");
        }
    }
}
