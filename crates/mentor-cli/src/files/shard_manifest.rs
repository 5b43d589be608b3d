//! The manifest of a shard of results: it is written last, and says of which model and images the files are.
//! The same command passes over a shard that is complete and intact, and refuses one of something else.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use mentor_data::shown_path;
use mentor_run::{json, write_atomically};
use mentor_train::pseudo_labels::Shard;
use serde::{Deserialize, Serialize};

use crate::terminal::error::Failure;

/// Bytes of a manifest.
const MAX_BYTES: u64 = 1 << 20;

/// What a shard is made of. Two of the same key have the same files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    /// Such as `embeddings`.
    pub(crate) what: String,
    pub(crate) shard: Shard,
    /// Images of all shards.
    pub(crate) num_images: u64,
    /// Of the files of the model.
    pub(crate) model_blake3: String,
    /// Of the names and sizes of the shard's images.
    pub(crate) images_blake3: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    version: u32,
    #[serde(flatten)]
    key: Key,
    num_failed: usize,
    files: Vec<Written>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    num_bytes: u64,
    blake3: String,
}

impl Key {
    /// Of the files `images` of one shard, and the files of a model.
    ///
    /// # Errors
    ///
    /// When a file of the model cannot be read.
    pub(crate) fn new(
        what: &str,
        shard: Shard,
        num_images: usize,
        images: &[PathBuf],
        model: &[PathBuf],
    ) -> Result<Self, Failure> {
        let (mut of_model, mut of_images) = (blake3::Hasher::new(), blake3::Hasher::new());
        for path in model {
            let file = std::fs::File::open(path).and_then(|file| of_model.update_reader(file).map(drop));
            file.map_err(|error| Failure::data(anyhow!("{}: {error}", shown_path(path))))?;
        }
        for path in images {
            let name = path.as_os_str().as_encoded_bytes();
            of_images.update(&(name.len() as u64).to_le_bytes()).update(name);
            let length = std::fs::metadata(path).map_or(u64::MAX, |metadata| metadata.len());
            of_images.update(&length.to_le_bytes());
        }
        Ok(Self {
            what: what.to_owned(),
            shard,
            num_images: num_images as u64,
            model_blake3: of_model.finalize().to_hex().to_string(),
            images_blake3: of_images.finalize().to_hex().to_string(),
        })
    }
}

/// The files of a run that decide what its model says.
pub(crate) fn files_of_run(run: &Path) -> Vec<PathBuf> {
    let files = ["model.json", "model.safetensors", "backbone.weights"].map(|name| run.join(name));
    files.into_iter().filter(|file| file.exists()).collect()
}

/// The number of images that failed when the shard was written, if its manifest and all its files are there
/// and intact.
///
/// # Errors
///
/// If a complete shard of something else is there.
pub(crate) fn already_written(manifest: &Path, key: &Key) -> Result<Option<usize>, Failure> {
    let length = std::fs::metadata(manifest).map_or(u64::MAX, |metadata| metadata.len());
    if length > MAX_BYTES {
        return Ok(None);
    }
    let text = std::fs::read(manifest).unwrap_or_default();
    let Ok(found) = serde_json::from_slice::<Manifest>(&text) else { return Ok(None) };
    let folder = manifest.parent().unwrap_or(Path::new(""));
    let is_intact = |file: &Written| {
        let mut hasher = blake3::Hasher::new();
        let opened = std::fs::File::open(folder.join(&file.name));
        opened.is_ok_and(|opened| hasher.update_reader(opened).is_ok())
            && hasher.finalize().to_hex().as_str() == file.blake3
    };
    // A name is one of this folder.
    let plain = |file: &Written| Path::new(&file.name).file_name() == Some(file.name.as_ref());
    if !found.files.iter().all(|file| plain(file) && is_intact(file)) {
        return Ok(None);
    }
    if found.key != *key {
        let differs = [
            ("another kind of result", found.key.what != key.what),
            ("another shard", found.key.shard != key.shard),
            ("another model", found.key.model_blake3 != key.model_blake3),
            ("other images", true),
        ];
        let what = differs.iter().find(|(_, differs)| *differs).map_or("", |(what, _)| what);
        let error = anyhow!("{}: is complete, and of {what}", shown_path(manifest));
        return Err(Failure::usage(error).help("name another --out, or remove it"));
    }
    Ok(Some(found.num_failed))
}

/// Writes the manifest of files that lie beside it.
///
/// # Errors
///
/// When a file is missing, or the file system refuses.
pub(crate) fn write(manifest: &Path, key: &Key, files: &[&Path], num_failed: usize) -> Result<(), Failure> {
    let written = |path: &&Path| {
        let bytes = std::fs::read(path).map_err(|error| anyhow!("{}: {error}", shown_path(path)))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (num_bytes, blake3) = (bytes.len() as u64, blake3::hash(&bytes).to_hex().to_string());
        Ok::<_, anyhow::Error>(Written { name, num_bytes, blake3 })
    };
    let files = files.iter().map(written).collect::<Result<_, _>>().map_err(Failure::failed)?;
    let manifest_of = Manifest { version: 1, key: key.clone(), num_failed, files };
    let mut text = json::pretty(&manifest_of).map_err(Failure::failed)?;
    text.push(b'\n');
    Ok(write_atomically(manifest, &text)?)
}

/// The name of one shard's file: `a-00003-of-00016.npy` for `a.npy`. Of a folder, the file `default` in it.
///
/// # Errors
///
/// When the folder cannot be made.
pub(crate) fn place(out: &Path, default: &str, shard: Shard) -> Result<PathBuf, Failure> {
    let is_folder = out.is_dir() || out.extension().is_none();
    let file = if is_folder { out.join(default) } else { out.to_owned() };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).map_err(|error| {
            Failure::usage(anyhow!("{}: {error}", shown_path(folder)))
                .help("name a folder that can be written")
        })?;
    }
    if shard.count == 1 {
        return Ok(file);
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let extension = file.extension().unwrap_or_default().to_string_lossy();
    Ok(file.with_file_name(format!("{stem}-{:05}-of-{:05}.{extension}", shard.index, shard.count)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_passed_over_refused_or_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let shard = Shard { index: 1, count: 3 };
        assert_eq!(place(dir.path(), "e.npy", shard).unwrap(), at("e-00001-of-00003.npy"));
        assert_eq!(place(&at("new"), "e.npy", Shard::WHOLE).unwrap(), at("new/e.npy"));
        assert_eq!(place(&at("v.parquet"), "e.npy", shard).unwrap(), at("v-00001-of-00003.parquet"));
        std::fs::write(at("model"), "weights").unwrap();
        std::fs::write(at("a.png"), "image").unwrap();
        let key = |model: &str| Key::new("embeddings", shard, 9, &[at("a.png")], &[at(model)]).unwrap();
        let (own, manifest) = (key("model"), at("e.json"));
        assert_eq!(already_written(&manifest, &own).unwrap(), None);
        std::fs::write(at("e.npy"), "rows").unwrap();
        write(&manifest, &own, &[&at("e.npy")], 2).unwrap();
        assert_eq!(already_written(&manifest, &own).unwrap(), Some(2));
        let other = already_written(&manifest, &key("a.png")).unwrap_err();
        assert!(format!("{other:?}").contains("is complete, and of another model"), "{other:?}");
        std::fs::write(at("a.png"), "another image").unwrap();
        let other = already_written(&manifest, &key("model")).unwrap_err();
        assert!(format!("{other:?}").contains("of other images"), "{other:?}");
        std::fs::write(at("e.npy"), "torn").unwrap();
        assert_eq!(already_written(&manifest, &own).unwrap(), None);
    }
}
