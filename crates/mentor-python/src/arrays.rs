//! Arrays of Python as slices, and slices as arrays.

use std::collections::HashMap;

use numpy::ndarray::Dimension;
use numpy::{
    Element, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray, PyReadonlyArray1, PyReadonlyArray2,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;

use crate::errors::{Kind, Refused};

/// A matrix of single or double precision.
pub(crate) enum Matrix<'py> {
    Single(PyReadonlyArray2<'py, f32>),
    Double(PyReadonlyArray2<'py, f64>),
}

impl<'py> Matrix<'py> {
    pub(crate) fn of(array: &Bound<'py, PyAny>) -> Result<Self, Refused> {
        if let Ok(array) = array.extract::<PyReadonlyArray2<'py, f32>>() {
            return Ok(Self::Single(array));
        }
        array.extract().map(Self::Double).map_err(|_| {
            Refused::new(
                Kind::Data,
                "a matrix of float32 or float64 is needed",
                &["give a two-dimensional array".to_owned()],
            )
        })
    }

    pub(crate) fn shape(&self) -> [usize; 2] {
        let shape = match self {
            Self::Single(array) => array.shape(),
            Self::Double(array) => array.shape(),
        };
        [shape[0], shape[1]]
    }

    /// A gradient in the precision of this matrix and in its shape.
    pub(crate) fn like(&self, py: Python<'py>, gradient: Vec<f64>) -> PyResult<Bound<'py, PyAny>> {
        let shape = self.shape();
        match self {
            Self::Single(_) => {
                let gradient: Vec<f32> = gradient.iter().map(|&value| value as f32).collect();
                Ok(PyArray1::from_vec(py, gradient).reshape(shape)?.into_any())
            }
            Self::Double(_) => Ok(PyArray1::from_vec(py, gradient).reshape(shape)?.into_any()),
        }
    }
}

/// Calls a generic function with the slice of a [`Matrix`].
macro_rules! with_slice {
    ($matrix:expr, |$slice:ident| $body:expr) => {
        match $matrix {
            $crate::arrays::Matrix::Single(array) => {
                let $slice = $crate::arrays::contiguous(array)?;
                $body
            }
            $crate::arrays::Matrix::Double(array) => {
                let $slice = $crate::arrays::contiguous(array)?;
                $body
            }
        }
    };
}
pub(crate) use with_slice;

/// The elements of an array in the order of its rows. A transposed one is refused: its memory has another
/// order.
pub(crate) fn contiguous<'a, T: Element, D: Dimension>(
    array: &'a PyReadonlyArray<'_, T, D>,
) -> Result<&'a [T], Refused> {
    match array.as_slice() {
        Ok(values) if array.is_c_contiguous() => Ok(values),
        _ => {
            let ways = ["call numpy.ascontiguousarray".to_owned()];
            Err(Refused::new(Kind::Data, "an array is not contiguous in memory, row after row", &ways))
        }
    }
}

/// Labels of any value as numbers from 0 on, equal for equal labels.
pub(crate) fn labels(array: &PyReadonlyArray1<'_, i64>) -> Result<Vec<u32>, Refused> {
    let mut numbers = HashMap::new();
    let number = |&label: &i64| {
        let next = numbers.len() as u32;
        *numbers.entry(label).or_insert(next)
    };
    Ok(contiguous(array)?.iter().map(number).collect())
}

/// Indices `[N, K]` that are none below 0.
pub(crate) fn indices<const K: usize>(array: &PyReadonlyArray2<'_, i64>) -> Result<Vec<[usize; K]>, Refused> {
    let values = contiguous(array)?;
    let refuse = |what: String| Refused::new(Kind::Data, what, &[]);
    if array.shape()[1] != K {
        return Err(refuse(format!("{} indices in a row, but {K} are needed", array.shape()[1])));
    }
    if let Some(index) = values.iter().find(|&&index| index < 0) {
        return Err(refuse(format!("index {index} is not a sample: they are counted from 0")));
    }
    Ok(values.chunks_exact(K).map(|row| std::array::from_fn(|place| row[place] as usize)).collect())
}

/// Rows of `width` numbers as a matrix.
pub(crate) fn matrix<T: Element>(
    py: Python<'_>,
    values: Vec<T>,
    width: usize,
) -> PyResult<Bound<'_, PyArray2<T>>> {
    let rows = values.len().checked_div(width).unwrap_or(0);
    PyArray1::from_vec(py, values).reshape([rows, width])
}
