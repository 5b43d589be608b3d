//! Runs: training, and the model of a run.

use std::path::PathBuf;

use burn::tensor::Device;
use mentor_cli::keywords;
use mentor_data::{decode, decode_file};
use mentor_report::{RunReport, render, render_head};
use mentor_run::{RunDir, TrainEvent, write_atomically};
use mentor_train::{Rows, TrainedModel};
use numpy::PyArray2;
use pyo3::prelude::*;
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::arrays::matrix;
use crate::errors::{Kind, Refused};
use crate::work::{Ended, compute, compute_long};

/// Images that are decoded at once.
const BATCH: usize = 256;

/// The keywords of a command.
#[pyfunction]
pub(crate) fn keyword_names(command: &str) -> Vec<String> {
    keywords::names(command)
}

/// The run directory, whether the run is complete, the updates done if it was stopped, and the exception that
/// stopped it.
type Ending<'py> = (PathBuf, bool, Option<u64>, Option<Bound<'py, PyAny>>);

/// Trains, and tells `observer` of each event: its kind and its values as JSON.
#[pyfunction]
pub(crate) fn train<'py>(
    py: Python<'py>,
    command: &str,
    arguments: Vec<(String, Vec<String>)>,
    observer: Bound<'py, PyAny>,
) -> PyResult<Ending<'py>> {
    let tell = |(kind, values): (&str, String)| observer.call1((kind, values)).map(drop);
    let ended = compute_long(py, tell, |stop, events| {
        let observe = |event: &TrainEvent| {
            if let Some((kind, values)) = described(event) {
                // Nobody listens only after the end.
                let _ = events.send((kind, values.to_string()));
            }
        };
        Ok(keywords::train(command, &arguments, stop, observe)?)
    })?;
    match ended {
        Ended::Done(trained) => Ok((trained.out, trained.complete, trained.step, None)),
        Ended::Asked { error, result: None } => Err(error),
        Ended::Asked { error, result: Some(trained) } => {
            let error = error.value(py).clone().into_any();
            Ok((trained.out, trained.complete, trained.step, Some(error)))
        }
    }
}

fn described(event: &TrainEvent) -> Option<(&'static str, Value)> {
    let values = |values: serde_json::Result<Value>| values.unwrap_or(Value::Null);
    let said = |text: &str| json!({ "text": keywords::in_keywords(text) });
    Some(match event {
        TrainEvent::Stage(text) => ("stage", said(text)),
        TrainEvent::Warning(text) => ("warning", said(text)),
        TrainEvent::StoppedEarly { reason } => ("stage", said(reason)),
        TrainEvent::Started(started) => (
            "started",
            json!({
                "model": started.model, "num_params": started.num_params, "num_classes": started.num_classes,
                "num_train": started.num_train, "num_val": started.num_val, "epochs": started.epochs,
                "steps_per_epoch": started.steps_per_epoch, "resumed_step": started.resumed_step,
            }),
        ),
        TrainEvent::Step(metrics) => ("step", values(serde_json::to_value(metrics))),
        TrainEvent::Epoch(metrics) => ("epoch", values(serde_json::to_value(metrics))),
        TrainEvent::Iteration(metrics) => ("iteration", values(serde_json::to_value(metrics))),
        TrainEvent::Finished(_) => ("finished", Value::Null),
        _ => return None,
    })
}

/// An image: a path, or the bytes of an image file.
#[derive(FromPyObject)]
pub(crate) enum Image {
    Bytes(Vec<u8>),
    Path(PathBuf),
}

/// The model of a complete run. Boxed: Python aligns its objects to less than a tensor wants.
#[pyclass(frozen, module = "mentor._mentor")]
pub(crate) struct Model(Box<TrainedModel>);

#[pymethods]
impl Model {
    /// Reads the run.
    #[new]
    fn new(py: Python<'_>, run: PathBuf) -> PyResult<Self> {
        compute(py, || Ok(Self(Box::new(TrainedModel::load(&run, &Device::flex())?))))
    }

    /// The names of the classes, in the order of the probabilities.
    #[getter]
    fn classes(&self) -> Vec<String> {
        self.0.classes().to_vec()
    }

    /// What near means among its embeddings.
    #[getter]
    fn metric(&self) -> &'static str {
        match self.0.metric() {
            mentor_metrics::retrieval::Metric::Euclidean => "euclidean",
            mentor_metrics::retrieval::Metric::Cosine => "cosine",
        }
    }

    /// The probabilities of images, `[N, C]`.
    fn probabilities<'py>(&self, py: Python<'py>, images: Vec<Image>) -> PyResult<Bound<'py, PyArray2<f64>>> {
        let classes = self.0.classes().len();
        let values = compute(py, || {
            let mut values = Vec::with_capacity(images.len() * classes);
            for images in images.chunks(BATCH) {
                let predictions = self.0.predict(&self.decoded(images)?)?;
                for index in 0..predictions.len() {
                    let start = values.len();
                    values.resize(start + classes, 0.0);
                    for (class, p) in predictions.ranked(index).unwrap_or_default() {
                        let place = self.0.classes().iter().position(|name| name == class);
                        place.into_iter().for_each(|place| values[start + place] = p);
                    }
                }
            }
            Ok(values)
        })?;
        matrix(py, values, classes)
    }

    /// The embeddings of images, `[N, D]`.
    fn embeddings<'py>(&self, py: Python<'py>, images: Vec<Image>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let rows = compute(py, || {
            let mut all = Rows::default();
            for images in images.chunks(BATCH) {
                let rows = self.0.embeddings(&self.decoded(images)?)?;
                all.width = rows.width;
                all.values.extend(rows.values);
            }
            Ok(all)
        })?;
        matrix(py, rows.values, rows.width)
    }

    /// What `mentor eval --json` prints.
    #[pyo3(signature = (data, split, gallery, retrieval))]
    fn evaluate(
        &self,
        py: Python<'_>,
        data: Option<&str>,
        split: &str,
        gallery: Option<&str>,
        retrieval: bool,
    ) -> PyResult<String> {
        compute(py, || Ok(keywords::evaluate(&self.0, data, split, gallery, retrieval)?.to_string()))
    }
}

impl Model {
    fn decoded(&self, images: &[Image]) -> Result<Vec<Vec<u8>>, Refused> {
        let (format, limits) = (self.0.format(), &self.0.file.data.options.limits);
        let decoded = images.par_iter().map(|image| match image {
            Image::Bytes(bytes) => decode(bytes, format, limits),
            Image::Path(path) => decode_file(path, format, limits),
        });
        Ok(decoded.collect::<Result<_, _>>()?)
    }
}

/// `summary.json` of a run.
#[pyfunction]
pub(crate) fn summary(py: Python<'_>, run: PathBuf) -> PyResult<String> {
    compute(py, || {
        let failed = |error: mentor_run::RunDirError| {
            let help = error.help();
            Refused::new(Kind::Config, error, &help)
        };
        let summary = RunDir::open(&run).and_then(|run| run.summary()).map_err(failed)?;
        serde_json::to_string(&summary).map_err(|error| Refused::internal(&error.to_string()))
    })
}

/// The head of the report of a run as HTML.
#[pyfunction]
pub(crate) fn report_head(py: Python<'_>, run: PathBuf) -> PyResult<String> {
    compute(py, || Ok(render_head(&RunReport::read(&run).map_err(unreadable)?)))
}

/// The report of runs as HTML; written to `out` if it is given.
#[pyfunction]
#[pyo3(signature = (runs, out))]
pub(crate) fn report(py: Python<'_>, runs: Vec<PathBuf>, out: Option<PathBuf>) -> PyResult<String> {
    compute(py, || {
        let reports =
            runs.iter().map(|run| RunReport::read(run)).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        let html = render(&reports);
        if let Some(out) = &out {
            write_atomically(out, html.as_bytes()).map_err(unreadable)?;
        }
        Ok(html)
    })
}

fn unreadable(error: mentor_run::RunDirError) -> Refused {
    let help = error.help();
    Refused::new(Kind::Config, error, &help)
}
