//! A page that classifies in a browser, with onnxruntime-web, which its user copies beside it.

use serde_json::json;

use crate::error::ExportError;
use crate::folders::folder::Folder;
use crate::model::{ExportModel, Output};
use crate::onnx::{Input, to_onnx};

/// The page, its script and style, `model.json` (classes) and `model.onnx`.
///
/// # Errors
///
/// [`ExportError::NoClasses`] of an embedding model; else as [`to_onnx`].
pub fn to_web(model: &ExportModel) -> Result<Folder, ExportError> {
    let Output::Classifier { classes, .. } = &model.output else { return Err(ExportError::NoClasses) };
    let onnx = to_onnx(model, Input::Image)?;
    let description = json!({ "architecture": model.architecture, "classes": classes });
    Ok(Folder::default()
        .with("page.css", include_str!("../page/page.css"))
        .with("page.js", include_str!("../page/page.js"))
        .with("model.json", description.to_string() + "\n")
        .with("model.onnx", onnx)
        .with("index.html", include_str!("../page/index.html")))
}
