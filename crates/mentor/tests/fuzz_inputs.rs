//! Every seed of the fuzz targets, and every input that ever failed, once more.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[path = "../../../fuzz/src/engine/mod.rs"]
pub mod engine;
#[path = "../../../fuzz/src/parsers/mod.rs"]
pub mod parsers;

/// As a fuzz target has it.
const MAX_TIME: Duration = Duration::from_secs(10);
/// More than an input of some kilobytes may take.
const MAX_MEMORY: u64 = 512 << 20;

fn fuzz() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz"))
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn inputs(folder: &Path) -> Vec<PathBuf> {
    if !folder.exists() {
        return Vec::new();
    }
    names(folder).iter().map(|name| folder.join(name)).collect()
}

/// The most memory that this process has had since it was last asked to forget that; 0 where the system does
/// not say.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) << 10
}

// One test, so that nothing else takes memory meanwhile.
#[test]
fn no_stored_input_panics_or_takes_too_much_memory_or_time() {
    let targets: Vec<_> = parsers::TARGETS.into_iter().chain(engine::TARGETS).collect();
    let known: BTreeSet<String> = targets.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz().join("seeds")), known, "every target has seeds");
    assert!(names(&fuzz().join("regressions")).is_subset(&known), "of a target");
    let mut failed = Vec::new();
    for (name, parse) in targets {
        let folders = ["seeds", "regressions"].map(|kind| fuzz().join(kind).join(name));
        for path in folders.iter().flat_map(|folder| inputs(folder)) {
            let bytes = fs::read(&path).unwrap();
            let _ = fs::write("/proc/self/clear_refs", "5");
            let (before, start) = (peak(), Instant::now());
            let whole = catch_unwind(|| parse(&bytes)).is_ok();
            let (memory, time) = (peak().saturating_sub(before), start.elapsed());
            if !whole || memory > MAX_MEMORY || time > MAX_TIME {
                failed.push(format!("{}: {memory} bytes, {time:?}, panicked: {}", path.display(), !whole));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
