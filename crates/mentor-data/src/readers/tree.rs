//! What lies below a folder: image files in natural order, and in one line each what is left out.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mentor_codec::Fault;

use crate::classes::natural::natural_order;
use crate::error::DataError;
use crate::notes::{LeftOut, Note};
use crate::readers::image_content::{has_image_content, has_image_extension};
use crate::readers::system_files::is_system;

/// Deeper folders are no longer sorted by hand.
const MAX_DEPTH: usize = 32;

/// A folder, the images in it and its folders, in natural order.
pub(crate) struct Tree {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Path below the root, with `/` between folders; empty for the root.
    pub(crate) id: String,
    entries: Vec<Entry>,
    has_other_files: bool,
}

enum Entry {
    Image(Image),
    Folder(Tree),
}

/// A file that is taken for an image.
pub(crate) struct Image {
    /// Path below the root.
    pub(crate) id: String,
    pub(crate) path: PathBuf,
    /// Why it cannot be read, where that is known already.
    pub(crate) problem: Option<Fault>,
}

impl Tree {
    /// Searches through a folder. Links are followed, except one that leads back to a folder above it. A
    /// folder further down that may not be read stands among the images with its problem, so that it is
    /// treated as a bad image is.
    pub(crate) fn read(root: &Path, left_out: &mut LeftOuts) -> Result<Self, DataError> {
        let mut tree = Self {
            name: String::new(),
            path: root.to_owned(),
            id: String::new(),
            entries: Vec::new(),
            has_other_files: false,
        };
        tree.fill(0, left_out)?;
        Ok(tree)
    }

    /// The tree of files that have `names` in an archive, with `/` between folders, sorted by their folders.
    pub(crate) fn of_names(root: &Path, names: &[&str]) -> Result<Self, DataError> {
        let (name, id) = (String::new(), String::new());
        let (path, entries) = (root.to_owned(), Vec::new());
        let mut tree = Self { name, path, id, entries, has_other_files: false };
        for name in names {
            if name.split('/').count() > MAX_DEPTH {
                return Err(DataError::TooDeep { path: root.join(name), limit: MAX_DEPTH });
            }
            tree.add(name, name);
        }
        Ok(tree)
    }

    /// Adds the image `id`, which lies at `below` in this folder.
    fn add(&mut self, below: &str, id: &str) {
        let path = |name: &str| self.path.join(name);
        let Some((folder, rest)) = below.split_once('/') else {
            self.entries.push(Entry::Image(Image { id: id.to_owned(), path: path(below), problem: None }));
            return;
        };
        // The names are sorted, so that a folder is complete before the next one begins.
        if !matches!(self.entries.last(), Some(Entry::Folder(last)) if last.name == folder) {
            let id_of_folder = id[..id.len() - rest.len() - 1].to_owned();
            let (name, path, entries) = (folder.to_owned(), path(folder), Vec::new());
            let folder = Self { name, path, id: id_of_folder, entries, has_other_files: false };
            self.entries.push(Entry::Folder(folder));
        }
        if let Some(Entry::Folder(folder)) = self.entries.last_mut() {
            folder.add(rest, id);
        }
    }

    fn fill(&mut self, depth: usize, left_out: &mut LeftOuts) -> Result<(), DataError> {
        let mut names = list(&self.path).map_err(|error| DataError::io(&self.path, error))?;
        names.sort_by(|(a, _), (b, _)| natural_order(a, b));
        for (name, path) in names {
            let id = if self.id.is_empty() { name.clone() } else { format!("{}/{name}", self.id) };
            if is_system(&name) {
                left_out.add(LeftOut::System, &id);
            } else if path.is_dir() {
                if leads_back(&path) {
                    left_out.add(LeftOut::Circle, &id);
                    continue;
                }
                if depth + 1 > MAX_DEPTH {
                    return Err(DataError::TooDeep { path, limit: MAX_DEPTH });
                }
                let mut folder = Self { name, path, id, entries: Vec::new(), has_other_files: false };
                if let Err(error) = folder.fill(depth + 1, left_out) {
                    let Some(fault) = error.unreadable() else { return Err(error) };
                    let Self { path, id, .. } = folder;
                    let (reason, advice) = (format!("a folder: {fault}"), "allow reading it");
                    let problem = Some(Fault::Unreadable { reason, advice });
                    self.entries.push(Entry::Image(Image { id, path, problem }));
                } else {
                    self.entries.push(Entry::Folder(folder));
                }
            } else if has_image_extension(&path) || has_image_content(&path) {
                // A dangling link under the name of an image is one, so that it is reported.
                self.entries.push(Entry::Image(Image { id, path, problem: None }));
            } else {
                left_out.add(LeftOut::NoImage, &id);
                self.has_other_files = true;
            }
        }
        Ok(())
    }

    /// The images in the folder itself.
    pub(crate) fn images(&self) -> impl Iterator<Item = &Image> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Image(image) => Some(image),
            Entry::Folder(_) => None,
        })
    }

    /// All folders in it, also those without images.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Self> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Folder(folder) => Some(folder),
            Entry::Image(_) => None,
        })
    }

    /// The folders in it that hold images at any depth.
    pub(crate) fn image_folders(&self) -> Vec<&Self> {
        self.folders().filter(|folder| folder.holds_images()).collect()
    }

    /// Whether there is an image at any depth.
    pub(crate) fn holds_images(&self) -> bool {
        self.entries.iter().any(|entry| match entry {
            Entry::Image(_) => true,
            Entry::Folder(folder) => folder.holds_images(),
        })
    }

    /// Whether there is a file at any depth that is no image.
    pub(crate) fn holds_other_files(&self) -> bool {
        self.has_other_files || self.folders().any(Self::holds_other_files)
    }

    /// All images at any depth, in natural order.
    pub(crate) fn all_images(&self) -> Vec<&Image> {
        let mut images = Vec::new();
        self.add_images(&mut images);
        images
    }

    fn add_images<'a>(&'a self, images: &mut Vec<&'a Image>) {
        for entry in &self.entries {
            match entry {
                Entry::Image(image) => images.push(image),
                Entry::Folder(folder) => folder.add_images(images),
            }
        }
    }
}

fn list(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let named = |entry: fs::DirEntry| (entry.file_name().to_string_lossy().into_owned(), entry.path());
    fs::read_dir(folder)?.map(|entry| entry.map(named)).collect()
}

/// Whether a folder is a link to a folder that holds it, directly or by way of other links.
fn leads_back(folder: &Path) -> bool {
    if !folder.is_symlink() {
        return false;
    }
    let Ok(target) = folder.canonicalize() else { return false };
    let mut above = folder
        .ancestors()
        .skip(1)
        .map(|folder| if folder == Path::new("") { Path::new(".") } else { folder });
    above.any(|folder| folder.canonicalize().is_ok_and(|folder| folder.starts_with(&target)))
}

/// What is left out, counted by its reason.
#[derive(Default)]
pub(crate) struct LeftOuts(BTreeMap<LeftOut, (usize, String)>);

impl LeftOuts {
    /// Counts one more; the first is the example.
    pub(crate) fn add(&mut self, reason: LeftOut, example: &str) {
        let (count, _) = self.0.entry(reason).or_insert_with(|| (0, example.to_owned()));
        *count += 1;
    }

    /// Counts what was counted elsewhere too.
    pub(crate) fn append(&mut self, other: Self) {
        for (reason, (more, example)) in other.0 {
            let (count, _) = self.0.entry(reason).or_insert((0, example));
            *count += more;
        }
    }

    /// One note a reason.
    pub(crate) fn into_notes(self) -> impl Iterator<Item = Note> {
        self.0.into_iter().map(|(reason, (count, example))| Note::LeftOut { reason, count, example })
    }
}

/// Image files below a folder, as [`find_images`] finds them.
#[derive(Debug)]
pub struct ImageFiles {
    /// Files that are taken for images, in natural order.
    pub files: Vec<PathBuf>,
    /// Folders that may not be read.
    pub unreadable: Vec<DataError>,
    /// What is left out.
    pub notes: Vec<Note>,
}

/// The image files below a folder at any depth: those with the extension of an image, and those that begin as
/// an image does. Hidden files and those that systems make are left out. Nothing is decoded.
///
/// # Errors
///
/// [`DataError::NotFound`] or [`DataError::Io`] if the folder cannot be read; [`DataError::TooDeep`].
///
/// ```
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("scan"), b"P5 2 1 255 \x07\xff")?;
/// std::fs::write(folder.path().join("notes.txt"), "no image")?;
/// let found = mentor_data::find_images(folder.path())?;
/// assert_eq!(found.files, [folder.path().join("scan")]);
/// assert!(found.notes[0].to_string().contains("notes.txt"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn find_images(folder: &Path) -> Result<ImageFiles, DataError> {
    let mut left_out = LeftOuts::default();
    let (mut files, mut unreadable) = (Vec::new(), Vec::new());
    for Image { path, problem, .. } in Tree::read(folder, &mut left_out)?.all_images() {
        match problem {
            None => files.push(path.clone()),
            Some(fault) => {
                let (path, fault) = (path.clone(), fault.clone());
                unreadable.push(DataError::BadImage { path, fault, can_be_skipped: false });
            }
        }
    }
    Ok(ImageFiles { files, unreadable, notes: left_out.into_notes().collect() })
}
