//! What there is to ask: `/models`, `/metrics`, and the descriptions of the Open Inference Protocol.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::http::Problem;
use crate::models::Description;
use crate::models::metrics::ModelMetrics;
use crate::routes::answers;
use crate::routes::served::Served;

/// `GET /models`: for people and for the page.
pub(crate) async fn models(State(served): State<Served>) -> Result<Response, Problem> {
    let models = served.models.current();
    let described = |description: &Description| {
        json!({
            "name": description.name,
            "architecture": description.architecture,
            "classes": description.classes,
            "embedding_size": description.embedding_size,
            "num_indexed": description.num_indexed,
            "input": description.format,
        })
    };
    answers::json(&models.iter().map(|thread| described(thread.model.description())).collect::<Vec<Value>>())
}

/// `GET /metrics`
pub(crate) async fn metrics(State(served): State<Served>) -> Response {
    let mut text = served.metrics.render();
    let models = served.models.current();
    let counts = models.iter().map(|thread| (thread.model.description().name.as_str(), &*thread.metrics));
    ModelMetrics::render(counts, &mut text);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// `GET /v2`
pub(crate) async fn server() -> Result<Response, Problem> {
    answers::json(&json!({ "name": "mentor", "version": env!("CARGO_PKG_VERSION"), "extensions": [] }))
}

/// `GET /v2/models/{model}/ready`
pub(crate) async fn model_ready(
    state: State<Served>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    Served::choose(&state, Some(&name)).map(|_| StatusCode::OK)
}

/// `GET /v2/models/{model}`
pub(crate) async fn model(state: State<Served>, Path(name): Path<String>) -> Result<Response, Problem> {
    let model = Served::choose(&state, Some(&name))?;
    let description = model.model.description();
    let mut outputs = vec![tensor("embedding", "FP32", &[-1, description.embedding_size as i64])];
    if !description.classes.is_empty() {
        outputs.insert(0, tensor("probabilities", "FP32", &[-1, description.classes.len() as i64]));
    }
    answers::json(&json!({
        "name": description.name,
        "versions": ["1"],
        "platform": "mentor",
        "inputs": [tensor("image", "UINT8", &[-1, -1, -1, 3]), tensor("file", "BYTES", &[-1])],
        "outputs": outputs,
        "parameters": { "classes": description.classes },
    }))
}

fn tensor(name: &str, datatype: &str, shape: &[i64]) -> Value {
    json!({ "name": name, "datatype": datatype, "shape": shape })
}
