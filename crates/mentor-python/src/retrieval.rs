//! Exact search and its measures.

use mentor_metrics::retrieval::{Embeddings, Metric, RetrievalOptions, evaluate, nearest};
use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use rayon::prelude::*;

use crate::arrays::{contiguous, labels, matrix};
use crate::errors::{Kind, Refused};
use crate::work::compute;

fn metric(name: &str) -> Result<Metric, Refused> {
    match name {
        "euclidean" => Ok(Metric::Euclidean),
        "cosine" => Ok(Metric::Cosine),
        other => {
            let what = format!("there is no metric named {other:?}; there are euclidean, cosine");
            Err(Refused::new(Kind::Config, what, &[]))
        }
    }
}

/// The measures of `mentor_metrics::retrieval::evaluate` as JSON. Labels of queries and gallery are one
/// array, so that equal ones are equal.
#[pyfunction]
#[pyo3(signature = (queries, gallery, targets, metric_name, k, num_resamples, seed))]
#[expect(clippy::too_many_arguments, reason = "all are options of the measures")]
pub(crate) fn retrieval(
    py: Python<'_>,
    queries: PyReadonlyArray2<'_, f32>,
    gallery: Option<PyReadonlyArray2<'_, f32>>,
    targets: PyReadonlyArray1<'_, i64>,
    metric_name: &str,
    k: usize,
    num_resamples: usize,
    seed: u64,
) -> PyResult<String> {
    let options = RetrievalOptions { metric: metric(metric_name)?, k, num_resamples, seed };
    let all = labels(&targets)?;
    let (dim, num_queries) = (queries.shape()[1], queries.shape()[0]);
    let gallery_dim = gallery.as_ref().map_or(dim, |gallery| gallery.shape()[1]);
    let values = contiguous(&queries)?;
    let gallery = gallery.as_ref().map(contiguous).transpose()?;
    let found = compute(py, || {
        let queries = Embeddings::new(values, dim.max(1))?;
        let (own, others) = all.split_at(num_queries.min(all.len()));
        let gallery = gallery.map(|values| Embeddings::new(values, gallery_dim.max(1))).transpose()?;
        let gallery = gallery.as_ref().map(|gallery| (gallery, others));
        Ok(evaluate(&queries, own, gallery, &options)?)
    })?;
    Ok(serde_json::to_string(&found).map_err(|error| Refused::internal(&error.to_string()))?)
}

type Found<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

/// The `k` nearest rows of the gallery to each query: indices and distances, `[Q, k]`.
#[pyfunction]
pub(crate) fn nearest_rows<'py>(
    py: Python<'py>,
    gallery: PyReadonlyArray2<'py, f32>,
    queries: PyReadonlyArray2<'py, f32>,
    k: usize,
    metric_name: &str,
) -> PyResult<Found<'py>> {
    let metric = metric(metric_name)?;
    let (dim, query_dim) = (gallery.shape()[1].max(1), queries.shape()[1].max(1));
    let (values, wanted) = (contiguous(&gallery)?, contiguous(&queries)?);
    let found = compute(py, || {
        let (gallery, queries) = (Embeddings::new(values, dim)?, Embeddings::new(wanted, query_dim)?);
        let rows =
            (0..queries.len()).into_par_iter().map(|query| nearest(&gallery, queries.row(query), k, metric));
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    })?;
    let width = found.first().map_or(0, Vec::len);
    let indices: Vec<i64> = found.iter().flatten().map(|neighbour| neighbour.index as i64).collect();
    let distances: Vec<f64> = found.iter().flatten().map(|neighbour| neighbour.distance).collect();
    Ok((matrix(py, indices, width)?.into_any(), matrix(py, distances, width)?.into_any()))
}
