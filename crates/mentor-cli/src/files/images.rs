//! Image files as a user names them: files, and folders that are searched through.

use std::fs;
use std::path::{Path, PathBuf};

use mentor_data::{DataError, decode_file, has_image_extension, natural_order};
use mentor_train::{ModelFile, TrainedModel};
use rayon::prelude::*;

use crate::terminal::output;

/// The files in the order named, those of a folder that are taken for images in natural order, and what is wrong with the rest. A
/// file that is named is tried whatever its name.
pub(crate) fn find(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<String>) {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        match fs::metadata(path) {
            Err(error) => problems.push(format!("{}: {error}", path.display())),
            Ok(metadata) if metadata.is_dir() => {
                let before = (files.len(), problems.len());
                search(path, &mut files, &mut problems);
                if before == (files.len(), problems.len()) {
                    problems.push(format!("{}: holds no image files", path.display()));
                }
            }
            Ok(_) => files.push(path.clone()),
        }
    }
    (files, problems)
}

/// What became of some files: the paths and images, in the model's format, of those that can be decoded, and
/// what is wrong with the others.
pub(crate) struct Decoded<'a> {
    pub(crate) paths: Vec<&'a Path>,
    pub(crate) images: Vec<Vec<u8>>,
    pub(crate) failed: Vec<DataError>,
}

/// Decodes files into the model's format, several at once.
pub(crate) fn decode<'a>(files: &'a [PathBuf], model: &ModelFile) -> Decoded<'a> {
    let format = &model.preprocessing.format;
    let limits = &model.data.options.limits;
    let results: Vec<Result<Vec<u8>, DataError>> =
        files.par_iter().map(|path| decode_file(path, format, limits)).collect();
    let mut decoded = Decoded { paths: Vec::new(), images: Vec::new(), failed: Vec::new() };
    for (path, result) in files.iter().zip(results) {
        match result {
            Ok(image) => {
                decoded.paths.push(path.as_path());
                decoded.images.push(image);
            }
            Err(error) => decoded.failed.push(error),
        }
    }
    decoded
}

/// Embeddings of files and of what lies in folders; what cannot be read is said and left out.
pub(crate) struct EmbeddedFiles {
    pub(crate) names: Vec<String>,
    /// One a name.
    pub(crate) rows: Vec<Vec<f32>>,
    /// Paths and files that were left out.
    pub(crate) num_failed: usize,
}

/// Embeds what `paths` name, `batch_size` images at a time.
pub(crate) fn embed(paths: &[PathBuf], trained: &TrainedModel, batch_size: usize) -> EmbeddedFiles {
    let (files, problems) = find(paths);
    problems.iter().for_each(|problem| output::note(&format!("error: {problem}")));
    let mut embedded = EmbeddedFiles { names: Vec::new(), rows: Vec::new(), num_failed: problems.len() };
    for chunk in files.chunks(batch_size) {
        let Decoded { paths, images, failed } = decode(chunk, &trained.file);
        failed.iter().for_each(|error| output::note(&format!("error: {error}")));
        embedded.num_failed += failed.len();
        embedded.names.extend(paths.iter().map(|path| path.to_string_lossy().into_owned()));
        embedded.rows.extend(trained.embeddings(&images));
    }
    embedded
}

fn search(folder: &Path, files: &mut Vec<PathBuf>, problems: &mut Vec<String>) {
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => return problems.push(format!("{}: {error}", folder.display())),
    };
    entries.sort_by(|a, b| natural_order(&a.file_name().to_string_lossy(), &b.file_name().to_string_lossy()));
    for entry in entries.iter().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')) {
        let path = entry.path();
        // A link to a folder is not followed: it may lead back here.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            search(&path, files, problems);
        } else if has_image_extension(&path) && !path.is_dir() {
            files.push(path);
        }
    }
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
        let missing = dir.path().join("missing.png");
        let (files, problems) = find(&[dir.path().to_owned(), missing, dir.path().join("empty")]);
        let found: Vec<_> =
            files.iter().map(|file| file.strip_prefix(dir.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(found, ["a.jpg", "b/2.png", "b/10.PNG"]);
        assert_eq!(problems.len(), 2, "{problems:?}");
    }
}
