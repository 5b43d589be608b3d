//! Features of pretrained networks.

use std::path::PathBuf;

use mentor_backbone::{BackboneError, read_picture};
use mentor_data::{Limits, shown_path};
use numpy::PyArray2;
use pyo3::prelude::*;

use crate::arrays::matrix;
use crate::errors::{Kind, Refused};
use crate::runs::Image;
use crate::work::compute;

/// Images whose pixels are held at once.
const BATCH: usize = 64;

/// A pretrained network. Boxed, as [`Model`](crate::runs::Model) is.
#[pyclass(frozen, module = "mentor._mentor")]
pub(crate) struct Backbone(Box<mentor_backbone::Backbone>);

#[pymethods]
impl Backbone {
    /// Reads a file of weights.
    #[new]
    #[pyo3(signature = (path, architecture))]
    fn new(py: Python<'_>, path: PathBuf, architecture: Option<String>) -> PyResult<Self> {
        compute(py, || {
            let refuse = |error: BackboneError| {
                let (help, kind) = match error {
                    BackboneError::OtherArchitecture { .. } => (error.help(), Kind::Config),
                    _ => (error.help(), Kind::Data),
                };
                let what = match error {
                    // It names the file.
                    BackboneError::Io { .. } => error.to_string(),
                    error => format!("{}: {error}", shown_path(&path)),
                };
                Refused::new(kind, what, &help)
            };
            mentor_backbone::Backbone::open(&path, architecture.as_deref())
                .map(|backbone| Self(Box::new(backbone)))
                .map_err(refuse)
        })
    }

    /// The name of the network.
    #[getter]
    fn architecture(&self) -> &'static str {
        self.0.architecture.name
    }

    /// The features of images, `[N, D]`.
    fn features<'py>(&self, py: Python<'py>, images: Vec<Image>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let limits = Limits::default();
        let read = |image: &Image| match image {
            Image::Path(path) => read_picture(path, limits.max_pixels, limits.max_file_bytes)
                .map_err(|error| Refused::new(Kind::Data, &error, &error.help())),
            Image::Bytes(bytes) => mentor_data::decode_picture(bytes, &limits).map_err(Refused::from),
        };
        let values = compute(py, || {
            let rows = self.0.extract(&images, BATCH, read, |_| {});
            Ok(rows.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
        })?;
        matrix(py, values, self.0.network.num_features())
    }
}
