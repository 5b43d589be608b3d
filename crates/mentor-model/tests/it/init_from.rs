//! Weights of one network as the first weights of another.

use burn::tensor::Device;
use mentor_model::{
    Model, ModelError, ModelSpec, NamedTensor, TensorNames, init_from, parameters, tensors_of, to_safetensors,
};

fn model(name: &str, num_classes: usize, seed: u64) -> Model {
    Model::new(&ModelSpec::new(name, [1, 8, 8], num_classes), seed, &Device::flex()).unwrap()
}

fn names(rename: &[(&str, &str)], skip: &[&str], keep: &[&str]) -> TensorNames {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let rename = rename.iter().map(|&(from, to)| (from.to_owned(), to.to_owned())).collect();
    TensorNames { rename, skip: owned(skip), keep: owned(keep) }
}

fn of<'a>(tensors: &'a [NamedTensor], path: &str) -> &'a NamedTensor {
    tensors.iter().find(|tensor| tensor.path == path).unwrap()
}

#[test]
fn all_but_the_head_is_that_of_the_file_and_the_head_that_of_the_seed() {
    let file = to_safetensors(&model("resnet-8", 10, 1)).unwrap();
    let started = init_from(model("resnet-8", 3, 2), &file, &names(&[], &[], &["head"])).unwrap();
    let (from, own) = (parameters(&model("resnet-8", 10, 1)), parameters(&model("resnet-8", 3, 2)));
    for tensor in parameters(&started) {
        let expected = if tensor.path.starts_with("head.") { &own } else { &from };
        assert_eq!(&tensor, of(expected, &tensor.path));
    }
}

#[test]
fn names_are_those_of_the_map() {
    let file = to_safetensors(&model("mlp:6,5", 4, 1)).unwrap();
    let same = init_from(model("mlp:6,5", 4, 2), &file, &TensorNames::default()).unwrap();
    assert_eq!(parameters(&same), parameters(&model("mlp:6,5", 4, 1)));

    // The second hidden layer of 6 units from the first of another network; `hidden.1` is not the start of
    // `hidden.10`.
    let file = to_safetensors(&model("mlp:64,6", 4, 1)).unwrap();
    let moved = names(&[("hidden.1", "hidden.0")], &["hidden.0", "head"], &["head"]);
    let started = init_from(model("mlp:6", 4, 2), &file, &moved).unwrap();
    let from = parameters(&model("mlp:64,6", 4, 1));
    assert_eq!(of(&parameters(&started), "hidden.0.weight").values, of(&from, "hidden.1.weight").values);

    let shapes = tensors_of(&file).unwrap();
    assert_eq!(shapes[0], ("head.bias".to_owned(), vec![4]));
}

#[test]
fn what_is_left_over_on_either_side_is_refused_by_name() {
    let file = to_safetensors(&model("mlp:6,5", 4, 1)).unwrap();
    let start = |name: &str, classes, names: TensorNames| init_from(model(name, classes, 2), &file, &names);
    let unused = start("mlp:6", 4, names(&[], &["head"], &["head"])).unwrap_err();
    assert_eq!(unused, ModelError::UnknownTensor { path: "hidden.1.bias".to_owned() });
    let missing = start("mlp:6,5,5", 4, TensorNames::default()).unwrap_err();
    assert_eq!(missing, ModelError::MissingTensor { path: "hidden.2.weight".to_owned() });
    let shape = start("mlp:6,5", 7, TensorNames::default()).unwrap_err();
    assert!(matches!(shape, ModelError::WrongShape { .. }), "{shape}");
    let twice = start("mlp:6,5", 4, names(&[("hidden.1", "hidden.0")], &[], &[])).unwrap_err();
    assert!(matches!(twice, ModelError::SameTensor { .. }), "{twice}");
    assert!(matches!(
        init_from(model("mlp:6", 4, 2), &file[..file.len() / 2], &TensorNames::default()),
        Err(ModelError::DamagedFile { .. })
    ));
}
