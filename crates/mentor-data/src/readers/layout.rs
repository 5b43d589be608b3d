//! What the folders of a data set are: classes, splits with classes below them, or classes with splits below
//! them.

use std::collections::BTreeSet;
use std::path::Path;

use super::idx_files::{is_idx_folder, is_unnamed_idx};
use super::tree::{Image, LeftOuts, Tree};
use crate::classes::names::class_name;
use crate::error::DataError;
use crate::notes::{LeftOut, Note};
use crate::options::Purpose;
use crate::readers::image_content::KNOWN_FORMATS;
use crate::shown::shown;
use crate::split::Split;
use crate::split_names::{SplitName, among, is_neutral_name};

/// Images of one class in one split.
pub(crate) struct ClassFolder<'a> {
    pub(crate) name: &'a str,
    pub(crate) split: Option<Split>,
    pub(crate) images: Vec<&'a Image>,
}

enum Layout<'a> {
    Classes,
    Splits(Vec<(Split, &'a Tree)>),
    SplitsInClasses,
}

/// The class folders in the order train, val, test, then by class.
pub(crate) fn class_folders<'a>(
    root: &'a Tree,
    purpose: Purpose,
    left_out: &mut LeftOuts,
    notes: &mut Vec<Note>,
) -> Result<Vec<ClassFolder<'a>>, DataError> {
    let needed = purpose == Purpose::Training;
    let mut found = Vec::new();
    match Layout::of(root)? {
        Layout::Classes => {
            add_classes(root, None, needed, left_out, &mut found)?;
            let folders = root.image_folders();
            let named = splits_among(&folders).into_iter();
            notes.extend(named.map(|(_, folder)| Note::SplitAsClass { name: folder.name.clone() }));
            notes.extend(classes_like_splits(&folders));
        }
        Layout::Splits(splits) => {
            root.images().for_each(|image| left_out.add(LeftOut::OutsideClasses, &image.id));
            for folder in root.folders() {
                if !splits.iter().any(|(_, split)| split.id == folder.id) {
                    left_out.add(why_no_split(folder), &folder.id);
                }
            }
            for (split, folder) in splits {
                let needed = needed && split == Split::Train;
                add_classes(unwrapped(folder, split), Some(split), needed, left_out, &mut found)?;
            }
        }
        Layout::SplitsInClasses => {
            root.images().for_each(|image| left_out.add(LeftOut::OutsideClasses, &image.id));
            for class in root.image_folders() {
                let splits = splits_among(&class.image_folders());
                let of_split = |(split, folder): (Split, &'a Tree)| ClassFolder {
                    name: &class.name,
                    split: Some(split),
                    images: folder.all_images(),
                };
                found.extend(splits.into_iter().map(of_split));
            }
            found.sort_by_key(|folder| folder.split);
        }
    }
    if let [first, rest @ ..] = &found[..]
        && needed
        && rest.iter().all(|other| other.name == first.name)
    {
        let class = first.name.to_owned();
        let hint = classes_below(root).unwrap_or_else(|| "a classifier needs at least two".to_owned());
        return Err(DataError::OneClass { path: root.path.clone(), class, hint });
    }
    Ok(found)
}

impl<'a> Layout<'a> {
    fn of(root: &'a Tree) -> Result<Self, DataError> {
        let folders = root.image_folders();
        if folders.is_empty() {
            return Err(idx_without_name(&root.path).unwrap_or_else(|| no_classes(root, hint_for(root))));
        }
        let named = splits_among(&folders);
        let all_named = named.len() == folders.len();
        let (nested, flat): (Vec<_>, Vec<_>) =
            named.into_iter().partition(|(_, folder)| !folder.image_folders().is_empty());
        if num_splits(&nested) > 1 || !nested.is_empty() && all_named {
            check_one_each(root, &nested)?;
            return Ok(Self::Splits(nested));
        }
        if let [(_, folder), ..] = nested[..] {
            let others = names(folders.iter().filter(|other| other.id != folder.id));
            return Err(DataError::SplitOrClass {
                path: root.path.clone(),
                folder: folder.name.clone(),
                others,
            });
        }
        if num_splits(&flat) > 1 || all_named {
            let hint = format!(
                "{} have names of splits and hold images outside class folders: put the images of each class \
                 into a folder with its name, or rename these folders if they are classes",
                names(flat.iter().map(|(_, folder)| folder))
            );
            return Err(no_classes(root, hint));
        }
        let divided = |class: &&&Tree| num_splits(&splits_among(&class.image_folders())) > 1;
        if let Some(class) = folders.iter().find(divided)
            && folders.len() > 1
        {
            if folders.iter().all(|class| holds_splits_alone(class)) {
                return Ok(Self::SplitsInClasses);
            }
            let splits = names(splits_among(&class.image_folders()).iter().map(|(_, folder)| folder));
            return Err(DataError::SplitsInClass {
                path: root.path.clone(),
                class: class.name.clone(),
                splits,
            });
        }
        Ok(Self::Classes)
    }
}

/// The folders whose names mean splits, in the order of the splits.
fn splits_among<'a>(folders: &[&'a Tree]) -> Vec<(Split, &'a Tree)> {
    let named = among(folders.iter().map(|folder| folder.name.as_str()));
    let mut splits: Vec<(Split, &Tree)> =
        named.into_iter().zip(folders).filter_map(|(name, &folder)| Some((name?.split, folder))).collect();
    splits.sort_by_key(|&(split, _)| split);
    splits
}

fn num_splits(folders: &[(Split, &Tree)]) -> usize {
    Split::ALL.into_iter().filter(|&split| folders.iter().any(|&(found, _)| found == split)).count()
}

fn check_one_each(root: &Tree, splits: &[(Split, &Tree)]) -> Result<(), DataError> {
    for split in Split::ALL {
        let folders: Vec<_> =
            splits.iter().filter(|&&(found, _)| found == split).map(|(_, folder)| folder).collect();
        if folders.len() > 1 {
            return Err(DataError::SplitTwice {
                path: root.path.clone(),
                split,
                folders: names(folders.into_iter()),
            });
        }
    }
    Ok(())
}

/// Whether a class folder holds nothing but folders of splits, with the images in them.
fn holds_splits_alone(class: &Tree) -> bool {
    let inner = class.image_folders();
    let splits = splits_among(&inner);
    let one_each = num_splits(&splits) == splits.len();
    let flat = inner.iter().all(|folder| folder.image_folders().is_empty());
    splits.len() == inner.len() && one_each && flat && !inner.is_empty() && class.images().next().is_none()
}

/// The folder with the classes of a split: itself, or the only folder in it if that says the same again, as
/// in `seg_train/seg_train` and `train/images`.
fn unwrapped(folder: &Tree, split: Split) -> &Tree {
    let [inner] = folder.image_folders()[..] else { return folder };
    let again =
        SplitName::of(&inner.name).is_some_and(|name| name.split == split) || is_neutral_name(&inner.name);
    if again && folder.images().next().is_none() && !inner.image_folders().is_empty() {
        inner
    } else {
        folder
    }
}

fn add_classes<'a>(
    folder: &'a Tree,
    split: Option<Split>,
    needed: bool,
    left_out: &mut LeftOuts,
    found: &mut Vec<ClassFolder<'a>>,
) -> Result<(), DataError> {
    folder.images().for_each(|image| left_out.add(LeftOut::OutsideClasses, &image.id));
    for class in folder.folders() {
        // Two such folders could look like one class.
        if class.path.file_name().is_some_and(|name| name.to_str().is_none()) {
            return Err(DataError::ClassName { path: class.path.clone() });
        }
        if class.holds_images() {
            found.push(ClassFolder { name: &class.name, split, images: class.all_images() });
        } else if needed {
            let hint = match class.holds_other_files() {
                false => "add images of the class, or remove the folder".to_owned(),
                true => format!("its files are not {KNOWN_FORMATS}: convert them, or remove the folder"),
            };
            return Err(DataError::Empty { path: class.path.clone(), what: "images", hint });
        }
    }
    Ok(())
}

fn why_no_split(folder: &Tree) -> LeftOut {
    if SplitName::of(&folder.name).is_none_or(|name| !name.is_certain) {
        LeftOut::NoSplit
    } else if folder.holds_images() {
        LeftOut::SplitWithoutClasses
    } else {
        LeftOut::EmptySplit
    }
}

fn no_classes(root: &Tree, hint: String) -> DataError {
    DataError::Empty { path: root.path.clone(), what: "class folders with images", hint }
}

/// What to do about a folder in which no folder holds an image.
fn hint_for(root: &Tree) -> String {
    if let Some(description) = described_by(&root.path) {
        return format!("if {description} describes the data, name that file instead");
    }
    match &idx_below(root)[..] {
        [] => {}
        [folder] => {
            return format!("{} holds IDX files: name that folder", shown(&folder.path.to_string_lossy()));
        }
        several => {
            return format!(
                "{} hold IDX files: name one of these folders, or put the files of all into one, with names \
                 such as train-images-idx3-ubyte and test-images-idx3-ubyte",
                listed_names(several.iter().map(|folder| folder.id.as_str()))
            );
        }
    }
    if root.images().next().is_some() {
        return "put the images of each class into a folder with its name; images without labels serve only \
                where none are needed, such as distillation without a hard term"
            .to_owned();
    }
    if root.holds_other_files() {
        let place = if root.folders().any(Tree::holds_other_files) { "its folders" } else { "it" };
        return format!("the files in {place} are not {KNOWN_FORMATS}: convert them, or name another folder");
    }
    "put the images of each class into a folder with its name".to_owned()
}

/// A manifest or archive in the folder.
fn described_by(folder: &Path) -> Option<String> {
    let files: Vec<_> =
        std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let with = |extension: &str| {
        let is_such = |path: &&std::path::PathBuf| {
            path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
        };
        files.iter().filter(is_such).min().cloned()
    };
    let found = ["csv", "tsv", "npz"].into_iter().find_map(with)?;
    Some(shown(&found.to_string_lossy()).into_owned())
}

/// The error about an IDX file in a folder of which no file's name says that it is one.
fn idx_without_name(folder: &Path) -> Option<DataError> {
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let path = entries.filter(|path| is_unnamed_idx(path)).min()?;
    Some(DataError::IdxName { path })
}

fn idx_below(folder: &Tree) -> Vec<&Tree> {
    let mut found = Vec::new();
    for inner in folder.folders() {
        match is_idx_folder(&inner.path) {
            true => found.push(inner),
            false => found.extend(idx_below(inner)),
        }
    }
    found
}

/// A note about folders that are taken for classes and may be splits under names that are not known, as in
/// another language: they hold nothing but folders, and several of these have the same names in each.
fn classes_like_splits(folders: &[&Tree]) -> Option<Note> {
    let inner = |folder: &&Tree| -> Option<BTreeSet<String>> {
        let names = folder.image_folders().into_iter().map(|inner| inner.name.as_str());
        let names = names.filter(|name| !is_neutral_name(name)).map(class_name);
        folder.images().next().is_none().then(|| names.collect())
    };
    let inner: Vec<BTreeSet<String>> = folders.iter().map(inner).collect::<Option<_>>()?;
    let first = inner.first()?;
    let shared: Vec<String> =
        first.iter().filter(|&name| inner.iter().all(|names| names.contains(name))).cloned().collect();
    let names = folders.iter().map(|folder| folder.name.clone()).collect();
    (folders.len() > 1 && shared.len() > 1).then_some(Note::ClassesLikeSplits { folders: names, shared })
}

/// Where the classes may be if the only folder with images is none: the first folder below that holds
/// several.
fn classes_below(root: &Tree) -> Option<String> {
    let mut folder = root;
    loop {
        if folder.images().next().is_some() && folder.id != root.id {
            return None;
        }
        match folder.image_folders()[..] {
            [inner] => folder = inner,
            [] => return None,
            ref several => {
                let path = shown(&folder.path.to_string_lossy()).into_owned();
                let (what, condition) = match splits_among(several).is_empty() {
                    true => ("folders", " if they are the classes"),
                    false => ("splits", ""),
                };
                let inner = names(several.iter());
                return Some(format!("{path} holds the {what} {inner}: name that folder{condition}"));
            }
        }
    }
}

/// Names of folders for a message.
fn names<'a>(folders: impl Iterator<Item = &'a &'a Tree>) -> String {
    listed_names(folders.map(|folder| folder.name.as_str()))
}

/// Names for a message, not too many of them.
fn listed_names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 5;
    let mut names: Vec<String> = names.map(|name| format!("{name:?}")).collect();
    let more = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    let list = names.join(", ");
    if more > 0 { format!("{list} and {more} more") } else { list }
}
