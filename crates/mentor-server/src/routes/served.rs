//! What handlers share, and which model a request means.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use mentor_data::shown;

use crate::http::{HttpMetrics, Problem};
use crate::models::{ModelSet, ModelThread};

/// Pictures of one request.
pub(crate) const MAX_PICTURES: usize = 64;

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) models: Arc<ModelSet>,
    pub(crate) metrics: Arc<HttpMetrics>,
}

/// A model that a request means.
pub(crate) struct Chosen {
    models: Arc<[ModelThread]>,
    index: usize,
}

impl Deref for Chosen {
    type Target = ModelThread;

    fn deref(&self) -> &ModelThread {
        &self.models[self.index]
    }
}

impl Served {
    /// The model of a name; without one, the first.
    pub(crate) fn choose(State(served): &State<Self>, name: Option<&str>) -> Result<Chosen, Problem> {
        let models = served.models.current();
        let is_meant = |model: &ModelThread| name.is_none_or(|name| model.model.description().name == name);
        match (models.iter().position(is_meant), name) {
            (Some(index), _) => Ok(Chosen { models, index }),
            (None, name) => Err(Problem::not_found(format!(
                "there is no model {}; /models lists them",
                shown(name.unwrap_or_default())
            ))),
        }
    }
}

/// A parameter behind the question mark.
pub(crate) fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(uri.query()?.as_bytes());
    pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}
