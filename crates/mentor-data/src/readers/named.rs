//! Images that have names in an archive or a table: with labels of their own, or in folders as on a disk. The
//! order is that of a folder with the same names.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::path::Path;

use super::layout::class_folders;
use super::tree::{LeftOuts, Tree};
use super::unlabelled;
use crate::classes::names::ClassNames;
use crate::classes::natural::natural_order;
use crate::error::DataError;
use crate::notes::Note;
use crate::options::{OpenOptions, Purpose};
use crate::readers::listing::{Listed, Listing, Pictures, check_trained};
use crate::split::Split;

/// An image and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// Its name, with `/` between folders. No two are equal.
    pub(crate) name: String,
    pub(crate) label: Option<String>,
    pub(crate) split: Option<Split>,
}

/// The listing of images in the order of their rows. If they have labels, these are the classes; otherwise
/// their folders are, as [`class_folders`] reads them.
pub(crate) fn list(
    path: &Path,
    kind: &'static str,
    images: &[Named],
    pictures: Pictures,
    left_out: LeftOuts,
    options: &OpenOptions,
    purpose: Purpose,
) -> Result<Listing, DataError> {
    let num_labelled = images.iter().filter(|image| image.label.is_some()).count();
    let mut listing = match num_labelled {
        0 => in_folders(path, images, left_out, purpose)?,
        _ if num_labelled == images.len() => with_labels(images, left_out),
        _ => {
            let unlabelled = images.iter().find(|image| image.label.is_none());
            let name = unlabelled.map_or("", |image| image.name.as_str());
            let count = images.len() - num_labelled;
            let reason = format!("{count} of {} images have no label, such as {name:?}", images.len());
            return Err(DataError::Damaged { path: path.to_owned(), reason });
        }
    };
    if purpose == Purpose::Training {
        check_trained(path, &listing.classes, &listing.samples, options.split_by)?;
    }
    (listing.kind, listing.pictures) = (kind, pictures);
    Ok(listing)
}

/// The listing of images whose labels are not asked for.
pub(crate) fn list_unlabelled(
    path: &Path,
    images: &[Named],
    pictures: Pictures,
    left_out: LeftOuts,
) -> Result<Listing, DataError> {
    let rows = rows(images);
    let mut listing = unlabelled::of_tree(path, &tree(path, images)?, left_out)?;
    listing.samples.iter_mut().for_each(|listed| listed.row = rows[listed.id.as_str()]);
    Ok(Listing { pictures, ..listing })
}

fn with_labels(images: &[Named], left_out: LeftOuts) -> Listing {
    let names = ClassNames::of(images.iter().filter_map(|image| image.label.as_deref()));
    let has_splits = images.iter().all(|image| image.split.is_some());
    let listed = |(row, image): (u32, &Named)| Listed {
        id: image.name.clone(),
        target: image.label.as_deref().map(|label| names.target(label)),
        split: image.split.filter(|_| has_splits),
        row,
        problem: None,
    };
    let mut samples: Vec<Listed> = (0..).zip(images).map(listed).collect();
    let key = |listed: &Listed| (listed.split, listed.target);
    samples.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| order_of_paths(&a.id, &b.id)));
    let notes: Vec<Note> = left_out.into_notes().chain(names.notes()).collect();
    Listing {
        kind: "",
        classes: names.into_names(),
        samples,
        pictures: Pictures::of_files(Vec::new()),
        notes,
    }
}

fn in_folders(
    path: &Path,
    images: &[Named],
    mut left_out: LeftOuts,
    purpose: Purpose,
) -> Result<Listing, DataError> {
    let (tree, rows) = (tree(path, images)?, rows(images));
    // What the files of the archive say holds where its folders say nothing.
    let of_file: Option<Vec<Split>> = images.iter().map(|image| image.split).collect();
    let mut notes = Vec::new();
    let folders = class_folders(&tree, purpose, &mut left_out, &mut notes)?;
    notes.splice(0..0, left_out.into_notes());
    let names = ClassNames::of(folders.iter().map(|folder| folder.name));
    let mut samples = Vec::with_capacity(images.len());
    for folder in &folders {
        let target = Some(names.target(folder.name));
        for image in &folder.images {
            let row = rows[image.id.as_str()];
            let split = folder.split.or_else(|| of_file.as_ref().map(|splits| splits[row as usize]));
            samples.push(Listed { id: image.id.clone(), target, split, row, problem: None });
        }
    }
    samples.sort_by_key(|listed| listed.split);
    notes.extend(names.notes());
    let pictures = Pictures::of_files(Vec::new());
    Ok(Listing { kind: "", classes: names.into_names(), samples, pictures, notes })
}

fn rows(images: &[Named]) -> HashMap<&str, u32> {
    (0..).zip(images).map(|(row, image)| (image.name.as_str(), row)).collect()
}

fn tree(path: &Path, images: &[Named]) -> Result<Tree, DataError> {
    let mut names: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
    names.sort_by(|a, b| order_of_paths(a, b));
    Tree::of_names(path, &names)
}

/// The natural order of each folder in turn, as a search through folders has it.
fn order_of_paths(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('/'), b.split('/'));
    loop {
        match (a.next(), b.next()) {
            (Some(a), Some(b)) => match natural_order(a, b) {
                Ordering::Equal => {}
                order => return order,
            },
            (a, b) => return a.is_some().cmp(&b.is_some()),
        }
    }
}
