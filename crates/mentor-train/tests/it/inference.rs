//! A trained model in a program: from where it is loaded, what it gives, and what it refuses.

use std::fs;
use std::sync::Arc;
use std::thread;

use burn::tensor::Device;
use mentor_data::{Dataset, OpenOptions, Source, Split};
use mentor_train::{LoadError, PredictError, TrainedModel};
use serde_json::Value;

use crate::runs::complete;

const TEXT: &str = "data.source = 'digits'\nmodel.name = 'mlp:16'\nloss = { name = 'svm', margin = 0.5 }\n\
    penalty.l2 = 1e-3\ntraining.epochs = 3";

fn images(dataset: &Dataset, count: usize) -> Vec<[u8; 64]> {
    let mut images = vec![[0; 64]; count];
    images.iter_mut().enumerate().for_each(|(index, image)| dataset.read(index, image).unwrap());
    images
}

fn test_split() -> Arc<Dataset> {
    Arc::new(Source::open("digits", &OpenOptions::default()).unwrap().load(Split::Test).unwrap())
}

#[test]
fn predictions_are_named_whatever_the_number_of_images_and_threads() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    complete(TEXT, &run);
    let model = TrainedModel::load(&run, &Device::flex()).unwrap();
    let test = test_split();
    let images = images(&test, 300);
    let predictions = model.predict(&images).unwrap();
    assert_eq!((predictions.len(), predictions.classes()), (300, model.classes()));
    let (_, samples) = model.evaluate(&test, Split::Test, 256).unwrap();
    for ((class, probability), sample) in predictions.iter().zip(&samples) {
        assert_eq!(class, model.classes()[sample.predicted as usize]);
        assert!((probability - sample.confidence).abs() < 1e-5);
    }
    let ranked = predictions.ranked(7).unwrap();
    assert!(ranked.len() == 10 && ranked.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    assert!(predictions.ranked(300).is_none());
    assert!(model.predict::<[u8; 64]>(&[]).unwrap().is_empty());

    let model = Arc::new(model);
    let asked = (0..4).map(|_| {
        let (model, images) = (Arc::clone(&model), images.clone());
        thread::spawn(move || model.predict(&images).unwrap())
    });
    for thread in asked.collect::<Vec<_>>() {
        assert_eq!(thread.join().unwrap(), predictions);
    }
}

#[test]
fn what_a_model_cannot_take_is_an_error_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    complete("data.source = 'digits'\nloss.name = 'triplet'\ntraining.epochs = 1", &run);
    let model = TrainedModel::load(&run, &Device::flex()).unwrap();
    let embeddings = model.embeddings(&[[0; 64]; 3]).unwrap();
    assert_eq!((embeddings.len(), embeddings.width, embeddings.iter().count()), (3, 64, 3));
    assert_eq!(model.predict(&[[0; 64]]), Err(PredictError::NoScores));
    let wrong = model.embeddings(&[vec![0; 64], vec![0; 63]]).unwrap_err();
    assert_eq!(wrong, PredictError::WrongLength { index: 1, found: 63, expected: 64 });
}

#[test]
fn two_files_are_a_model_also_as_bytes_and_of_the_version_before() {
    let dir = tempfile::tempdir().unwrap();
    let (run, folder) = (dir.path().join("run"), dir.path().join("model"));
    complete(TEXT, &run);
    let [description, weights] =
        ["model.json", "model.safetensors"].map(|name| fs::read(run.join(name)).unwrap());
    let device = Device::flex();
    let whole = TrainedModel::load(&run, &device).unwrap();
    let images = images(&test_split(), 5);
    let expected = whole.predict(&images).unwrap();
    let of_bytes = TrainedModel::from_bytes(&description, &weights, &device).unwrap();
    assert_eq!(of_bytes.predict(&images).unwrap(), expected);

    // As version 2 had it: the configuration of the loss, the penalty and the data, and no defaults.
    let mut old: Value = serde_json::from_slice(&description).unwrap();
    old["format"] = 2.into();
    old["penalty"] = serde_json::json!({ "l2": 1e-3 });
    old["data"]["classes_per_batch"] = 4.into();
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("model.json"), old.to_string()).unwrap();
    assert!(matches!(TrainedModel::from_folder(&folder, &device), Err(LoadError::Unreadable { .. })));
    fs::write(folder.join("model.safetensors"), &weights).unwrap();
    let of_folder = TrainedModel::from_folder(&folder, &device).unwrap();
    assert_eq!(of_folder.file, whole.file);
    assert_eq!(of_folder.predict(&images).unwrap(), expected);

    let refused = |json: &[u8], weights: &[u8]| TrainedModel::from_bytes(json, weights, &device).unwrap_err();
    assert!(matches!(refused(b"{}", &weights), LoadError::Description { .. }));
    assert!(matches!(refused(&description, &weights[..99]), LoadError::Model(_)));
    old["weights_blake3"] = "ab".into();
    assert!(matches!(refused(old.to_string().as_bytes(), &weights), LoadError::OtherWeights { .. }));
}
