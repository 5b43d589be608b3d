//! Models as folders: weights under timm's names, a repository for Triton, a page.

use mentor_backbone::Backbone;
use mentor_data::Resize;
use mentor_export::{ExportError, Folder, Input, OnnxModel, to_onnx, to_safetensors, to_triton, to_web};
use mentor_model::Head;
use safetensors::SafeTensors;
use serde_json::Value;

use crate::{CLASSIFIER, Drawn, format};

fn file<'a>(folder: &'a Folder, path: &str) -> &'a [u8] {
    &folder.files.iter().find(|(found, _)| found == path).unwrap_or_else(|| panic!("no {path}")).1
}

fn small() -> Drawn {
    Drawn::new("mlp:8", format(3, 8, 9, Resize::Stretch), CLASSIFIER, None)
}

/// The reader of pretrained networks knows timm's names and shapes, and computes with them.
#[test]
fn a_resnet_has_the_names_of_timm_and_gives_the_same_features_by_them() {
    let model = Drawn::new("resnet-18", format(3, 64, 64, Resize::Stretch), CLASSIFIER, None);
    let (folder, is_timm) = to_safetensors(&model.export).unwrap();
    assert!(is_timm);
    let config: Value = serde_json::from_slice(file(&folder, "config.json")).unwrap();
    assert_eq!((&config["architecture"], &config["num_classes"]), (&"resnet18".into(), &5.into()));
    assert_eq!(config["pretrained_cfg"]["input_size"], serde_json::json!([3, 64, 64]));
    assert_eq!(config["pretrained_cfg"]["label_names"][1], "class \"1\"");
    let backbone = Backbone::from_bytes(file(&folder, "model.safetensors"), Some("resnet-18")).unwrap();
    let image: Vec<u8> = (0..3 * 64 * 64).map(|index| (index * 7919 % 251) as u8).collect();
    let planes = model.normalised(std::slice::from_ref(&image));
    let pixels: Vec<f32> =
        (0..64 * 64).flat_map(|pixel| [0, 1, 2].map(|channel| planes[channel * 64 * 64 + pixel])).collect();
    let found = backbone.network.features(&pixels, [64, 64]);
    let expected = model.answers(&[image]).embedding.values;
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-4 * largest, "{found} {expected}");
    }
    let tensors = SafeTensors::deserialize(file(&folder, "model.safetensors")).unwrap();
    assert_eq!(tensors.tensor("fc.weight").unwrap().shape(), [5, 512]);
}

#[test]
fn a_transformer_has_the_names_of_timm_and_its_dense_layers_lie_the_other_way() {
    let model = Drawn::new("vit-4-64-2", format(1, 8, 12, Resize::Stretch), CLASSIFIER, None);
    let (folder, is_timm) = to_safetensors(&model.export).unwrap();
    assert!(is_timm);
    let tensors = SafeTensors::deserialize(file(&folder, "model.safetensors")).unwrap();
    let shapes: [(&str, &[usize]); 7] = [
        ("pos_embed", &[1, 6, 64]),
        ("patch_embed.proj.weight", &[64, 1, 4, 4]),
        ("blocks.1.attn.qkv.weight", &[192, 64]),
        ("blocks.1.mlp.fc1.weight", &[256, 64]),
        ("blocks.0.norm2.bias", &[64]),
        ("norm.weight", &[64]),
        ("head.weight", &[5, 64]),
    ];
    for (name, shape) in shapes {
        assert_eq!(tensors.tensor(name).unwrap().shape(), shape, "{name}");
    }
    let value = |name: &str, index: usize| {
        let data = tensors.tensor(name).unwrap().data()[4 * index..4 * index + 4].try_into().unwrap();
        f32::from_le_bytes(data)
    };
    let own = mentor_model::parameters(&model.model);
    let own = |path: &str| &own.iter().find(|tensor| tensor.path == path).unwrap().values;
    // Row 3, column 7 of [192, 64] is row 7, column 3 of [64, 192].
    assert_eq!(value("blocks.1.attn.qkv.weight", 3 * 64 + 7), own("blocks.1.qkv.weight")[7 * 192 + 3]);
    let config: Value = serde_json::from_slice(file(&folder, "config.json")).unwrap();
    let arguments = &config["model_args"];
    assert_eq!((&arguments["depth"], &arguments["num_heads"]), (&2.into(), &1.into()));
    assert_eq!(arguments["img_size"], serde_json::json!([8, 12]));
}

#[test]
fn networks_that_timm_lacks_keep_their_names() {
    // The stem of a small resnet-18 is none of timm's.
    for architecture in ["mlp:8", "cnn", "resnet-8", "wrn-10-1", "resnet-18"] {
        let model = Drawn::new(architecture, format(1, 8, 8, Resize::Stretch), CLASSIFIER, None);
        let (folder, is_timm) = to_safetensors(&model.export).unwrap();
        assert!(!is_timm, "{architecture}");
        let config: Value = serde_json::from_slice(file(&folder, "config.json")).unwrap();
        assert_eq!(config["mentor"]["architecture"], architecture);
        let tensors = SafeTensors::deserialize(file(&folder, "model.safetensors")).unwrap();
        let own = mentor_model::parameters(&model.model);
        assert_eq!(tensors.len(), own.len());
        assert!(own.iter().all(|own| tensors.tensor(&own.path).unwrap().shape() == own.shape));
    }
}

#[test]
fn a_repository_for_triton_has_the_model_and_its_tensors() {
    let model = small();
    let folder = to_triton(&model.export, Input::Image, "photos", 8).unwrap();
    assert_eq!(file(&folder, "photos/1/model.onnx"), to_onnx(&model.export, Input::Image).unwrap());
    assert_eq!(
        file(&folder, "photos/labels.txt"),
        (0..5).map(|c| format!("class \"{c}\"\n")).collect::<String>().as_bytes()
    );
    let config = String::from_utf8(file(&folder, "photos/config.pbtxt").to_vec()).unwrap();
    for line in
        ["name: \"photos\"", "dims: [ -1, -1, 3 ]", "data_type: TYPE_UINT8", "dims: [ 5 ]", "dims: [ 8 ]"]
    {
        assert!(config.contains(line), "{line} is not in {config}");
    }
    let folder = to_triton(&model.export, Input::Tensor, "photos", 8).unwrap();
    let config = String::from_utf8(file(&folder, "photos/config.pbtxt").to_vec()).unwrap();
    assert!(config.contains("dims: [ 3, 8, 9 ]") && config.contains("TYPE_FP32"), "{config}");
}

#[test]
fn a_page_has_the_model_and_names_no_other_place() {
    let folder = to_web(&small().export).unwrap();
    assert!(OnnxModel::open(file(&folder, "model.onnx").to_vec()).is_ok());
    let description: Value = serde_json::from_slice(file(&folder, "model.json")).unwrap();
    assert_eq!(description["classes"].as_array().unwrap().len(), 5);
    for path in ["index.html", "page.js", "page.css"] {
        let text = String::from_utf8(file(&folder, path).to_vec()).unwrap();
        assert!(!text.contains("http://") && !text.contains("https://"), "{path}");
    }
    let embedding = Head::Embedding { size: 3, unit_norm: true };
    let model = Drawn::new("mlp:8", format(1, 8, 8, Resize::Stretch), embedding, None);
    assert!(matches!(to_web(&model.export), Err(ExportError::NoClasses)));
}
