//! Image folders: one folder for each class, with or without `train`, `val` and `test` above them; or images
//! without labels, in any folders.

use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use crate::classes::natural::natural_order;
use crate::error::DataError;
use crate::notes::Note;
use crate::options::SplitBy;
use crate::readers::listing::{Listed, Listing, Pictures, check_trained};
use crate::split::Split;

/// Extensions of files that are taken for images. What they hold is found out from their content.
const EXTENSIONS: [&str; 13] =
    ["png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff", "pnm", "pgm", "ppm", "pbm", "pam"];

struct Entry {
    name: String,
    path: PathBuf,
    is_folder: bool,
}

/// Images of one class in one split.
struct ClassFolder {
    name: String,
    split: Option<Split>,
    /// `[id, path]`.
    files: Vec<(String, PathBuf)>,
}

pub(crate) fn list(root: &Path, split_by: SplitBy) -> Result<Listing, DataError> {
    let mut notes = Vec::new();
    let folders = find_classes(root, &mut notes)?;
    let mut classes: Vec<String> = folders.iter().map(|folder| folder.name.clone()).collect();
    classes.sort_by(|a, b| natural_order(a, b));
    classes.dedup();

    let (mut samples, mut paths) = (Vec::new(), Vec::new());
    for folder in folders {
        // Both are sorted and deduplicated the same way, so the name is there.
        let position = classes.binary_search_by(|class| natural_order(class, &folder.name));
        let target = Some(position.unwrap_or_default() as u32);
        for (id, path) in folder.files {
            samples.push(Listed { id, target, split: folder.split, row: paths.len() as u32 });
            paths.push(path);
        }
    }
    check_trained(root, &classes, &samples, split_by)?;
    Ok(Listing { kind: "image folder", classes, samples, pictures: Pictures::Files(paths), notes })
}

/// Every image below `root`, at any depth and without a label. Folders named `train`, `val` or `test` at the top
/// are splits, as they are above class folders; the names of all others mean nothing.
pub(crate) fn list_unlabelled(root: &Path) -> Result<Listing, DataError> {
    let entries = read_folder(root)?;
    let split_of = |entry: &Entry| entry.name.parse::<Split>().ok().filter(|_| entry.is_folder);
    let mut splits: Vec<(Split, &Entry)> =
        entries.iter().filter_map(|entry| Some((split_of(entry)?, entry))).collect();
    splits.sort_by_key(|&(split, _)| split);
    let mut ignored = Ignored::default();
    let (mut samples, mut paths) = (Vec::new(), Vec::new());
    let mut list = |split, files: Vec<(String, PathBuf)>| {
        for (id, path) in files {
            samples.push(Listed { id, target: None, split, row: paths.len() as u32 });
            paths.push(path);
        }
    };
    if splits.is_empty() {
        let mut files = Vec::new();
        collect_entries(entries, "", 0, &mut ignored, &mut files)?;
        list(None, files);
    } else {
        for entry in entries.iter().filter(|entry| split_of(entry).is_none()) {
            ignored.add(&entry.name, entry.is_folder);
        }
        for (split, entry) in splits {
            let mut files = Vec::new();
            collect_files(&entry.path, &entry.name, 0, &mut ignored, &mut files)?;
            list(Some(split), files);
        }
    }
    if samples.is_empty() {
        let hint = format!("put images into it, with one of the extensions {}", EXTENSIONS.join(", "));
        return Err(DataError::Empty { path: root.to_owned(), what: "images", hint });
    }
    let (classes, notes) = (Vec::new(), ignored.into_notes().collect());
    Ok(Listing {
        kind: "folder of unlabelled images",
        classes,
        samples,
        pictures: Pictures::Files(paths),
        notes,
    })
}

/// The class folders in the order train, val, test, then by class.
fn find_classes(root: &Path, notes: &mut Vec<Note>) -> Result<Vec<ClassFolder>, DataError> {
    let entries = read_folder(root)?;
    let mut splits = Vec::new();
    for entry in entries.iter().filter(|entry| entry.is_folder) {
        if let Ok(split) = entry.name.parse::<Split>()
            && read_folder(&entry.path)?.iter().any(|inner| inner.is_folder)
        {
            splits.push((split, entry));
        }
    }
    splits.sort_by_key(|&(split, _)| split);
    let mut ignored = Ignored::default();
    let mut folders = Vec::new();
    if splits.is_empty() {
        collect_classes(root, None, "", &entries, &mut ignored, &mut folders)?;
    } else {
        for entry in &entries {
            if !splits.iter().any(|(_, split)| split.name == entry.name) {
                ignored.add(&entry.name, entry.is_folder);
            }
        }
        for (split, entry) in splits {
            let prefix = format!("{}/", entry.name);
            let inner = read_folder(&entry.path)?;
            collect_classes(&entry.path, Some(split), &prefix, &inner, &mut ignored, &mut folders)?;
        }
    }
    notes.extend(ignored.into_notes());
    if folders.is_empty() {
        return Err(DataError::Empty {
            path: root.to_owned(),
            what: "class folders with images",
            hint: hint_for(&entries),
        });
    }
    Ok(folders)
}

fn hint_for(entries: &[Entry]) -> String {
    let with = |extension: &str| {
        entries.iter().find(|entry| {
            !entry.is_folder
                && entry.path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
        })
    };
    match with("csv").or_else(|| with("npz")) {
        Some(entry) => format!("if {} describes the data, name that file instead", entry.path.display()),
        None if entries.iter().any(|entry| !entry.is_folder && has_image_extension(&entry.path)) => {
            "put the images of each class into a folder with its name; images without labels serve only where none \
             are needed, such as distillation without a hard term"
                .to_owned()
        }
        None => "put the images of each class into a folder with its name".to_owned(),
    }
}

fn collect_classes(
    folder: &Path,
    split: Option<Split>,
    prefix: &str,
    entries: &[Entry],
    ignored: &mut Ignored,
    folders: &mut Vec<ClassFolder>,
) -> Result<(), DataError> {
    for entry in entries {
        if !entry.is_folder {
            ignored.add(&format!("{prefix}{}", entry.name), false);
            continue;
        }
        let mut files = Vec::new();
        let id = format!("{prefix}{}", entry.name);
        collect_files(&entry.path, &id, 0, ignored, &mut files)?;
        if !files.is_empty() {
            folders.push(ClassFolder { name: entry.name.clone(), split, files });
        } else if matches!(split, None | Some(Split::Train)) {
            return Err(DataError::Empty {
                path: folder.join(&entry.name),
                what: "images",
                hint: "add images of the class, or remove the folder".to_owned(),
            });
        }
    }
    Ok(())
}

fn collect_files(
    folder: &Path,
    id: &str,
    depth: usize,
    ignored: &mut Ignored,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), DataError> {
    collect_entries(read_folder(folder)?, &format!("{id}/"), depth, ignored, files)
}

fn collect_entries(
    entries: Vec<Entry>,
    prefix: &str,
    depth: usize,
    ignored: &mut Ignored,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), DataError> {
    /// Deeper folders are no longer sorted by hand; a link may lead in a circle.
    const MAX_DEPTH: usize = 16;
    for entry in entries {
        let id = format!("{prefix}{}", entry.name);
        if entry.is_folder {
            if depth + 1 > MAX_DEPTH {
                let reason =
                    format!("folders are nested more than {MAX_DEPTH} deep; a link may lead in a circle");
                return Err(DataError::Damaged { path: entry.path, reason });
            }
            collect_files(&entry.path, &id, depth + 1, ignored, files)?;
        } else if has_image_extension(&entry.path) {
            files.push((id, entry.path));
        } else {
            ignored.add(&id, false);
        }
    }
    Ok(())
}

/// Whether a file in a folder is taken for an image: by its extension, such as `png`; what it holds is found out later.
pub fn has_image_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension))
}

/// What lies in a folder, hidden entries left out, in natural order. Links are followed.
fn read_folder(folder: &Path) -> Result<Vec<Entry>, DataError> {
    let io = |error| DataError::io(folder, error);
    let entry = |found: DirEntry| -> Result<Entry, DataError> {
        let path = found.path();
        // A dangling link stays in the list, so that it is reported as a file that cannot be read.
        let is_folder = path.metadata().is_ok_and(|metadata| metadata.is_dir());
        let name = found.file_name();
        // Two such folders could look like one class.
        if is_folder && name.to_str().is_none() {
            return Err(DataError::ClassName { path });
        }
        Ok(Entry { name: name.to_string_lossy().into_owned(), path, is_folder })
    };
    let mut entries = Vec::new();
    for found in std::fs::read_dir(folder).map_err(io)? {
        let entry = entry(found.map_err(io)?)?;
        if !entry.name.starts_with('.') {
            entries.push(entry);
        }
    }
    entries.sort_by(|a, b| natural_order(&a.name, &b.name));
    Ok(entries)
}

/// What is left out, so that it can be said.
#[derive(Default)]
struct Ignored {
    num_files: usize,
    example: String,
    folders: Vec<String>,
}

impl Ignored {
    fn add(&mut self, name: &str, is_folder: bool) {
        if is_folder {
            self.folders.push(name.to_owned());
            return;
        }
        if self.num_files == 0 {
            name.clone_into(&mut self.example);
        }
        self.num_files += 1;
    }

    fn into_notes(self) -> impl Iterator<Item = Note> {
        let Self { num_files, example, folders } = self;
        let files = (num_files > 0).then_some(Note::Ignored { num_files, example });
        files.into_iter().chain(folders.into_iter().map(|name| Note::IgnoredFolder { name }))
    }
}
