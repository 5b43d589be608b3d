//! Folders of images without labels, flat or nested.

use std::path::Path;

use super::tree::{Image, LeftOuts, Tree};
use crate::error::DataError;
use crate::notes::LeftOut;
use crate::readers::image_content::KNOWN_FORMATS;
use crate::readers::listing::{Listed, Listing, Pictures};
use crate::split::Split;
use crate::split_names::among;

/// Every image below `root`, at any depth and without a label. Folders at the top whose names mean splits are
/// splits; the names of all others mean nothing. Beside a folder for training the others are left out;
/// without one they are for training.
pub(crate) fn list(root: &Path) -> Result<Listing, DataError> {
    let mut left_out = LeftOuts::default();
    let tree = Tree::read(root, &mut left_out)?;
    of_tree(root, &tree, left_out)
}

/// As [`list`], of a tree that was read.
pub(crate) fn of_tree(root: &Path, tree: &Tree, mut left_out: LeftOuts) -> Result<Listing, DataError> {
    let (mut samples, mut paths) = (Vec::new(), Vec::new());
    let mut add = |split, image: &Image| {
        let (id, problem) = (image.id.clone(), image.problem.clone());
        samples.push(Listed { id, target: None, split, row: paths.len() as u32, problem });
        paths.push(image.path.clone());
    };
    let folders = tree.image_folders();
    let names = among(folders.iter().map(|folder| folder.name.as_str()));
    let splits: Vec<Option<Split>> = names.into_iter().map(|name| Some(name?.split)).collect();
    if splits.iter().all(Option::is_none) {
        tree.all_images().into_iter().for_each(|image| add(None, image));
    } else {
        let others = if splits.contains(&Some(Split::Train)) { None } else { Some(Split::Train) };
        let of_split = |wanted: Split| {
            folders
                .iter()
                .zip(&splits)
                .filter(move |&(_, &split)| split.or(others) == Some(wanted))
                .map(|(folder, _)| folder)
        };
        for split in Split::ALL {
            of_split(split).flat_map(|folder| folder.all_images()).for_each(|image| add(Some(split), image));
        }
        match others {
            Some(_) => tree.images().for_each(|image| add(others, image)),
            None => tree.images().for_each(|image| left_out.add(LeftOut::OutsideSplits, &image.id)),
        }
        let left = folders.iter().zip(&splits).filter(|&(_, &split)| split.or(others).is_none());
        left.for_each(|(folder, _)| left_out.add(LeftOut::NoSplit, &folder.id));
    }
    if samples.is_empty() {
        let hint = match tree.holds_other_files() {
            false => format!("put images into it: {KNOWN_FORMATS}"),
            true => format!("its files are not {KNOWN_FORMATS}: convert them, or name another folder"),
        };
        return Err(DataError::Empty { path: root.to_owned(), what: "images", hint });
    }
    let (classes, notes) = (Vec::new(), left_out.into_notes().collect());
    let pictures = Pictures::of_files(paths);
    Ok(Listing { kind: "folder of unlabelled images", classes, samples, pictures, notes })
}
