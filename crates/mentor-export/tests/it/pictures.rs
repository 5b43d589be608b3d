//! Pictures of many sizes, which the file resizes.

use std::fs;
use std::path::Path;

use mentor_data::{ImageFormat, Limits, Picture, Resize, decode_file, decode_picture_file};
use mentor_export::{Comparison, Input, OnnxModel, Pictures, to_onnx};
use mentor_model::Head;

use crate::{CLASSIFIER, Drawn, format};

/// The image files of the corpus that can be read, at their own sizes and in the format.
fn corpus(format: &ImageFormat) -> Vec<(Picture, Vec<u8>)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../mentor-data/tests/pictures"));
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let limits = Limits::default();
    let read = |path: &std::path::PathBuf| {
        Some((decode_picture_file(path, &limits).ok()?, decode_file(path, format, &limits).ok()?))
    };
    let pictures: Vec<_> = paths.iter().filter_map(read).collect();
    assert!(pictures.len() > 100, "{} pictures", pictures.len());
    pictures
}

/// What a file answers for every `scale`-th picture of the corpus, each brought to another size first.
fn compared(model: &Drawn, scale: usize) -> Comparison {
    let onnx = OnnxModel::open(to_onnx(&model.export, Input::Image).unwrap()).unwrap();
    let own = &model.export.preprocessing.format;
    let mut comparison = Comparison::default();
    for (index, (picture, _)) in corpus(own).iter().enumerate().filter(|(index, _)| index % scale == 0) {
        // Factors that differ between the axes and from picture to picture.
        let Picture { channels, height, width, bytes, .. } = picture;
        let from = ImageFormat::new(*channels, *height, *width);
        let planes: Vec<u8> =
            (0..*channels).flat_map(|c| bytes.iter().skip(c).step_by(*channels).copied()).collect();
        let other = ImageFormat::new(*channels, height * (1 + index % 3) + index % 5, width + index % 7);
        let planes = other.convert(&from, &planes);
        let plane = other.height * other.width;
        let pixels: Vec<u8> = (0..plane)
            .flat_map(|pixel| [0, 1, 2].map(|c: usize| planes[c.min(channels - 1) * plane + pixel]))
            .collect();
        let expected = model.answers(&[own.convert(&other, &planes)]);
        let pictures = Pictures::Images { bytes: &pixels, height: other.height, width: other.width };
        comparison.add(&expected, &onnx.answer(pictures).unwrap());
    }
    comparison
}

#[test]
fn the_file_resizes_as_mentor_does_by_every_policy() {
    for resize in [Resize::Stretch, Resize::FitPad, Resize::CropCenter] {
        for channels in [1, 3] {
            let model = Drawn::new("mlp:24,12", format(channels, 12, 10, resize), CLASSIFIER, None);
            let found = compared(&model, 1);
            // mentor rounds the weights of its filter and the file does not.
            assert!(found.agreement() >= 0.995, "{resize} {channels}: {found:?}");
            assert!(found.max_probability_difference < 0.01, "{resize} {channels}: {found:?}");
            assert!(found.max_embedding_difference < 0.02, "{resize} {channels}: {found:?}");
        }
    }
}

#[test]
fn an_embedding_model_resizes_too() {
    let head = Head::Embedding { size: 6, unit_norm: true };
    let model = Drawn::new("resnet-8", format(3, 16, 16, Resize::FitPad), head, None);
    let found = compared(&model, 4);
    assert!(found.num_pictures > 25 && found.max_embedding_difference < 0.02, "{found:?}");
}

#[test]
fn a_batch_of_pictures_of_the_own_size_is_not_resized() {
    let model = Drawn::new("cnn", format(3, 12, 10, Resize::FitPad), CLASSIFIER, None);
    let onnx = OnnxModel::open(to_onnx(&model.export, Input::Image).unwrap()).unwrap();
    let own = &model.export.preprocessing.format;
    let images: Vec<Vec<u8>> = corpus(own).into_iter().map(|(_, image)| image).take(40).collect();
    let plane = own.height * own.width;
    let bytes: Vec<u8> = images
        .iter()
        .flat_map(|image| (0..plane).flat_map(|pixel| [0, 1, 2].map(|c| image[c * plane + pixel])))
        .collect();
    let found = onnx.answer(Pictures::Images { bytes: &bytes, height: own.height, width: own.width });
    let mut comparison = Comparison::default();
    comparison.add(&model.answers(&images), &found.unwrap());
    assert!(comparison.is_equal() && comparison.num_pictures == 40, "{comparison:?}");
}
