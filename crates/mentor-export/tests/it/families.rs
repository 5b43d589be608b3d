//! Every family as a classifier and as an embedding model, on normalised floats.

use std::collections::HashSet;

use mentor_data::{Resize, Source, Split};
use mentor_export::{Comparison, ExportError, Input, OnnxModel, Pictures, Tensors, to_onnx};
use mentor_metrics::calibration::Calibration;
use mentor_model::{Head, catalogue};
use rten_onnx::onnx::ModelProto;

use crate::{CLASSIFIER, Drawn, format};

/// The smallest member of every family and form, and the shape of its images.
const SMALL: [(&str, [usize; 3]); 9] = [
    ("linear", [1, 8, 8]),
    ("mlp:24,12", [1, 8, 8]),
    ("cnn", [3, 9, 13]),
    ("resnet-8", [1, 9, 8]),
    ("resnet-18", [1, 8, 8]),
    ("resnet-18", [1, 64, 64]),
    ("wrn-10-1", [1, 8, 9]),
    ("wrn-10-2", [3, 8, 8]),
    ("vit-4-64-2", [1, 8, 12]),
];

/// Digits written by hand, brought to the shape.
fn digits(shape: [usize; 3], count: usize) -> Vec<Vec<u8>> {
    let format = format(shape[0], shape[1], shape[2], Resize::Stretch);
    let test = Source::open("digits", &Default::default()).unwrap().load_as(Split::Test, &format).unwrap();
    let mut images = vec![vec![0; format.num_values()]; count];
    images.iter_mut().enumerate().for_each(|(index, image)| test.read(index, image).unwrap());
    images
}

/// The answers of rten beside those of mentor.
fn compared(architecture: &str, shape: [usize; 3], head: Head, calibration: Option<Calibration>) {
    let [channels, height, width] = shape;
    let model = Drawn::new(architecture, format(channels, height, width, Resize::Stretch), head, calibration);
    let images = digits(shape, 20);
    let onnx = OnnxModel::open(to_onnx(&model.export, Input::Tensor).unwrap()).unwrap();
    let found = onnx.answer(Pictures::Tensors(&model.normalised(&images))).unwrap();
    let mut comparison = Comparison::default();
    comparison.add(&model.answers(&images), &found);
    assert!(
        comparison.is_equal() && comparison.num_pictures == 20,
        "{architecture} {head:?}: {comparison:?}"
    );
    assert_eq!(onnx.classes(), model.export.output.classes());
    assert_eq!(onnx.preprocessing(), &model.export.preprocessing);
}

#[test]
fn every_family_answers_the_same_as_a_classifier_and_as_an_embedding_model() {
    for family in catalogue() {
        assert!(SMALL.iter().any(|(name, _)| name.starts_with(family.name)), "{} is missing", family.name);
    }
    let embedding = Head::Embedding { size: 6, unit_norm: true };
    for (architecture, shape) in SMALL {
        // Of the network with eleven million weights one form each: both differ behind the last layer alone.
        let is_large = architecture == "resnet-18";
        if !(is_large && shape[1] == 64) {
            compared(architecture, shape, CLASSIFIER, None);
        }
        if !(is_large && shape[1] == 8) {
            compared(architecture, shape, embedding, None);
        }
    }
}

#[test]
fn every_value_has_a_name_of_its_own_and_comes_before_it_is_used() {
    for (architecture, [channels, height, width]) in
        SMALL.into_iter().filter(|(name, _)| *name != "resnet-18")
    {
        for (input, resize) in [
            (Input::Image, Resize::FitPad),
            (Input::Image, Resize::CropCenter),
            (Input::Tensor, Resize::Stretch),
        ] {
            let head = Head::Embedding { size: 6, unit_norm: true };
            let model = Drawn::new(architecture, format(channels, height, width, resize), head, None);
            let bytes = to_onnx(&model.export, input).unwrap();
            let graph = ModelProto::parse_buf(&bytes).unwrap().graph.unwrap();
            let mut known = vec![input.name().to_owned()];
            known.extend(graph.initializer.iter().map(|constant| constant.name.clone().unwrap()));
            for node in graph.node {
                assert!(node.input.iter().all(|value| known.contains(value)), "{architecture}: {node:?}");
                known.extend(node.output);
            }
            let unique: HashSet<&String> = known.iter().collect();
            assert_eq!(unique.len(), known.len(), "{architecture}");
        }
    }
}

#[test]
fn temperature_and_biases_are_in_the_file() {
    let biases = vec![0.5, -1.0, 0.0, 2.0, -0.25];
    for biases in [Vec::new(), biases] {
        compared("mlp:24,12", [1, 8, 8], CLASSIFIER, Some(Calibration { temperature: 2.5, biases }));
    }
    compared("mlp:24,12", [1, 8, 8], Head::Embedding { size: 6, unit_norm: false }, None);
}

#[test]
fn a_row_of_zeros_is_an_embedding_of_zeros() {
    let mut model = Drawn::new("linear", format(1, 2, 2, Resize::Stretch), CLASSIFIER, None);
    model.export.output = mentor_export::Output::Embedding { unit_norm: true };
    model.export.tensors = Tensors::from_iter([
        ("head.weight".to_owned(), vec![4, 2], vec![0.0; 8]),
        ("head.bias".to_owned(), vec![2], vec![0.0; 2]),
    ]);
    let onnx = OnnxModel::open(to_onnx(&model.export, Input::Tensor).unwrap()).unwrap();
    assert_eq!(onnx.answer(Pictures::Tensors(&[1.0; 4])).unwrap().embedding.values, [0.0, 0.0]);
}

#[test]
fn what_is_no_network_of_mentors_is_refused_with_its_place() {
    let model = |architecture: &str| {
        let mut model = Drawn::new("cnn", format(1, 8, 8, Resize::Stretch), CLASSIFIER, None).export;
        model.architecture = architecture.to_owned();
        to_onnx(&model, Input::Tensor).unwrap_err()
    };
    assert!(matches!(model("own"), ExportError::UnknownArchitecture { .. }));
    assert!(matches!(model("vit-4-64-1"), ExportError::Tensor { path, .. } if path == "positions"));
    let mut damaged = Drawn::new("linear", format(1, 2, 2, Resize::Stretch), CLASSIFIER, None).export;
    for (shape, count, value, problem) in [
        (vec![4, 5], 19, 0.0, "19 values"),
        (vec![20], 20, 0.0, "2 axes are needed"),
        (vec![4, 5], 20, f32::NAN, "holds NaN"),
        (vec![4, 4], 16, 0.0, "5 values, and 4"),
    ] {
        damaged.tensors = Tensors::from_iter([
            ("head.weight".to_owned(), shape, vec![value; count]),
            ("head.bias".to_owned(), vec![5], vec![0.0; 5]),
        ]);
        let error = to_onnx(&damaged, Input::Tensor).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}
