//! Features of images by a pretrained network: `mentor embed --backbone`.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use mentor_backbone::{Backbone, BackboneError, read_picture};
use mentor_data::{Limits, Reading, class_name, escape, natural_order, shown_path};
use mentor_train::pseudo_labels::Shard;

use crate::files::embeddings::Embedded;
use crate::files::images::Found;
use crate::files::limits::ImageLimits;
use crate::files::user_folders::backbone_named;
use crate::terminal::error::Failure;
use crate::terminal::output;
use crate::terminal::reading::ReadingBar;

/// Pixels of images that are held at once take a few dozen megabytes.
const MAX_BATCH: usize = 64;

/// Opens a file of weights; what is wrong with it names the file.
pub(super) fn open(path: &Path, architecture: Option<&str>) -> Result<Backbone, Failure> {
    let path = &backbone_named(path);
    Backbone::open(path, architecture).map_err(|error| {
        let help = error.help();
        let failure = match error {
            BackboneError::Io { .. } => Failure::data(error),
            BackboneError::OtherArchitecture { .. } => {
                Failure::usage(anyhow!("{}: {error}", shown_path(path)))
            }
            error => Failure::data(anyhow!("{}: {error}", shown_path(path))),
        };
        failure.ways(help)
    })
}

/// The images whose features are wanted.
pub(super) struct Images<'a> {
    pub(super) paths: &'a [PathBuf],
    /// What the paths hold.
    pub(super) found: Found,
    /// The part of it whose features are wanted.
    pub(super) shard: Shard,
    /// Whether their classes are wanted too.
    pub(super) labelled: bool,
    pub(super) batch_size: usize,
    pub(super) limits: ImageLimits,
}

/// The features of every image of the part.
pub(super) fn embed(
    weights: &Path,
    architecture: Option<&str>,
    wanted: Images<'_>,
) -> Result<Embedded, Failure> {
    let backbone = open(weights, architecture)?;
    let mut limits = Limits::default();
    wanted.limits.apply(&mut limits);
    let mut found = wanted.found;
    found.say();
    // Of all parts, so that an index means the same class in each.
    let classes = wanted.labelled.then(|| Classes::of(wanted.paths, &found.files)).transpose()?;
    let first = wanted.shard.range(found.files.len() as u64).start as usize;
    found.keep(wanted.shard);
    let (bar, total) = (ReadingBar::new(false), found.files.len() as u64);
    let batch = wanted.batch_size.min(MAX_BATCH);
    let read = |path: &PathBuf| read_picture(path, limits.max_pixels, limits.max_file_bytes);
    let progress = |done: usize| bar.show(Reading { what: "computing features", done: done as u64, total });
    let results = backbone.extract(&found.files, batch, read, progress);
    let mut embedded = Embedded {
        values: Vec::new(),
        ids: Vec::new(),
        labels: None,
        num_failed: found.problems.len(),
        model: None,
    };
    let mut labels = Vec::new();
    for (index, (path, result)) in found.files.iter().zip(results).enumerate() {
        match result {
            Ok(feature) => {
                embedded.values.extend(feature);
                embedded.ids.push(path.to_string_lossy().into_owned());
                labels.extend(classes.as_ref().map(|classes| classes.targets[first + index]));
            }
            Err(error) => {
                output::note(&format!("error: {}", escape(&error.to_string())));
                embedded.num_failed += 1;
            }
        }
    }
    embedded.labels = classes.map(|classes| (labels, classes.names));
    Ok(embedded)
}

/// The classes of files in class folders.
struct Classes {
    /// In natural order, which is that of every data set.
    names: Vec<String>,
    /// The class of each file.
    targets: Vec<u32>,
}

impl Classes {
    /// Of one folder: what lies below a folder at its top has that folder's name.
    fn of(paths: &[PathBuf], files: &[PathBuf]) -> Result<Self, Failure> {
        let [root] = paths else {
            let error =
                anyhow!("--labels takes one folder of class folders, and {} paths are named", paths.len());
            return Err(Failure::usage(error));
        };
        let of_file = |file: &PathBuf| {
            let below = file.strip_prefix(root).ok()?;
            let mut parts = below.components();
            let first = parts.next()?;
            parts.next().map(|_| class_name(&first.as_os_str().to_string_lossy()))
        };
        let classes =
            files.iter().map(|file| of_file(file).ok_or(file)).collect::<Result<Vec<String>, _>>().map_err(
                |file| {
                    Failure::data(anyhow!("{}: lies in no class folder", shown_path(file)))
                        .help("leave --labels out, or move the file into the folder of its class")
                },
            )?;
        let mut names = classes.clone();
        names.sort_by(|a, b| natural_order(a, b));
        names.dedup();
        let target = |class: &String| names.iter().position(|name| name == class).unwrap_or_default() as u32;
        let targets = classes.iter().map(target).collect();
        Ok(Self { names, targets })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_the_top_folders_in_natural_order() {
        let files = ["d/10/a.png", "d/2/b/c.png", "d/2/d.png"].map(PathBuf::from);
        let classes = Classes::of(&["d".into()], &files).unwrap();
        assert_eq!((classes.names, classes.targets), (vec!["2".to_owned(), "10".to_owned()], vec![1, 0, 0]));
        assert!(Classes::of(&["d".into()], &["d/a.png".into()]).is_err());
        assert!(Classes::of(&["d".into(), "e".into()], &files).is_err());
    }
}
