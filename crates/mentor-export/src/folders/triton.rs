//! A model repository for NVIDIA's Triton inference server.

use crate::error::ExportError;
use crate::folders::folder::Folder;
use crate::model::{ExportModel, Output};
use crate::onnx::{Input, to_onnx};

/// Pictures that Triton gives the model at once, at most.
const MAX_BATCH: usize = 64;

/// `NAME/config.pbtxt`, `NAME/labels.txt` (of a classifier) and `NAME/1/model.onnx`; `width` is the number of
/// values of an embedding.
///
/// # Errors
///
/// As [`to_onnx`].
pub fn to_triton(model: &ExportModel, input: Input, name: &str, width: usize) -> Result<Folder, ExportError> {
    let onnx = to_onnx(model, input)?;
    let [channels, height, rows] = model.preprocessing.format.shape();
    let (datatype, dims) = match input {
        Input::Image => ("TYPE_UINT8", "-1, -1, 3".to_owned()),
        Input::Tensor => ("TYPE_FP32", format!("{channels}, {height}, {rows}")),
    };
    let mut outputs = vec![tensor("embedding", "TYPE_FP32", &width.to_string(), "")];
    let mut folder = Folder::default();
    if let Output::Classifier { classes, .. } = &model.output {
        let labels = "    label_filename: \"labels.txt\"\n";
        outputs.insert(0, tensor("probabilities", "TYPE_FP32", &classes.len().to_string(), labels));
        let lines: String = classes.iter().map(|class| class.replace('\n', " ") + "\n").collect();
        folder = folder.with(format!("{name}/labels.txt"), lines);
    }
    let input = tensor(input.name(), datatype, &dims, "");
    let outputs = outputs.join(",\n");
    // Pictures of one size that wait share a pass.
    let config = format!(
        "name: {name:?}\nplatform: \"onnxruntime_onnx\"\nmax_batch_size: {MAX_BATCH}\n\
         input [\n{input}\n]\noutput [\n{outputs}\n]\ndynamic_batching {{ }}\n"
    );
    Ok(folder.with(format!("{name}/config.pbtxt"), config).with(format!("{name}/1/model.onnx"), onnx))
}

fn tensor(name: &str, datatype: &str, dims: &str, more: &str) -> String {
    format!("  {{\n    name: \"{name}\"\n    data_type: {datatype}\n    dims: [ {dims} ]\n{more}  }}")
}
