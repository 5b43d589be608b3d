//! Folders of the user that commands look into: what was computed before, and weights of pretrained networks.

use std::env;
use std::path::{Path, PathBuf};

use mentor_data::natural_order;

/// Endings of files of weights.
const WEIGHTS: [&str; 4] = ["safetensors", "pth", "pt", "bin"];

/// The files of weights in the folder `MENTOR_BACKBONES`, in natural order; none if it names no folder.
pub(crate) fn backbones() -> Vec<PathBuf> {
    let Some(folder) = env::var_os("MENTOR_BACKBONES").filter(|folder| !folder.is_empty()) else {
        return Vec::new();
    };
    let is_weights = |path: &PathBuf| {
        path.extension().is_some_and(|ending| WEIGHTS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
            && path.is_file()
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_weights).collect();
    files.sort_by(|a, b| natural_order(&a.to_string_lossy(), &b.to_string_lossy()));
    files
}

/// The file that a user calls `named`: that file, or if there is none the one of this name in
/// `MENTOR_BACKBONES`, with or without its ending.
pub(crate) fn backbone_named(named: &Path) -> PathBuf {
    let is_named = |file: &PathBuf| {
        file.file_name() == Some(named.as_os_str()) || file.file_stem() == Some(named.as_os_str())
    };
    match named.exists() {
        true => named.to_owned(),
        false => backbones().into_iter().find(is_named).unwrap_or_else(|| named.to_owned()),
    }
}

/// Where features of pretrained networks are kept: below `MENTOR_CACHE`, or the user's folder for caches;
/// nowhere if `MENTOR_CACHE` is empty, or there is no such folder.
pub(crate) fn feature_cache() -> Option<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = match env::var_os("MENTOR_CACHE") {
        Some(_) => variable("MENTOR_CACHE"),
        None => variable("XDG_CACHE_HOME")
            .or_else(|| variable("LOCALAPPDATA"))
            .or_else(|| variable("HOME").map(|home| home.join(".cache")))
            .map(|folder| folder.join("mentor")),
    };
    folder.map(|folder| folder.join("features"))
}
