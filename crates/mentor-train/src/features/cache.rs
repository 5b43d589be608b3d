//! Features on disk, found by what they are of: a folder for each network and preprocessing, in it files of
//! some hundred images each, named by their content. A file is written once, whole or not at all.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use mentor_run::files::{create_inside, read_plain};
use mentor_run::write_atomically;

use super::segment::{self, ImageHash, Row};

/// The end of a file's name.
const ENDING: &str = "features";

/// The features of one network under one preprocessing; nothing without a folder.
pub(super) struct FeatureCache<'a> {
    /// Of all networks.
    root: Option<&'a Path>,
    folder: Option<PathBuf>,
    num_features: usize,
}

impl<'a> FeatureCache<'a> {
    pub(super) fn new(root: Option<&'a Path>, key: &blake3::Hash, num_features: usize) -> Self {
        let folder = root.map(|root| root.join(key.to_hex().as_str()));
        Self { root, folder, num_features }
    }

    /// What is kept of `wanted`. A damaged file is removed: what it held is computed again.
    pub(super) fn read<'i>(&self, wanted: impl Iterator<Item = &'i ImageHash>) -> HashMap<ImageHash, Row> {
        let mut found = HashMap::new();
        let Some(entries) = self.folder.as_ref().and_then(|folder| fs::read_dir(folder).ok()) else {
            return found;
        };
        let wanted: HashSet<&ImageHash> = wanted.collect();
        let is_ours = |path: &PathBuf| path.extension().is_some_and(|ending| ending == ENDING);
        for path in entries.flatten().map(|entry| entry.path()).filter(is_ours) {
            let bytes = read_plain(&path, segment::max_bytes(self.num_features)).unwrap_or_default();
            match segment::read(&bytes, self.num_features) {
                Some(rows) => found.extend(rows.filter(|(image, _)| wanted.contains(image))),
                // One that cannot be removed is found damaged again.
                None => drop(fs::remove_file(&path)),
            }
        }
        found
    }

    /// Keeps rows, at most [`segment::MAX_ROWS`].
    ///
    /// # Errors
    ///
    /// A sentence that says why they cannot be kept.
    pub(super) fn write(&self, rows: &[(ImageHash, Row)]) -> Result<(), String> {
        let (Some(root), Some(folder)) = (self.root, &self.folder) else { return Ok(()) };
        let name = Path::new(folder.file_name().unwrap_or_default());
        create_inside(root, name).map_err(|error| error.to_string())?;
        let bytes = segment::bytes(rows);
        let name = format!("{}.{ENDING}", &blake3::hash(&bytes).to_hex()[..32]);
        write_atomically(&folder.join(name), &bytes).map_err(|error| error.to_string())
    }
}
