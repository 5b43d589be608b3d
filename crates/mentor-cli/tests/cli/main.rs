//! The binary as a user meets it: what it prints, what it writes, and how it exits.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exception for tests does not reach an integration test's other functions"
)]

mod backbones;
mod bad_input;
mod changed_json;
mod clusters;
mod distill;
mod embeddings;
mod export;
mod export_int8;
mod fixtures;
mod labels;
mod optimum;
mod ranking;
mod results;
mod resume;
mod self_train;
mod serve;
mod snapshots;
mod strangers;

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;

/// `mentor` with these arguments, run in `dir`.
fn mentor(dir: &Path, arguments: &str) -> Output {
    mentor_with(dir, &arguments.split_whitespace().collect::<Vec<_>>())
}

/// As [`mentor`], for arguments with spaces.
fn mentor_with(dir: &Path, arguments: &[&str]) -> Output {
    Command::cargo_bin("mentor")
        .unwrap()
        .current_dir(dir)
        // Neither the user's own.
        .env("MENTOR_CACHE", dir.join("mentor-cache"))
        .env_remove("MENTOR_BACKBONES")
        .args(arguments)
        .output()
        .unwrap()
}

/// Standard error as text.
fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Standard output as text.
fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Standard output as JSON, of a command that succeeded.
#[track_caller]
fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Asserts the exit status, and that standard error holds exactly one `error:` line, which says `what`.
#[track_caller]
fn assert_fails(output: &Output, status: i32, what: &str) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(status), "{text}");
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(errors.len(), 1, "{text}");
    assert!(errors[0].contains(what), "{what:?} is not in {text}");
    assert!(!text.contains("panicked"), "{text}");
}
