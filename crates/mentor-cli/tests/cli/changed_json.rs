//! The JSON files of a run, changed in every place: no command panics.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::fixtures::image_folder;
use crate::strangers::names;
use crate::{mentor, stderr};

/// The commands that read a run. `PICTURES` are images of the size of its model's.
const COMMANDS: [&str; 7] = [
    "report RUN --out OUT",
    "eval RUN",
    "predict RUN PICTURES",
    "calibrate RUN",
    "label RUN --data PICTURES --out OUT",
    "search RUN --index PICTURES --query PICTURES",
    "embed RUN PICTURES --out OUT",
];

/// Runs of all recipes, as small as they can be, and pictures.
fn small_runs(dir: &Path) -> Vec<PathBuf> {
    let common = "--data digits --epochs 1 -q";
    for arguments in [
        format!("train {common} --model linear --out linear"),
        format!("train {common} --loss triplet --embedding-size 2 --model linear --out triplet"),
        format!("distill {common} --teacher linear --model mlp:4 --no-baseline --out student"),
        format!(
            "distill {common} --teacher triplet --mode relational --embedding-size 2 --model mlp:4 \
             --no-baseline --out near"
        ),
        format!("self-train {common} --labels-per-class 5 --model mlp:4 --rounds 1 --no-baseline --out self"),
    ] {
        let output = mentor(dir, &arguments);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    image_folder(&dir.join("pictures"), &["a"]);
    ["linear", "triplet", "student", "near", "self"].map(|run| dir.join(run)).to_vec()
}

/// Paths of the nodes of some JSON; of an array those of its first and last element.
fn nodes(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| nodes(value, &format!("{at}/{key}"), found))
        }
        Value::Array(values) => {
            for index in [0, values.len().saturating_sub(1)] {
                if let Some(value) = values.get(index).filter(|_| index == 0 || values.len() > 1) {
                    nodes(value, &format!("{at}/{index}"), found);
                }
            }
        }
        _ => {}
    }
}

/// Ways to change a node: it goes, comes twice, or becomes something else.
const NUM_CHANGES: usize = 11;

fn changed(whole: &Value, path: &str, change: usize) -> Option<Value> {
    let mut value = whole.clone();
    let (parent, key) = path.rsplit_once('/')?;
    let node = value.pointer(path)?.clone();
    match (value.pointer_mut(parent)?, change) {
        (Value::Object(fields), 0) => drop(fields.remove(key)),
        (Value::Array(values), 0) => drop(values.remove(key.parse().ok()?)),
        (Value::Array(values), 1) => values.push(node),
        (Value::Object(fields), 1) => drop(fields.insert(format!("{key}_"), node)),
        (_, 2..) => {
            let others = [
                json!(null),
                json!(-1),
                json!(0),
                json!(u64::MAX),
                json!(1e308),
                json!(1e-320),
                json!("digits"),
                json!([]),
                json!({}),
            ];
            *value.pointer_mut(path)? = others.get(change - 2)?.clone();
        }
        _ => return None,
    }
    Some(value)
}

/// Every JSON of the run in `run`, changed in many ways; after each the commands run in this process. Gives a
/// line for each command, and for its panic.
fn try_changes(run: &Path, pictures: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let out = run.with_extension("out");
    let mut try_all = |what: &str, commands: &[&str]| {
        for command in commands {
            let word = |word: &str| match word {
                "RUN" => run.into(),
                "OUT" => out.clone().into_os_string(),
                "PICTURES" => pictures.into(),
                other => other.into(),
            };
            let arguments = ["mentor"].into_iter().chain(command.split(' ')).map(word);
            let panicked = catch_unwind(AssertUnwindSafe(|| mentor_cli::run(arguments))).is_err();
            lines.push(format!("{}: {command}: {what}", if panicked { "panic" } else { "ran" }));
            let _ = fs::remove_file(&out);
            let _ = fs::remove_file(run.with_extension("out.json"));
        }
    };
    let files = names(run).into_iter().filter(|name| name.ends_with(".json"));
    for name in files {
        let path = run.join(&name);
        let text = fs::read(&path).unwrap();
        let whole: Value = serde_json::from_slice(&text).unwrap();
        let mut paths = Vec::new();
        nodes(&whole, "", &mut paths);
        let commands = if name == "model.json" { &COMMANDS[..] } else { &COMMANDS[..1] };
        for (index, at) in paths.iter().enumerate() {
            // Each node is deleted, and changed in one more of the ways, in turn.
            for change in [0, 1 + index % (NUM_CHANGES - 1)] {
                if let Some(changed) = changed(&whole, at, change) {
                    fs::write(&path, changed.to_string()).unwrap();
                    try_all(&format!("{name}{at} changed in way {change}"), commands);
                }
            }
        }
        fs::write(&path, text).unwrap();
    }
    lines
}

/// What [`no_json_of_a_run_makes_a_command_panic`] does in a process of its own, whose output nobody reads.
#[test]
fn in_a_process_of_its_own() {
    let Some(dir) = std::env::var_os("MENTOR_TEST_STRANGERS").map(PathBuf::from) else { return };
    let runs = ["linear", "triplet", "student", "near", "self"].map(|name| dir.join(name));
    let pictures = dir.join("pictures");
    let found = std::thread::scope(|scope| {
        let threads = runs.each_ref().map(|run| scope.spawn(|| try_changes(run, &pictures)));
        threads.map(|thread| thread.join().unwrap()).concat()
    });
    fs::write(dir.join("tried"), found.join("\n")).unwrap();
}

#[test]
fn no_json_of_a_run_makes_a_command_panic() {
    let dir = tempfile::tempdir().unwrap();
    for run in small_runs(dir.path()) {
        // Without the hash of model.json, which finds every change first: a stranger can leave it out too.
        let path = run.join("summary.json");
        let mut summary: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert!(summary.as_object_mut().unwrap().remove("model_blake3").is_some());
        fs::write(&path, summary.to_string()).unwrap();
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "changed_json::in_a_process_of_its_own"])
        .env("MENTOR_TEST_STRANGERS", dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let tried = fs::read_to_string(dir.path().join("tried")).unwrap();
    let panics: Vec<&str> = tried.lines().filter(|line| line.starts_with("panic")).collect();
    assert!(panics.is_empty(), "{}", panics.join("\n"));
    assert!(tried.lines().count() > 1000, "{}", tried.lines().count());
}
