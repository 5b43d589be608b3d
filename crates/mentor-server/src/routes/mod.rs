//! The routes that ask models.

mod answers;
mod infer;
mod meta;
mod pictures;
mod served;
mod tensors;

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::routing::{get, post};
use mentor_data::shown;

use self::served::Served;
use crate::http::{Asset, HttpMetrics, Problem};
use crate::models::ModelSet;

/// The routes that ask `models`, with a page to drop a picture on; `metrics` are those of the
/// [`HttpServer`](crate::http::HttpServer) that serves them.
pub fn models_router(models: Arc<ModelSet>, metrics: Arc<HttpMetrics>) -> Router {
    let page = Asset::html(include_str!("../page/index.html"));
    let style = Asset::css(include_str!("../page/page.css"));
    let script = Asset::script(include_str!("../page/page.js"));
    let described = Asset::json(include_str!("../page/openapi.json"));
    Router::new()
        .route("/", get(async move || page))
        .route("/page.css", get(async move || style))
        .route("/page.js", get(async move || script))
        .route("/openapi.json", get(async move || described))
        .route("/models", get(meta::models))
        .route("/metrics", get(meta::metrics))
        .route("/predict", post(answers::predict))
        .route("/embed", post(answers::embed))
        .route("/search", post(answers::search))
        .route("/v2", get(meta::server))
        .route("/v2/health/live", get(async || StatusCode::OK))
        .route("/v2/health/ready", get(async || StatusCode::OK))
        .route("/v2/models/{model}", get(meta::model))
        .route("/v2/models/{model}/ready", get(meta::model_ready))
        .route("/v2/models/{model}/infer", post(infer::infer))
        .fallback(async |uri: Uri| Problem::not_found(format!("there is no {}", shown(uri.path()))))
        .method_not_allowed_fallback(async |uri: Uri| {
            let message = format!("{} is not for this method", shown(uri.path()));
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, message)
        })
        .with_state(Served { models, metrics })
}
