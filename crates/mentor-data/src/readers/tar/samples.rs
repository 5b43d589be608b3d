//! The samples of one tar shard: an image, and what the entries beside it say of it, as WebDataset has them.

use std::collections::HashMap;
use std::path::Path;

use mentor_codec::Header;
use serde::{Deserialize, Serialize};

use super::archive::{Archive, Entry};
use crate::error::DataError;
use crate::notes::LeftOut;
use crate::options::Limits;
use crate::readers::encoded::Known;
use crate::readers::image_content::has_image_extension;
use crate::readers::system_files::is_system;
use crate::readers::tree::LeftOuts;
use crate::split::Split;
use crate::split_names;

/// Bytes of an entry that says something of an image.
const MAX_TEXT: u64 = 1 << 20;

/// An image of a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sample {
    /// Name of the entry.
    pub(crate) name: String,
    /// Its name as the entry `.json` gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) split: Option<Split>,
    /// Of the bytes in the shard, or in [`Contents::unpacked`].
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// What an index says of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<IndexedImage>,
}

/// What reading an image shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IndexedImage {
    pub(crate) blake3: String,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) colour: bool,
    pub(crate) has_end: bool,
}

impl IndexedImage {
    pub(crate) fn of(bytes: &[u8], header: &Header) -> Self {
        let Header { height, width, colour, has_end } = *header;
        Self { blake3: blake3::hash(bytes).to_hex().to_string(), height, width, colour, has_end }
    }

    pub(crate) fn known(&self) -> Option<Known> {
        let &Self { height, width, colour, has_end, .. } = self;
        let hash = blake3::Hash::from_hex(&self.blake3).ok()?;
        Some(Known { hash, header: Header { height, width, colour, has_end } })
    }
}

/// What a shard holds.
#[derive(Default)]
pub(crate) struct Contents {
    /// Whether entries beside the images say something of them, so that names end at their first dot.
    pub(crate) keyed: bool,
    pub(crate) samples: Vec<Sample>,
    /// The images of a gzipped shard, one after the other.
    pub(crate) unpacked: Option<Vec<u8>>,
    pub(crate) left_out: LeftOuts,
}

/// The part of an entry's name that all entries of a sample share: all before the first dot of the file's
/// name.
pub(crate) fn key(name: &str) -> &str {
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = name[file..].find('.').map_or(name.len(), |dot| file + dot);
    &name[..dot]
}

/// What the entries beside an image say.
#[derive(Default)]
struct Said {
    id: Option<String>,
    label: Option<String>,
    split: Option<Split>,
}

/// Reads all headers of a shard; of a gzipped one also the images, within `limits.max_memory_bytes`.
pub(crate) fn read(path: &Path, limits: &Limits) -> Result<Contents, DataError> {
    let mut archive = Archive::open(path)?;
    let damaged = |reason: String| DataError::Damaged { path: path.to_owned(), reason };
    let mut contents =
        Contents { unpacked: archive.num_bytes().is_none().then(Vec::new), ..Contents::default() };
    let mut said: HashMap<String, Said> = HashMap::new();
    while let Some(entry) = archive.next()? {
        let Entry { name, mut offset, length } = entry;
        if name.split('/').any(is_system) {
            contents.left_out.add(LeftOut::System, &name);
        } else if has_image_extension(Path::new(&name)) {
            if let Some(unpacked) = &mut contents.unpacked {
                let (held, limit) = (unpacked.len() as u64, limits.max_memory_bytes);
                if length > limit.saturating_sub(held) {
                    let (path, what) = (path.to_owned(), "the number of bytes of a gzipped shard");
                    let (size, option) = (held.saturating_add(length), "max_memory_bytes");
                    return Err(DataError::TooLarge { path, what, size, limit, option });
                }
                offset = held;
                unpacked.append(&mut archive.read(length)?);
            }
            let (id, label, split, image) = (None, None, None, None);
            contents.samples.push(Sample { name, id, label, split, offset, length, image });
        } else if let Some(kind @ ("cls" | "json")) = name[key(&name).len()..].strip_prefix('.') {
            if length > MAX_TEXT {
                return Err(damaged(format!("the entry {name:?} has {length} bytes, over {MAX_TEXT}")));
            }
            let text = String::from_utf8(archive.read(length)?)
                .map_err(|_| damaged(format!("the entry {name:?} is not UTF-8")))?;
            let said = said.entry(key(&name).to_owned()).or_default();
            let class = text.trim();
            match kind {
                "cls" if class.is_empty() => return Err(damaged(format!("the entry {name:?} is empty"))),
                "cls" => said.label = said.label.take().or_else(|| Some(class.to_owned())),
                _ => said.read_json(&text).map_err(|why| damaged(format!("the entry {name:?} {why}")))?,
            }
        } else {
            contents.left_out.add(LeftOut::NoImage, &name);
        }
    }
    contents.keyed = !said.is_empty();
    for sample in &mut contents.samples {
        if let Some(Said { id, label, split }) = said.get(key(&sample.name)) {
            (sample.id, sample.label, sample.split) = (id.clone(), label.clone(), *split);
        }
    }
    Ok(contents)
}

impl Said {
    /// Takes `label`, `id` and `split`; a label here, which is a name, goes before one of `.cls`.
    fn read_json(&mut self, text: &str) -> Result<(), String> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| format!("is not JSON ({error})"))?;
        self.label = match value.get("label") {
            Some(serde_json::Value::String(label)) => Some(label.clone()),
            Some(serde_json::Value::Number(label)) => Some(label.to_string()),
            _ => self.label.take(),
        };
        self.id = value.get("id").and_then(|id| id.as_str()).map(str::to_owned);
        if let Some(name) = value.get("split").and_then(|split| split.as_str()) {
            let split = split_names::of_word(name);
            self.split =
                Some(split.ok_or_else(|| format!("has the split {name:?}, not train, val or test"))?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_at_the_first_dot_of_the_files_name() {
        for (name, expected) in
            [("a/b.c/d.seg.png", "a/b.c/d"), ("d.png", "d"), ("a/none", "a/none"), ("a/.png", "a/")]
        {
            assert_eq!(key(name), expected);
        }
    }

    #[test]
    fn a_name_in_json_goes_before_a_number_in_cls() {
        let mut said = Said { label: Some("3".to_owned()), ..Said::default() };
        said.read_json(r#"{"label": "cat", "id": "a/1.png", "split": "validation", "width": 3}"#).unwrap();
        assert_eq!((said.label.as_deref(), said.split), (Some("cat"), Some(Split::Val)));
        assert!(said.read_json(r#"{"split": "some"}"#).unwrap_err().contains("\"some\""));
        assert!(said.read_json("{").unwrap_err().contains("is not JSON"));
    }
}
