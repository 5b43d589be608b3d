//! The pictures of a request: its body, or the parts of a form.

use std::error::Error;

use axum::extract::{FromRequest, Multipart, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use bytes::Bytes;
use mentor_data::{DataError, Fault, counted, decode, shown};
use tokio::task::spawn_blocking;

use crate::http::{Problem, Received, read_body};
use crate::models::Description;
use crate::routes::served::MAX_PICTURES;

/// Pictures in a model's format.
pub(crate) struct Pictures {
    pub(crate) images: Vec<Vec<u8>>,
    /// They came in a form, so that the answer is a list, of one too.
    pub(crate) is_list: bool,
}

/// Reads and decodes the pictures of a request.
///
/// # Errors
///
/// Those of [`read_body`]; 415 if the request says that it is something else, 400 if it holds no picture or a
/// form that cannot be read, and 413, 415 or 422 if a picture cannot be used.
pub(crate) async fn pictures(request: Request, description: &Description) -> Result<Pictures, Problem> {
    let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_list = media_type.eq_ignore_ascii_case("multipart/form-data");
    let is_other = ["application/json", "text/", "multipart/", "video/", "audio/"]
        .iter()
        .any(|other| media_type.get(..other.len()).is_some_and(|start| start.eq_ignore_ascii_case(other)));
    if is_other && !is_list {
        let message = format!(
            "a body of {} is not read; send the bytes of a picture, or several as multipart/form-data",
            shown(media_type)
        );
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let (parts, body) = read_body(request).await?;
    let files = match is_list {
        true => files_of_form(parts, &body).await?,
        false if body.bytes.is_empty() => return Err(Problem::malformed("the body is empty")),
        false => vec![(String::new(), body.bytes.clone())],
    };
    let images = decoded(files, body, description).await?;
    Ok(Pictures { images, is_list })
}

/// Names and contents of the parts of a form.
async fn files_of_form(parts: Parts, body: &Received) -> Result<Vec<(String, Bytes)>, Problem> {
    let request = Request::from_parts(parts, body.bytes.clone().into());
    let unreadable =
        |error: &dyn Error| Problem::malformed(format!("the form cannot be read ({})", innermost(error)));
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| unreadable(&error))?;
    let mut files = Vec::new();
    while let Some(part) = form.next_field().await.map_err(|error| unreadable(&error))? {
        if files.len() == MAX_PICTURES {
            return Err(Problem::too_large(format!("a request holds at most {MAX_PICTURES} pictures")));
        }
        let name = part.file_name().or(part.name()).unwrap_or_default();
        let label = format!("picture {} ({}): ", files.len() + 1, shown(name));
        files.push((label, part.bytes().await.map_err(|error| unreadable(&error))?));
    }
    match files.is_empty() {
        true => Err(Problem::malformed("the form has no parts")),
        false => Ok(files),
    }
}

fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    shown(&cause.to_string()).into_owned()
}

/// Decodes on a thread for such work. There are as many of these as processors, so that few pictures have
/// their pixels in memory at once.
async fn decoded(
    files: Vec<(String, Bytes)>,
    body: Received,
    description: &Description,
) -> Result<Vec<Vec<u8>>, Problem> {
    let (format, limits) = (description.format.clone(), description.limits.clone());
    let work = move || {
        let image = |(label, bytes): (String, Bytes)| {
            decode(&bytes, &format, &limits).map_err(|error| refusal(&label, error))
        };
        let images = files.into_iter().map(image).collect();
        drop(body);
        images
    };
    spawn_blocking(work).await.unwrap_or_else(|_| Err(Problem::internal("a picture was not decoded")))
}

/// What is wrong with a picture. `label` says which it is.
pub(crate) fn refusal(label: &str, error: DataError) -> Problem {
    let DataError::BadImage { fault, .. } = error else {
        return Problem::internal(error.to_string());
    };
    let message = |text: &str| format!("{label}{}", shown(text));
    match &fault {
        Fault::TooLarge { height, width, max_pixels } => Problem::too_large(format!(
            "{label}{height}x{width} pixels are over the limit of {}",
            counted(*max_pixels as usize, "pixel", "pixels")
        )),
        Fault::Unsupported(reason) => Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message(reason)),
        fault => Problem::unusable(message(&fault.to_string())),
    }
}
