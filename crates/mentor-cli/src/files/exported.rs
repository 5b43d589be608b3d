//! A classifier in a file of `mentor export`.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use mentor_data::{DataError, Extents, Limits, Picture, decode_picture_file, shown_path};
use mentor_export::{ExportError, Input, OnnxModel, Pictures};
use mentor_run::files::read_named;
use rayon::prelude::*;

use crate::files::images::{self, Decoded};
use crate::files::limits::ImageLimits;
use crate::terminal::error::Failure;

/// A message of protobuf, which an ONNX file is, has at most 2 GiB.
const MAX_ONNX: u64 = 1 << 31;

/// The classifier of an ONNX file, which the second engine runs.
pub(crate) struct ExportedClassifier {
    model: OnnxModel,
    limits: Limits,
}

/// Scores of files, as they enter the softmax, and what is wrong with the files that have none.
pub(crate) struct Scored<'a> {
    pub(crate) paths: Vec<&'a Path>,
    /// One a path.
    pub(crate) rows: Vec<Vec<f32>>,
    pub(crate) failed: Vec<DataError>,
}

impl ExportedClassifier {
    pub(crate) fn open(path: &Path, image_limits: ImageLimits) -> Result<Self, Failure> {
        let mut limits = Limits::default();
        image_limits.apply(&mut limits);
        let model = OnnxModel::open(read_named(path, MAX_ONNX)?).map_err(|error| {
            let help = error.help();
            let failure = match &error {
                ExportError::NoEngine => Failure::usage,
                _ => Failure::data,
            };
            failure(anyhow!("{}: {error}", shown_path(path))).ways(help)
        })?;
        if model.classes().is_empty() {
            let error = anyhow!("{}: gives embeddings, not classes", shown_path(path));
            return Err(Failure::usage(error).help("name an exported classifier"));
        }
        Ok(Self { model, limits })
    }

    pub(crate) fn classes(&self) -> &[String] {
        self.model.classes()
    }

    pub(crate) fn score<'a>(
        &self,
        files: &'a [PathBuf],
        extents: &mut Extents,
    ) -> Result<Scored<'a>, Failure> {
        match self.model.input() {
            Input::Image => self.score_pictures(files, extents),
            Input::Tensor => self.score_tensors(files, extents),
        }
    }

    /// Each picture at its own size, since the file resizes.
    fn score_pictures<'a>(&self, files: &'a [PathBuf], extents: &mut Extents) -> Result<Scored<'a>, Failure> {
        let mut scored = Scored { paths: Vec::new(), rows: Vec::new(), failed: Vec::new() };
        let decoded: Vec<Result<Picture, DataError>> =
            files.par_iter().map(|path| decode_picture_file(path, &self.limits)).collect();
        for (path, picture) in files.iter().zip(decoded) {
            match picture {
                Ok(picture) => {
                    extents.add(picture.extent, &path.to_string_lossy());
                    let Picture { height, width, .. } = picture;
                    let bytes = &in_colour(picture);
                    scored.rows.extend(self.rows(Pictures::Images { bytes, height, width })?);
                    scored.paths.push(path);
                }
                Err(error) => scored.failed.push(error),
            }
        }
        Ok(scored)
    }

    fn score_tensors<'a>(&self, files: &'a [PathBuf], extents: &mut Extents) -> Result<Scored<'a>, Failure> {
        let preprocessing = self.model.preprocessing();
        let Decoded { paths, images, failed } =
            images::decode(files, &preprocessing.format, &self.limits, extents);
        let values = preprocessing.normalised(&images);
        let rows = if paths.is_empty() { Vec::new() } else { self.rows(Pictures::Tensors(&values))? };
        Ok(Scored { paths, rows, failed })
    }

    fn rows(&self, pictures: Pictures<'_>) -> Result<Vec<Vec<f32>>, Failure> {
        let answers = self.model.answer(pictures).map_err(Failure::failed)?;
        let rows = answers.probabilities.unwrap_or_default();
        // The softmax of the logarithms are the probabilities themselves.
        Ok(rows.iter().map(|row| row.iter().map(|probability| probability.ln()).collect()).collect())
    }
}

/// Red, green and blue for each pixel, `[height, width, 3]`.
fn in_colour(picture: Picture) -> Vec<u8> {
    match picture.channels {
        1 => picture.bytes.iter().flat_map(|&gray| [gray; 3]).collect(),
        _ => picture.bytes,
    }
}
