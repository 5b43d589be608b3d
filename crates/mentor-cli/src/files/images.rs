//! Image files that a user names, and those in folders that a user names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mentor_data::{
    DataError, Extents, ImageFormat, Limits, Reading, decode_file_with_extent, escape, find_images,
    shown_path,
};
use mentor_train::TrainedModel;
use mentor_train::pseudo_labels::Shard;
use rayon::prelude::*;

use crate::terminal::output;
use crate::terminal::reading::ReadingBar;

/// Files to look at, and what there is to say about the others.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) files: Vec<PathBuf>,
    /// What is wrong with paths that are named, and with folders in them.
    pub(crate) problems: Vec<String>,
    /// What is left out of folders.
    pub(crate) left_out: Vec<String>,
}

/// The files in the order named; of a folder the images in it at any depth, in natural order. A file that is
/// named is tried whatever its name and content.
pub(crate) fn find(paths: &[PathBuf]) -> Found {
    let mut found = Found::default();
    for path in paths {
        match fs::metadata(path) {
            Err(error) => found.problems.push(format!("{}: {}", shown_path(path), reason(&error))),
            Ok(metadata) if metadata.is_dir() => match find_images(path) {
                Err(error) => found.problems.push(error.to_string()),
                Ok(images) => {
                    if images.files.is_empty() && images.unreadable.is_empty() {
                        found.problems.push(format!("{}: holds no image files", shown_path(path)));
                    }
                    found.files.extend(images.files);
                    found.problems.extend(images.unreadable.iter().map(ToString::to_string));
                    found
                        .left_out
                        .extend(images.notes.iter().map(|note| format!("{}: {note}", shown_path(path))));
                }
            },
            Ok(_) => found.files.push(path.clone()),
        }
    }
    found
}

/// What the system says about a path, without its number where people have words for it.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or folder".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read (permission denied)".to_owned(),
        _ => error.to_string(),
    }
}

impl Found {
    /// Keeps one part of the files.
    pub(crate) fn keep(&mut self, shard: Shard) {
        let range = shard.range(self.files.len() as u64);
        self.files = self.files[range.start as usize..range.end as usize].to_vec();
    }

    /// Writes what is left out and what is wrong to standard error.
    pub(crate) fn say(&self) {
        self.left_out.iter().for_each(|line| output::note(&format!("warning: {}", escape(line))));
        self.problems.iter().for_each(|problem| output::note(&format!("error: {}", escape(problem))));
    }
}

/// What became of some files: the paths and images, in the model's format, of those that can be decoded, and
/// what is wrong with the others.
pub(crate) struct Decoded<'a> {
    pub(crate) paths: Vec<&'a Path>,
    pub(crate) images: Vec<Vec<u8>>,
    pub(crate) failed: Vec<DataError>,
}

/// Decodes files into a model's format, several at once, and adds what those of 16 bits or floats hold to
/// `extents`.
pub(crate) fn decode<'a>(
    files: &'a [PathBuf],
    format: &ImageFormat,
    limits: &Limits,
    extents: &mut Extents,
) -> Decoded<'a> {
    let results: Vec<Result<_, DataError>> =
        files.par_iter().map(|path| decode_file_with_extent(path, format, limits)).collect();
    let mut decoded = Decoded { paths: Vec::new(), images: Vec::new(), failed: Vec::new() };
    for (path, result) in files.iter().zip(results) {
        match result {
            Ok((image, extent)) => {
                extents.add(extent, &path.to_string_lossy());
                decoded.paths.push(path.as_path());
                decoded.images.push(image);
            }
            Err(error) => decoded.failed.push(error),
        }
    }
    decoded
}

/// Warns of files that are nearly black, or of one gray, because bytes hold too few of their values.
pub(crate) fn say_extents(extents: &Extents) {
    if let Some(note) = extents.note(None) {
        output::note(&format!("warning: {}", escape(&note.to_string())));
    }
}

/// Embeddings of files and of the files in folders. Prints and leaves out files that cannot be read.
pub(crate) struct EmbeddedFiles {
    pub(crate) names: Vec<String>,
    /// One a name.
    pub(crate) rows: Vec<Vec<f32>>,
    /// Paths and files that were left out.
    pub(crate) num_failed: usize,
}

/// Embeds what was found, `batch_size` images at a time.
pub(crate) fn embed(found: &Found, trained: &TrainedModel, batch_size: usize) -> EmbeddedFiles {
    found.say();
    let mut embedded =
        EmbeddedFiles { names: Vec::new(), rows: Vec::new(), num_failed: found.problems.len() };
    let (bar, mut done, mut extents) = (ReadingBar::new(false), 0, Extents::default());
    let limits = &trained.file.data.options.limits;
    for chunk in found.files.chunks(batch_size) {
        let Decoded { paths, images, failed } = decode(chunk, trained.format(), limits, &mut extents);
        done += chunk.len() as u64;
        bar.show(Reading { what: "embedding images", done, total: found.files.len() as u64 });
        let tell = |error: &DataError| output::note(&format!("error: {}", escape(&error.to_string())));
        bar.suspend(|| failed.iter().for_each(tell));
        embedded.num_failed += failed.len();
        embedded.names.extend(paths.iter().map(|path| path.to_string_lossy().into_owned()));
        let rows = trained.embeddings(&images).expect("decoded into the model's own format");
        embedded.rows.extend(rows.iter().map(<[f32]>::to_vec));
    }
    say_extents(&extents);
    embedded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_searched_in_order_and_other_files_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b/2.png", "b/10.PNG", "a.jpg", "notes.txt", ".hidden.png"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::create_dir(dir.path().join("empty")).unwrap();
        fs::write(dir.path().join("c"), b"P5 1 1 255 \x07").unwrap();
        let missing = dir.path().join("missing.png");
        let found = find(&[dir.path().to_owned(), missing, dir.path().join("empty")]);
        let files: Vec<_> =
            found.files.iter().map(|file| file.strip_prefix(dir.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(files, ["a.jpg", "b/2.png", "b/10.PNG", "c"]);
        assert_eq!(found.problems.len(), 2, "{:?}", found.problems);
        let left_out = found.left_out.join("\n");
        assert!(left_out.contains("notes.txt") && left_out.contains(".hidden.png"), "{left_out}");
    }
}
