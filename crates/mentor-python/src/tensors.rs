//! Arrays as the bytes of a safetensors file, and back: how estimators are pickled.

use std::collections::BTreeMap;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::errors::{Kind, Refused};

/// Name, type as safetensors names it, shape and bytes of an array.
type Named = (String, String, Vec<usize>, Vec<u8>);

fn failed(error: impl std::fmt::Display) -> Refused {
    Refused::new(Kind::Data, format!("the bytes are no safetensors file: {error}"), &[])
}

/// The bytes of a file that holds these arrays.
#[pyfunction]
pub(crate) fn to_safetensors<'py>(py: Python<'py>, arrays: Vec<Named>) -> PyResult<Bound<'py, PyBytes>> {
    let mut views = BTreeMap::new();
    for (name, dtype, shape, bytes) in &arrays {
        let dtype: Dtype = serde_json::from_value(dtype.as_str().into()).map_err(failed)?;
        views.insert(name, TensorView::new(dtype, shape.clone(), bytes).map_err(failed)?);
    }
    let file = serialize(views, None).map_err(failed)?;
    Ok(PyBytes::new(py, &file))
}

/// The arrays of a file.
#[pyfunction]
pub(crate) fn from_safetensors(file: &[u8]) -> PyResult<Vec<Named>> {
    let tensors = SafeTensors::deserialize(file).map_err(failed)?;
    let named = |(name, view): (String, TensorView<'_>)| {
        (name, view.dtype().to_string(), view.shape().to_vec(), view.data().to_vec())
    };
    Ok(tensors.tensors().into_iter().map(named).collect())
}
