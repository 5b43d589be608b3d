//! Models in eight bits, run by rten.

use mentor_data::{Resize, Source, Split};
use mentor_export::{Answers, Calibrator, ExportError, Input, OnnxModel, Pictures, to_onnx, to_onnx_int8};
use mentor_model::Head;
use rten_onnx::onnx::{DataType, ModelProto};

use crate::{CLASSIFIER, Drawn, format};

const SMALL: [(&str, [usize; 3]); 7] = [
    ("linear", [1, 8, 8]),
    ("mlp:24,12", [1, 8, 8]),
    ("cnn", [3, 9, 13]),
    ("resnet-8", [1, 9, 8]),
    ("wrn-10-1", [1, 8, 9]),
    ("wrn-10-2", [3, 8, 8]),
    ("vit-4-64-2", [1, 8, 12]),
];

fn digits(shape: [usize; 3], count: usize) -> Vec<Vec<u8>> {
    let format = format(shape[0], shape[1], shape[2], Resize::Stretch);
    let test = Source::open("digits", &Default::default()).unwrap().load_as(Split::Test, &format).unwrap();
    let mut images = vec![vec![0; format.num_values()]; count];
    images.iter_mut().enumerate().for_each(|(index, image)| test.read(index, image).unwrap());
    images
}

fn small(bytes: &Drawn, input: Input, images: &[Vec<u8>]) -> Vec<u8> {
    let mut calibrator = Calibrator::new(&bytes.export).unwrap();
    for images in images.chunks(16) {
        calibrator.add(&bytes.normalised(images)).unwrap();
    }
    to_onnx_int8(&bytes.export, input, &calibrator.finish()).unwrap()
}

/// The largest difference of two embeddings, as a share of the largest value.
fn apart(a: &Answers, b: &Answers) -> f32 {
    let pairs = a.embedding.values.iter().zip(&b.embedding.values);
    let largest = a.embedding.values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    pairs.fold(0.0_f32, |apart, (a, b)| apart.max((a - b).abs())) / largest
}

#[test]
fn every_family_answers_nearly_the_same_in_eight_bits() {
    for (architecture, shape) in SMALL {
        for head in [CLASSIFIER, Head::Embedding { size: 6, unit_norm: true }] {
            let [channels, height, width] = shape;
            let model =
                Drawn::new(architecture, format(channels, height, width, Resize::Stretch), head, None);
            let images = digits(shape, 32);
            let onnx = OnnxModel::open(small(&model, Input::Tensor, &images)).unwrap();
            let found = onnx.answer(Pictures::Tensors(&model.normalised(&images))).unwrap();
            let expected = model.answers(&images);
            let apart = apart(&expected, &found);
            // Rounded, and not by much.
            assert!(apart < 0.06 && apart > 1e-5, "{architecture} {head:?}: {apart}");
            if let (Some(expected), Some(found)) = (&expected.probabilities, &found.probabilities) {
                let pairs = expected.values.iter().zip(&found.values);
                let apart = pairs.fold(0.0_f32, |apart, (a, b)| apart.max((a - b).abs()));
                assert!(apart < 0.06, "{architecture}: {apart}");
            }
        }
    }
}

#[test]
fn all_weights_of_layers_are_bytes() {
    for (architecture, [channels, height, width]) in SMALL {
        let shape = format(channels, height, width, Resize::Stretch);
        let model = Drawn::new(architecture, shape, CLASSIFIER, None);
        let images = digits([channels, height, width], 8);
        let bytes = small(&model, Input::Image, &images);
        let graph = ModelProto::parse_buf(&bytes).unwrap().graph.unwrap();
        let constant = |name: &str| graph.initializer.iter().find(|c| c.name.as_deref() == Some(name));
        let producer = |name: &str| graph.node.iter().find(|node| node.output.iter().any(|o| o == name));
        let mut num_layers = 0;
        for node in &graph.node {
            let operator = node.op_type.as_deref().unwrap();
            if !matches!(operator, "Conv" | "Gemm") {
                continue;
            }
            num_layers += 1;
            for (input, data_type) in
                node.input.iter().zip([DataType::UINT8, DataType::INT8, DataType::INT32])
            {
                let restored = producer(input).unwrap();
                assert_eq!(restored.op_type.as_deref(), Some("DequantizeLinear"), "{architecture}: {input}");
                // Without its zero ONNX Runtime computes a dense layer in floats, five times as long.
                assert_eq!(restored.input.len(), 3, "{architecture}: {input}");
                assert!(constant(&restored.input[2]).is_some(), "{architecture}: {input}");
                let integers = &restored.input[0];
                match data_type {
                    DataType::UINT8 => assert_eq!(
                        producer(integers).unwrap().op_type.as_deref(),
                        Some("QuantizeLinear"),
                        "{architecture}: {input}"
                    ),
                    _ => assert_eq!(constant(integers).unwrap().data_type, Some(data_type)),
                }
            }
        }
        assert!(num_layers > 0, "{architecture}");
        // Every value has a name of its own.
        let mut names: Vec<&String> = graph.node.iter().flat_map(|node| &node.output).collect();
        names.extend(graph.initializer.iter().map(|constant| constant.name.as_ref().unwrap()));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "{architecture}");
    }
}

#[test]
fn the_file_takes_pictures_too_and_is_smaller() {
    let model = Drawn::new("cnn", format(3, 12, 10, Resize::FitPad), CLASSIFIER, None);
    let images = digits([3, 12, 10], 16);
    let bytes = small(&model, Input::Image, &images);
    let large = to_onnx(&model.export, Input::Image).unwrap();
    assert!(bytes.len() * 7 < large.len() * 2, "{} of {}", bytes.len(), large.len());
    let onnx = OnnxModel::open(bytes).unwrap();
    let pixels: Vec<u8> = images
        .iter()
        .flat_map(|image| (0..120).flat_map(|p| [0, 1, 2].map(|c| image[c * 120 + p])))
        .collect();
    let found = onnx.answer(Pictures::Images { bytes: &pixels, height: 12, width: 10 }).unwrap();
    let apart = apart(&model.answers(&images), &found);
    assert!(apart < 0.06, "{apart}");
}

#[test]
fn ranges_of_another_model_and_values_without_end_are_refused() {
    let shape = format(1, 8, 8, Resize::Stretch);
    let model = Drawn::new("mlp:24,12", shape.clone(), CLASSIFIER, None);
    let ranges = Calibrator::new(&model.export).unwrap().finish();
    let other = Drawn::new("cnn", shape, CLASSIFIER, None);
    let error = to_onnx_int8(&other.export, Input::Tensor, &ranges).unwrap_err();
    assert!(
        matches!(&error, ExportError::Tensor { problem, .. } if problem == "was not measured"),
        "{error}"
    );
    let mut calibrator = Calibrator::new(&model.export).unwrap();
    let error = calibrator.add(&[f32::MAX; 64]).unwrap_err();
    assert!(error.to_string().contains("no finite number"), "{error}");
}
