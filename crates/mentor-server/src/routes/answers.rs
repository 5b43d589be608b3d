//! `/predict`, `/embed`, `/search`: pictures in, JSON out.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use mentor_data::shown;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use tokio::task::spawn_blocking;

use crate::http::Problem;
use crate::models::{Description, Neighbour};
use crate::routes::pictures::{Pictures, pictures};
use crate::routes::served::{Served, parameter};

/// Neighbours of a search that does not say how many.
const DEFAULT_TOP: usize = 10;
/// Neighbours of a search, at most.
const MAX_TOP: usize = 1000;

/// `POST /predict`
pub(crate) async fn predict(state: State<Served>, request: Request) -> Result<Response, Problem> {
    let model = Served::choose(&state, parameter(request.uri(), "model").as_deref())?;
    let description = model.model.description();
    require_classes(description)?;
    let Pictures { images, is_list } = pictures(request, description).await?;
    let rows = model.probabilities(images).await?;
    let classes = &description.classes;
    let items = rows.iter().map(|row| Prediction {
        class: classes.get(first_of_largest(row)).map_or("", String::as_str),
        probabilities: Probabilities { classes, row },
    });
    answer(items, is_list)
}

/// `POST /embed`
pub(crate) async fn embed(state: State<Served>, request: Request) -> Result<Response, Problem> {
    let model = Served::choose(&state, parameter(request.uri(), "model").as_deref())?;
    let Pictures { images, is_list } = pictures(request, model.model.description()).await?;
    let rows = model.embeddings(images).await?;
    answer(rows.iter().map(|embedding| Embedded { embedding }), is_list)
}

/// `POST /search`
pub(crate) async fn search(state: State<Served>, request: Request) -> Result<Response, Problem> {
    let model = Served::choose(&state, parameter(request.uri(), "model").as_deref())?;
    let description = model.model.description();
    if description.num_indexed == 0 {
        return Err(Problem::not_found(format!("{} has no pictures to search", shown(&description.name))));
    }
    let top = match parameter(request.uri(), "top").map(|text| text.parse::<usize>()) {
        None => DEFAULT_TOP,
        Some(Ok(top @ 1..=MAX_TOP)) => top,
        Some(_) => return Err(Problem::malformed(format!("top is a number from 1 to {MAX_TOP}"))),
    };
    let Pictures { images, is_list } = pictures(request, description).await?;
    let rows = model.embeddings(images).await?;
    let searched = Arc::clone(&model.model);
    let work = move || rows.iter().map(|row| searched.nearest(row, top)).collect::<Result<Vec<_>, _>>();
    let found = spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()));
    let found = found.map_err(|reason| Problem::internal(format!("the search failed ({reason})")))?;
    answer(found.iter().map(|neighbours| Found { neighbours }), is_list)
}

/// That a model has classes.
///
/// # Errors
///
/// 422 of an embedding model, by its name.
pub(crate) fn require_classes(description: &Description) -> Result<(), Problem> {
    match description.classes.is_empty() {
        false => Ok(()),
        true => {
            let name = shown(&description.name);
            Err(Problem::unusable(format!("{name} gives embeddings, not classes; ask /embed")))
        }
    }
}

/// Of equal ones the first, as in `mentor predict`.
fn first_of_largest(row: &[f64]) -> usize {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter().position(|&value| value == largest).unwrap_or(0)
}

#[derive(Serialize)]
struct Prediction<'a> {
    class: &'a str,
    probabilities: Probabilities<'a>,
}

/// In the order of the classes.
struct Probabilities<'a> {
    classes: &'a [String],
    row: &'a [f64],
}

impl Serialize for Probabilities<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.row.len()))?;
        for (class, probability) in self.classes.iter().zip(self.row) {
            map.serialize_entry(class, probability)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Embedded<'a> {
    embedding: &'a [f32],
}

#[derive(Serialize)]
struct Found<'a> {
    neighbours: &'a [Neighbour],
}

/// A list, or the one item itself.
fn answer<T: Serialize>(items: impl Iterator<Item = T>, is_list: bool) -> Result<Response, Problem> {
    let items: Vec<T> = items.collect();
    match items.as_slice() {
        [item] if !is_list => json(item),
        items => json(&items),
    }
}

/// A value as the body of an answer.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}
