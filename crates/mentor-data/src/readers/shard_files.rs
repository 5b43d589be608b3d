//! The files of a data set that is cut into shards: one file, those of a folder, or those of a pattern.

use std::path::{Path, PathBuf};

use super::pattern;
use super::system_files::is_system;
use crate::classes::natural::natural_order;
use crate::split::Split;
use crate::split_names::among;

/// The files of one form that a path means; none if it means others. A folder counts if it holds such files
/// and no folder.
pub(crate) fn shard_files(path: &Path, is_shard: fn(&Path) -> bool) -> Vec<PathBuf> {
    if path.is_dir() {
        return of_folder(path, is_shard).unwrap_or_default();
    }
    if path.exists() {
        return if is_shard(path) { vec![path.to_owned()] } else { Vec::new() };
    }
    let files = path.to_str().filter(|name| pattern::is_pattern(name)).map(pattern::files);
    let files = files.and_then(Result::ok).unwrap_or_default();
    if files.iter().all(|file| is_shard(file)) { files } else { Vec::new() }
}

fn of_folder(folder: &Path, is_shard: fn(&Path) -> bool) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).ok()? {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_string_lossy().into_owned();
        if is_system(&name) {
            continue;
        }
        if path.is_dir() {
            return None;
        }
        if is_shard(&path) {
            files.push((name, path));
        }
    }
    files.sort_by(|(a, _), (b, _)| natural_order(a, b));
    Some(files.into_iter().map(|(_, path)| path).collect())
}

/// The splits that the names of the files mean, such as `train-000.tar` beside `val-000.tar`. The names of
/// files of one split alone mean nothing.
pub(crate) fn splits_of(files: &[PathBuf]) -> Vec<Option<Split>> {
    let stem = |file: &PathBuf| file.file_stem().unwrap_or_default().to_string_lossy().replace(".tar", "");
    let stems: Vec<String> = files.iter().map(|file| without_counts(&stem(file))).collect();
    let splits: Vec<Option<Split>> =
        among(stems.iter().map(String::as_str)).into_iter().map(|name| Some(name?.split)).collect();
    let several = splits.iter().any(|split| *split != splits[0]);
    if several && splits.iter().all(Option::is_some) { splits } else { vec![None; files.len()] }
}

/// `train` of `train-00000-of-00002`.
fn without_counts(stem: &str) -> String {
    let words = stem.split(['-', '_', '.']);
    words.filter(|word| *word != "of" && word.parse::<u64>().is_err()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_splits_only_beside_each_other() {
        let splits = |names: &[&str]| splits_of(&names.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(
            splits(&["train-00000-of-00001.parquet", "validation-00000-of-00001.parquet"]),
            [Some(Split::Train), Some(Split::Val)]
        );
        assert_eq!(splits(&["in-train-000.tar.gz", "in-val-0.tar"]), [Some(Split::Train), Some(Split::Val)]);
        assert_eq!(splits(&["train-0.tar", "train-1.tar"]), [None, None]);
        assert_eq!(splits(&["train.tar", "val.tar", "more.tar"]), [None; 3]);
        assert_eq!(splits(&[]), []);
    }
}
