//! Image folders: one folder for each class, with or without folders of splits above or below them.

use std::path::Path;

use super::layout::{ClassFolder, class_folders};
use super::tree::{LeftOuts, Tree};
use crate::classes::names::ClassNames;
use crate::error::DataError;
use crate::options::{Purpose, SplitBy};
use crate::readers::listing::{Format, Listed, Listing, Pictures, check_trained};

pub(crate) const FORMAT: Format =
    Format { recognises: Path::is_dir, list: |path, options, purpose| list(path, options.split_by, purpose) };

fn list(root: &Path, split_by: SplitBy, purpose: Purpose) -> Result<Listing, DataError> {
    let mut left_out = LeftOuts::default();
    let tree = Tree::read(root, &mut left_out)?;
    let mut notes = Vec::new();
    let folders = class_folders(&tree, purpose, &mut left_out, &mut notes)?;
    notes.splice(0..0, left_out.into_notes());
    let names = ClassNames::of(folders.iter().map(|folder| folder.name));

    let (mut samples, mut paths) = (Vec::new(), Vec::new());
    for ClassFolder { name, split, images } in folders {
        let target = Some(names.target(name));
        for image in images {
            let row = paths.len() as u32;
            samples.push(Listed { id: image.id.clone(), target, split, row, problem: image.problem.clone() });
            paths.push(image.path.clone());
        }
    }
    notes.extend(names.notes());
    let classes = names.into_names();
    if purpose == Purpose::Training {
        check_trained(root, &classes, &samples, split_by)?;
    }
    Ok(Listing { kind: "image folder", classes, samples, pictures: Pictures::of_files(paths), notes })
}
