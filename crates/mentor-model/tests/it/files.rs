//! Weights in and out.

use burn::tensor::Device;
use mentor_model::{
    Model, ModelError, ModelSpec, Noise, Pass, load_safetensors, parameters, to_safetensors, weights_blake3,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{SMALL, build, host, images};

const INPUT: [usize; 3] = [1, 8, 8];

fn trained(name: &str) -> Model {
    let device = Device::flex();
    let model = build(name, INPUT, &device);
    let noise = Noise { seed: 0, draw: 0, samples: &[0, 1, 2] };
    model.scores(images(&[0, 1, 2], INPUT, &device), &Pass::Training(&noise));
    model
}

fn fresh(name: &str) -> Model {
    Model::new(&ModelSpec::new(name, INPUT, 10), 99, &Device::flex()).unwrap()
}

/// The file with one tensor changed, and re-encoded.
fn edited(bytes: &[u8], change: impl Fn(&mut String, &mut Dtype, &mut Vec<usize>, &mut Vec<u8>)) -> Vec<u8> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut tensors = Vec::new();
    for (path, view) in file.iter() {
        let (mut path, mut dtype) = (path.to_string(), view.dtype());
        let (mut shape, mut data) = (view.shape().to_vec(), view.data().to_vec());
        change(&mut path, &mut dtype, &mut shape, &mut data);
        tensors.push((path, dtype, shape, data));
    }
    let views = tensors
        .iter()
        .map(|(path, dtype, shape, data)| (path, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn a_file_restores_every_bit_running_statistics_included() {
    for name in SMALL {
        let model = trained(name);
        let bytes = to_safetensors(&model).unwrap();
        for device in [Device::flex(), Device::flex().autodiff()] {
            let other = Model::new(&ModelSpec::new(name, INPUT, 10), 99, &device).unwrap();
            let loaded = load_safetensors(other, &bytes).unwrap();
            assert_eq!(parameters(&loaded), parameters(&model), "{name}");
            assert_eq!(weights_blake3(&loaded), weights_blake3(&model), "{name}");
            assert_eq!(to_safetensors(&loaded).unwrap(), bytes, "{name}");
            let scores = |model: &Model| host(model.scores(images(&[5], INPUT, &device), &Pass::Inference));
            assert_eq!(scores(&loaded), scores(&model), "{name}");
        }
    }
}

#[test]
fn the_file_is_sorted_and_holds_what_its_readers_expect() {
    let bytes = to_safetensors(&trained("wrn-10-2")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let stem = file.tensor("stem.weight").unwrap();
    assert_eq!((stem.dtype(), stem.shape()), (Dtype::F32, &[16, 1, 3, 3][..]));
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let in_order = header.offset_keys();
    assert!(in_order.is_sorted(), "{in_order:?}");
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let bytes = to_safetensors(&trained("linear")).unwrap();
    for length in (0..bytes.len()).step_by(37) {
        let error = load_safetensors(fresh("linear"), &bytes[..length]).unwrap_err();
        assert!(matches!(error, ModelError::DamagedFile { .. }), "{length}: {error}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(load_safetensors(fresh("linear"), &longer), Err(ModelError::DamagedFile { .. })));
    assert!(matches!(load_safetensors(fresh("linear"), &[255; 64]), Err(ModelError::DamagedFile { .. })));
}

#[test]
fn a_file_of_another_model_is_refused_by_name() {
    let bytes = to_safetensors(&trained("mlp:24,12")).unwrap();
    let error = load_safetensors(fresh("mlp:24,13"), &bytes).unwrap_err().to_string();
    assert_eq!(error, "tensor `hidden.1.weight` has shape [24, 12] in the file and [24, 13] in the model");
    let error = load_safetensors(fresh("mlp:24,12,5"), &bytes).unwrap_err().to_string();
    assert!(error.contains("no tensor `hidden.2.weight`"), "{error}");
    let error = load_safetensors(fresh("linear"), &to_safetensors(&trained("cnn")).unwrap()).unwrap_err();
    assert!(matches!(error, ModelError::WrongShape { .. }), "{error}");
    let extra = edited(&bytes, |path, _, _, _| {
        if path == "head.bias" {
            *path = "head.offset".into();
        }
    });
    let error = load_safetensors(fresh("mlp:24,12"), &extra).unwrap_err().to_string();
    assert!(error.contains("no tensor `head.bias`"), "{error}");
    let error = load_safetensors(fresh("linear"), &bytes_with_extra()).unwrap_err().to_string();
    assert!(error.contains("`unknown`, which the model lacks"), "{error}");
}

fn bytes_with_extra() -> Vec<u8> {
    let zeros = vec![0u8; 4 * 640];
    let views = [("head.bias", vec![10]), ("head.weight", vec![64, 10]), ("unknown", vec![2])];
    let views = views.into_iter().map(|(path, shape)| {
        let length = 4 * shape.iter().product::<usize>();
        (path, TensorView::new(Dtype::F32, shape, &zeros[..length]).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn values_that_no_trained_network_holds_are_refused() {
    let bytes = to_safetensors(&trained("wrn-10-2")).unwrap();
    for (target, value) in [
        ("head.weight", f32::NAN),
        ("stem.weight", f32::INFINITY),
        ("norm.running_mean", f32::NEG_INFINITY),
        ("norm.running_var", -0.5),
    ] {
        let damaged = edited(&bytes, |path, _, _, data| {
            if path == target {
                data[4..8].copy_from_slice(&value.to_le_bytes());
            }
        });
        let error = load_safetensors(fresh("wrn-10-2"), &damaged).unwrap_err();
        assert!(
            matches!(&error, ModelError::InvalidValue { path, position: 1, .. } if path == target),
            "{error}"
        );
    }
    let other_type = edited(&bytes, |path, dtype, _, _| {
        if path == "norm.beta" {
            *dtype = Dtype::I32;
        }
    });
    let error = load_safetensors(fresh("wrn-10-2"), &other_type).unwrap_err().to_string();
    assert_eq!(error, "tensor `norm.beta` is stored as I32, only F32 is read");
}

#[test]
fn the_hash_sees_a_single_bit() {
    let model = trained("linear");
    let bytes = to_safetensors(&model).unwrap();
    let flipped = edited(&bytes, |path, _, _, data| {
        if path == "head.bias" {
            data[0] ^= 1;
        }
    });
    let other = load_safetensors(fresh("linear"), &flipped).unwrap();
    assert_ne!(weights_blake3(&other), weights_blake3(&model));
}
