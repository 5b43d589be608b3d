//! Which files of a folder are IDX, by their names: those of MNIST and of the data sets after it
//! (`train-images-idx3-ubyte`, `t10k-labels.idx1-ubyte.gz`, `emnist-letters-test-images-idx3-ubyte`,
//! `qmnist-train-labels-idx2-int`).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::classes::natural::natural_order;
use crate::error::DataError;
use crate::notes::{LeftOut, Note};
use crate::readers::system_files::is_system;
use crate::split::Split;
use crate::split_names;

/// What an IDX file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Images,
    Labels,
}

/// The two files of a split; of no split where the names say none.
pub(crate) struct IdxPart {
    pub(crate) split: Option<Split>,
    pub(crate) images: PathBuf,
    pub(crate) labels: PathBuf,
}

/// What a file's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct IdxName {
    /// `emnist-letters`; empty for MNIST's own names.
    set: String,
    split: Option<Split>,
    /// As it is written: `test` or `t10k`.
    word: String,
    content: Content,
}

impl IdxName {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let (mut set, mut split, mut content) = (Vec::new(), None, None);
        let (mut is_idx, mut written) = (false, String::new());
        for word in name.split(['-', '.', '_', ' ']) {
            let bare = word.trim_end_matches(|c: char| c.is_ascii_digit() || c == 'k');
            match word {
                "ubyte" | "int" => is_idx |= word != "int",
                _ if is_idx_word(word) => {
                    is_idx = true;
                    // One number an image, or rows and columns.
                    let told = match word {
                        "idx1" | "idx2" => Some(Content::Labels),
                        "idx3" => Some(Content::Images),
                        _ => None,
                    };
                    content = content.or(told);
                }
                "images" | "image" | "x" => content = Some(Content::Images),
                "labels" | "label" | "y" => content = Some(Content::Labels),
                "t10k" => (split, written) = (Some(Split::Test), word.to_owned()),
                _ => match split_names::of_word(word).or_else(|| split_names::of_word(bare)) {
                    Some(found) => (split, written) = (Some(found), word.to_owned()),
                    None => set.push(word),
                },
            }
        }
        let content = content.filter(|_| is_idx || begins_as_idx(path))?;
        Some(Self { set: set.join("-"), split, word: written, content })
    }
}

/// `idx`, or `idx3` and the like.
fn is_idx_word(word: &str) -> bool {
    word.strip_prefix("idx").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a file without an extension, other than `.gz`, begins as IDX does: two zeros, the code of a type,
/// and from one to four dimensions.
fn begins_as_idx(path: &Path) -> bool {
    let is_gz = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gz"));
    let has_other = |path: &Path| path.extension().is_some();
    let bare = if is_gz { path.with_extension("") } else { path.to_owned() };
    if has_other(&bare) || !path.is_file() {
        return false;
    }
    let Ok(file) = File::open(path) else { return false };
    let mut magic = [0; 4];
    let read = if is_gz {
        MultiGzDecoder::new(BufReader::new(file)).read_exact(&mut magic)
    } else {
        (&file).read_exact(&mut magic)
    };
    read.is_ok() && matches!(magic, [0, 0, 0x08 | 0x09 | 0x0b..=0x0e, 1..=4])
}

/// Whether a file is IDX by its content, or by a part of its name, though its name does not say what it
/// holds.
pub(crate) fn is_unnamed_idx(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut words = name.split(['-', '.', '_', ' ']);
    let told = words.any(|word| is_idx_word(word) || word == "ubyte");
    IdxName::of(path).is_none() && !is_system_file(path) && (told && path.is_file() || begins_as_idx(path))
}

/// Whether the file's name is that of an IDX file.
pub(crate) fn is_idx_file(path: &Path) -> bool {
    IdxName::of(path).is_some()
}

/// Whether a folder has an IDX file.
pub(crate) fn is_idx_folder(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .any(|path| is_idx_file(&path) && !is_system_file(&path) && path.is_file())
}

fn is_system_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| is_system(&name.to_string_lossy()))
}

/// The parts of the data set that a folder holds, or that one of its files belongs to: train, val, test, or
/// one without a split.
pub(crate) fn parts(path: &Path, notes: &mut Vec<Note>) -> Result<Vec<IdxPart>, DataError> {
    let is_folder = path.is_dir();
    let parent = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let folder = if is_folder { path } else { parent };
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(|error| DataError::io(folder, error))? {
        let path = entry.map_err(|error| DataError::io(folder, error))?.path();
        match IdxName::of(&path).filter(|_| path.is_file() && !is_system_file(&path)) {
            Some(name) => files.push((name, path)),
            None => others.push(path),
        }
    }
    // Plain before gzipped, and "train-images-idx3-ubyte" before "train-images.idx3-ubyte".
    let order =
        |path: &Path| (path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gz")), path.to_owned());
    files.sort_by_key(|(_, path)| order(path));
    let sets: BTreeSet<&str> = files.iter().map(|(name, _)| name.set.as_str()).collect();
    let set = match IdxName::of(path).filter(|_| !is_folder) {
        Some(name) => name.set,
        None if sets.len() > 1 => {
            let sets = sets.iter().map(|set| if set.is_empty() { "one without a name" } else { set });
            let sets = sets.collect::<Vec<_>>().join(", ");
            let example = files.iter().find(|(name, _)| !name.set.is_empty()).map(|(_, path)| path.clone());
            return Err(DataError::SeveralSets {
                path: path.to_owned(),
                sets,
                example: example.unwrap_or_default(),
            });
        }
        None => sets.first().copied().unwrap_or_default().to_owned(),
    };
    files.retain(|(name, _)| name.set == set);
    let mut found = Vec::new();
    for split in [Some(Split::Train), Some(Split::Val), Some(Split::Test), None] {
        found.extend(part(folder, split, &files)?);
    }
    // Images of no split beside splits have no place.
    if found.len() > 1
        && let Some(last) = found.pop_if(|part| part.split.is_none())
    {
        others.extend([last.images, last.labels]);
    }
    if is_folder {
        notes.extend(left_out(&others));
    }
    Ok(found)
}

fn part(
    folder: &Path,
    split: Option<Split>,
    files: &[(IdxName, PathBuf)],
) -> Result<Option<IdxPart>, DataError> {
    let of_split = || files.iter().filter(|(name, _)| name.split == split);
    if let (Some(split), Some((first, path))) = (split, of_split().next())
        && let Some((_, other)) = of_split().find(|(name, _)| name.word != first.word)
    {
        let folders = format!(
            "{:?} and {:?}",
            path.file_name().unwrap_or_default(),
            other.file_name().unwrap_or_default()
        );
        return Err(DataError::SplitTwice { path: folder.to_owned(), split, folders });
    }
    let find = |content| of_split().find(|(name, _)| name.content == content).map(|(_, path)| path.clone());
    match (find(Content::Images), find(Content::Labels)) {
        (Some(images), Some(labels)) => Ok(Some(IdxPart { split, images, labels })),
        (Some(path), None) => Err(DataError::MissingPartner { path, missing: "labels" }),
        (None, Some(path)) => Err(DataError::MissingPartner { path, missing: "images" }),
        (None, None) => Ok(None),
    }
}

/// Notes about what lies beside IDX files.
fn left_out(others: &[PathBuf]) -> Vec<Note> {
    let named = |wanted: bool| {
        let is_wanted = move |path: &&PathBuf| is_system_file(path) == wanted;
        let names = others.iter().filter(is_wanted).filter_map(|path| path.file_name());
        let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort_by(|a, b| natural_order(a, b));
        names
    };
    [(LeftOut::BesideIdx, named(false)), (LeftOut::System, named(true))]
        .into_iter()
        .filter_map(|(reason, names)| {
            Some(Note::LeftOut { reason, count: names.len(), example: names.first()?.clone() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_circulation_are_read() {
        let name = |file: &str| IdxName::of(Path::new(file)).map(|name| (name.set, name.split, name.content));
        let found = |set: &str, split, content| Some((set.to_owned(), split, content));
        let (train, test) = (Some(Split::Train), Some(Split::Test));
        assert_eq!(name("train-images-idx3-ubyte"), found("", train, Content::Images));
        assert_eq!(name("t10k-labels.idx1-ubyte.gz"), found("", test, Content::Labels));
        assert_eq!(name("Test-Labels-IDX1-ubyte.GZ"), found("", test, Content::Labels));
        assert_eq!(
            name("emnist-letters-train-images-idx3-ubyte"),
            found("emnist-letters", train, Content::Images)
        );
        assert_eq!(name("qmnist-test-labels-idx2-int.gz"), found("qmnist", test, Content::Labels));
        assert_eq!(name("test10k-images.idx3"), found("", test, Content::Images));
        assert_eq!(name("images-idx3-ubyte"), found("", None, Content::Images));
        assert_eq!(name("train-x.idx"), found("", train, Content::Images));
        assert_eq!(name("train-y.idx.gz"), found("", train, Content::Labels));
        assert_eq!(name("test.idx3-ubyte"), found("", test, Content::Images));
        assert_eq!(name("a.idx1-ubyte"), found("a", None, Content::Labels));
        assert_eq!(name("train-images-idx4-ubyte"), found("", train, Content::Images));
        for other in ["emnist-letters-mapping.txt", "train-images.png", "train", "train.idx", "labels.csv"] {
            assert_eq!(name(other), None, "{other}");
        }
    }
}
