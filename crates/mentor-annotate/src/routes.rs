//! What the page asks for. All routes lie below the token.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;

use crate::error::AnnotateError;
use crate::picture::png;
use crate::session::{Answer, Session};

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");
/// Longer side of a picture, in pixels, at most.
const MAX_SIDE: usize = 1600;

/// What the routes and the learner share.
#[derive(Debug)]
pub(crate) struct Shared {
    session: Mutex<Session>,
    /// Tells the learner that there are new answers.
    pub(crate) answered: Condvar,
}

impl Shared {
    pub(crate) fn new(session: Session) -> Arc<Self> {
        Arc::new(Self { session: Mutex::new(session), answered: Condvar::new() })
    }

    /// The session; a panic elsewhere leaves it whole, because every change is one assignment.
    pub(crate) fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Known = State<Arc<Shared>>;

/// The routes below `/token/`; a request for another host, or without the token, is told nothing.
pub(crate) fn router(shared: Arc<Shared>, token: &str, hosts: [String; 2]) -> Router {
    let below = Router::new()
        .route("/", get(page))
        .route("/state", get(state))
        .route("/picture/{index}", get(picture))
        .route("/answer", post(answer))
        .route("/undo", post(undo))
        .route("/skip", post(skip))
        .with_state(shared);
    // A page of somewhere else may reach 127.0.0.1 by a name of its own.
    let check = move |request: Request, next: Next| {
        let is_ours = host(request.headers()).is_some_and(|host| hosts.iter().any(|own| own == host));
        async move { if is_ours { next.run(request).await } else { StatusCode::NOT_FOUND.into_response() } }
    };
    Router::new().nest(&format!("/{token}/"), below).layer(middleware::from_fn(check))
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

async fn page() -> Response {
    let page = PAGE.replace("/*STYLE*/", STYLE).replace("/*SCRIPT*/", SCRIPT);
    let mut response = Html(page).into_response();
    let policy = "default-src 'none'; img-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; \
                  script-src 'unsafe-inline'; frame-ancestors 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Of which predicted class pictures are wanted.
#[derive(Debug, Deserialize)]
struct Filter {
    class: Option<u32>,
}

async fn state(State(shared): Known, Query(filter): Query<Filter>) -> Response {
    told(&shared.session(), filter.class)
}

fn told(session: &Session, filter: Option<u32>) -> Response {
    let mut response = Json(session.state(filter)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// How large a picture is wanted.
#[derive(Debug, Deserialize)]
struct Size {
    side: Option<usize>,
}

async fn picture(State(shared): Known, Path(index): Path<u32>, Query(size): Query<Size>) -> Response {
    let found = {
        let session = shared.session();
        session.items.get(index as usize).map(|item| (item.file.clone(), session.limits.clone()))
    };
    let Some((file, limits)) = found else { return StatusCode::NOT_FOUND.into_response() };
    let side = size.side.unwrap_or(MAX_SIDE).clamp(16, MAX_SIDE);
    match tokio::task::spawn_blocking(move || png(&file, &limits, side)).await {
        Ok(Ok(png)) => {
            let headers = [(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "max-age=600")];
            (headers, Body::from(png)).into_response()
        }
        Ok(Err(error)) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// An answer for one picture or for many: a class, or `unsure` or `none`.
#[derive(Debug, Deserialize)]
struct Given {
    indices: Vec<u32>,
    class: Option<u32>,
    why: Option<Why>,
    filter: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Why {
    Unsure,
    None,
}

async fn answer(State(shared): Known, Json(given): Json<Given>) -> Response {
    let answer = match (given.class, given.why) {
        (Some(class), _) => Answer::Class(class),
        (None, Some(Why::Unsure)) => Answer::Aside(0),
        (None, Some(Why::None)) => Answer::Aside(1),
        (None, None) => return StatusCode::BAD_REQUEST.into_response(),
    };
    changed(&shared, given.filter, |session| session.answer(&given.indices, answer))
}

/// A picture that is to come later, and what is wanted next.
#[derive(Debug, Deserialize)]
struct Skipped {
    index: u32,
    filter: Option<u32>,
}

async fn skip(State(shared): Known, Json(skipped): Json<Skipped>) -> Response {
    let mut session = shared.session();
    session.skip(skipped.index);
    told(&session, skipped.filter)
}

async fn undo(State(shared): Known, Query(filter): Query<Filter>) -> Response {
    changed(&shared, filter.class, Session::undo)
}

/// Changes the session, wakes the learner, and tells the state; an answer that is not on the disk is an
/// error that the page shows.
fn changed(
    shared: &Shared,
    filter: Option<u32>,
    change: impl FnOnce(&mut Session) -> Result<(), AnnotateError>,
) -> Response {
    let mut session = shared.session();
    if let Err(error) = change(&mut session) {
        return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
    }
    shared.answered.notify_one();
    told(&session, filter)
}
