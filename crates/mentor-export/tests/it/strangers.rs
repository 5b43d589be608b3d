//! ONNX files that mentor did not write, or that were changed.

use mentor_data::Resize;
use mentor_export::{ExportError, Input, OnnxModel, to_onnx};
use rten_onnx::onnx::ModelProto;

use crate::{CLASSIFIER, Drawn, format};

fn file() -> Vec<u8> {
    let model = Drawn::new("mlp:24,12", format(1, 8, 8, Resize::FitPad), CLASSIFIER, None);
    to_onnx(&model.export, Input::Image).unwrap()
}

#[track_caller]
fn refused(change: impl FnOnce(&mut ModelProto), what: &str) {
    let mut model = ModelProto::parse_buf(&file()).unwrap();
    change(&mut model);
    let error = OnnxModel::open(model.write_buf().unwrap()).err().unwrap();
    assert!(error.to_string().contains(what), "{error}");
    assert!(matches!(error, ExportError::NotOurs { .. } | ExportError::Engine { .. }), "{error:?}");
}

#[test]
fn a_file_of_another_program_is_refused_in_one_line() {
    for bytes in [&b""[..], b"a text", b"\x89PNG\r\n", &[0xff; 99]] {
        let error = OnnxModel::open(bytes.to_vec()).err().unwrap().to_string();
        assert!(error.contains("ONNX model") && !error.contains('\n'), "{error}");
    }
    refused(|model| model.metadata_props.clear(), "not one that mentor export wrote");
    refused(
        |model| model.graph.as_mut().unwrap().node[3].op_type = Some("Loop".to_owned()),
        "operators that mentor never writes: Loop",
    );
    refused(
        |model| model.graph.as_mut().unwrap().node[3].domain = Some("com.microsoft".to_owned()),
        "operators that mentor never writes",
    );
    let set = |model: &mut ModelProto, key: &str, value: &str| {
        let entry = model.metadata_props.iter_mut().find(|entry| entry.key.as_deref() == Some(key));
        entry.unwrap().value = Some(value.to_owned());
    };
    refused(|model| set(model, "classes", "[1, 2]"), "metadata cannot be read");
    refused(|model| set(model, "classes", "[]"), "without the output");
    refused(|model| set(model, "preprocessing", "{}"), "of no input");
    let far = r#"{"input":"image","format":{"channels":1,"height":999999,"width":1},"mean":[0],"std":[1]}"#;
    refused(|model| set(model, "preprocessing", far), "height");
}

#[test]
fn a_file_that_is_cut_or_changed_never_panics() {
    let whole = file();
    for length in (0..whole.len()).step_by(97) {
        assert!(OnnxModel::open(whole[..length].to_vec()).is_err(), "{length} bytes");
    }
    for place in (0..whole.len()).step_by(211) {
        let mut changed = whole.clone();
        changed[place] ^= 0x55;
        // Some changes are of weights: such a file is another model.
        let _ = OnnxModel::open(changed);
    }
}
