//! `POST /v2/models/{model}/infer`, of the Open Inference Protocol.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use mentor_data::{Picture, decode, fit, shown};
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::http::{Problem, read_body};
use crate::models::Description;
use crate::routes::answers::{json, require_classes};
use crate::routes::pictures::refusal;
use crate::routes::served::{MAX_PICTURES, Served};
use crate::routes::tensors::{Data, Inference, InputTensor};

/// What a model can be asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    Probabilities,
    Embedding,
}

#[derive(Serialize)]
struct Answer<'a> {
    model_name: &'a str,
    model_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    outputs: Vec<OutputTensor>,
}

#[derive(Serialize)]
struct OutputTensor {
    name: &'static str,
    datatype: &'static str,
    shape: [usize; 2],
    data: Vec<f32>,
}

pub(crate) async fn infer(
    state: State<Served>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let model = Served::choose(&state, Some(&name))?;
    let (_, body) = read_body(request).await?;
    let asked = Arc::clone(&model.model);
    let work = move || {
        let read = prepared(&body.bytes, asked.description());
        drop(body);
        read
    };
    let (id, images, wanted) =
        spawn_blocking(work).await.unwrap_or_else(|_| Err(Problem::internal("the request was not read")))?;
    let mut outputs = Vec::new();
    for output in wanted {
        let images = images.clone();
        outputs.push(match output {
            Output::Probabilities => {
                let rows = model.probabilities(images).await?;
                let rows = rows.iter().map(|row| row.iter().map(|&value| value as f32).collect()).collect();
                tensor("probabilities", rows)
            }
            Output::Embedding => tensor("embedding", model.embeddings(images).await?),
        });
    }
    json(&Answer { model_name: &model.model.description().name, model_version: "1", id, outputs })
}

fn tensor(name: &'static str, rows: Vec<Vec<f32>>) -> OutputTensor {
    let shape = [rows.len(), rows.first().map_or(0, Vec::len)];
    OutputTensor { name, datatype: "FP32", shape, data: rows.concat() }
}

/// The id, the images in the model's format, and what is asked for.
type Prepared = (Option<String>, Vec<Vec<u8>>, Vec<Output>);

fn prepared(body: &[u8], description: &Description) -> Result<Prepared, Problem> {
    let inference: Inference = serde_json::from_slice(body)
        .map_err(|error| Problem::malformed(format!("the request: {}", shown(&error.to_string()))))?;
    let Ok([input]) = <[InputTensor; 1]>::try_from(inference.inputs) else {
        return Err(Problem::malformed("the request has not one input, image or file"));
    };
    let outputs = match inference.outputs {
        None if description.classes.is_empty() => vec![Output::Embedding],
        None => vec![Output::Probabilities, Output::Embedding],
        Some(outputs) if outputs.len() > 2 => {
            return Err(Problem::malformed("the outputs are probabilities and embedding, each once"));
        }
        Some(outputs) => outputs
            .iter()
            .map(|output| match output.name.as_str() {
                "probabilities" => require_classes(description).map(|()| Output::Probabilities),
                "embedding" => Ok(Output::Embedding),
                other => Err(Problem::malformed(format!(
                    "there is no output {}; there are probabilities and embedding",
                    shown(other)
                ))),
            })
            .collect::<Result<_, _>>()?,
    };
    Ok((inference.id, images(input, description)?, outputs))
}

fn images(input: InputTensor, description: &Description) -> Result<Vec<Vec<u8>>, Problem> {
    let InputTensor { name, datatype, shape, data: Data { bytes, files } } = input;
    match (name.as_str(), datatype.as_str()) {
        ("image", "UINT8") => pixels(&shape, &bytes, !files.is_empty(), description),
        ("file", "BYTES") => {
            if !bytes.is_empty() || shape != [files.len() as u64] || files.is_empty() {
                let message = format!("file of shape {shape:?} has {} texts in base64", files.len());
                return Err(Problem::malformed(message));
            }
            let image = |(index, file): (usize, &Vec<u8>)| {
                let label = || format!("picture {}: ", index + 1);
                decode(file, &description.format, &description.limits)
                    .map_err(|error| refusal(&label(), error))
            };
            files.iter().enumerate().map(image).collect()
        }
        (name, datatype) => {
            let (name, datatype) = (shown(name), shown(datatype));
            let known = "there are image of UINT8 [N, H, W, 3] and file of BYTES [N]";
            Err(Problem::malformed(format!("there is no input {name} of {datatype}; {known}")))
        }
    }
}

/// Pictures whose pixels are given.
fn pixels(
    shape: &[u64],
    bytes: &[u8],
    has_texts: bool,
    description: &Description,
) -> Result<Vec<Vec<u8>>, Problem> {
    let &[count, height, width, channels @ (1 | 3)] = shape else {
        return Err(Problem::malformed(format!("image has shape {shape:?}, and [N, H, W, 3] is read")));
    };
    let num_values = shape.iter().try_fold(1_u64, |product, &side| product.checked_mul(side));
    if has_texts || num_values != Some(bytes.len() as u64) || bytes.is_empty() {
        let found = bytes.len();
        return Err(Problem::malformed(format!("image of shape {shape:?} has {found} numbers in data")));
    }
    if count > MAX_PICTURES as u64 {
        return Err(Problem::too_large(format!("a request holds at most {MAX_PICTURES} pictures")));
    }
    // Their product with the others is the length of `bytes`.
    let (height, width, channels) = (height as usize, width as usize, channels as usize);
    let picture = |bytes: &[u8]| {
        fit(Picture { channels, height, width, bytes: bytes.to_vec(), extent: None }, &description.format)
    };
    Ok(bytes.chunks_exact(height * width * channels).map(picture).collect())
}
