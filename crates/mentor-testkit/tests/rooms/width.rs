//! The width of lines of code, comments, strings and docs: that of rustfmt, which leaves comments and strings
//! alone.

use std::fs;
use std::path::{Path, PathBuf};

/// The lines of all Rust and Markdown files below `root` that are too wide, with their places.
pub(crate) fn too_wide(root: &Path) -> Vec<String> {
    let settings = fs::read_to_string(root.join("rustfmt.toml")).unwrap();
    let width = settings.lines().find_map(|line| line.strip_prefix("max_width = ")).unwrap().parse().unwrap();
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in ["", "docs", "docs/decisions", "bench", "reference"] {
        files.extend(entries(&root.join(folder)).into_iter().filter(|path| path.is_file()));
    }
    collect(&root.join("crates"), &mut files);
    let is_text =
        |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "rs" || extension == "md");
    let texts = files.iter().filter(is_text).map(|path| {
        let file = path.strip_prefix(root).unwrap().display().to_string();
        of_text(&file, &fs::read_to_string(path).unwrap(), width)
    });
    let (mut found, mut number) = (Vec::new(), 0);
    for wide in texts {
        found.extend(wide);
        number += 1;
    }
    assert!(number > 200, "only {number} files were found");
    found
}

/// The lines of one text that are too wide. Rows of tables and lines with an address may be.
pub(crate) fn of_text(file: &str, text: &str, width: usize) -> Vec<String> {
    let wide = text.lines().enumerate().filter(|(_, line)| {
        let is_row = line.trim_start().trim_start_matches(['/', '!', ' ']).starts_with('|');
        line.chars().count() > width && !is_row && !line.contains("://")
    });
    wide.map(|(index, line)| format!("{file}:{}: {} columns", index + 1, line.chars().count())).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for path in entries(folder) {
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}
