//! Shapes, sizes and first values.

use burn::module::Module;
use burn::tensor::Device;
use mentor_model::{Head, Model, ModelError, ModelSpec, Pass, catalogue, parameters, weights_blake3};

use crate::{SMALL, assert_close, build, host, images};

#[test]
fn every_family_takes_small_gray_and_colour_images() {
    let device = Device::flex();
    for input in [[1, 8, 8], [1, 28, 28], [3, 32, 32], [3, 9, 13]] {
        for name in SMALL {
            if name.starts_with("vit") && input[1] % 4 != 0 {
                continue;
            }
            let model = build(name, input, &device);
            let embeddings = model.embeddings(images(&[0, 1], input, &device), &Pass::Inference);
            let scores = model.scores(images(&[0, 1], input, &device), &Pass::Inference);
            let dim = match name {
                "linear" => input.iter().product(),
                "mlp:24,12" => 12,
                "cnn" => 256,
                "resnet-8" | "vit-4-64-1" => 64,
                "resnet-18" => 512,
                _ => 128,
            };
            assert_eq!(embeddings.dims(), [2, dim], "{name} {input:?}");
            assert_eq!(scores.dims(), [2, 10], "{name} {input:?}");
            assert!(host(scores).iter().all(|score| score.is_finite()), "{name} {input:?}");
        }
    }
}

#[test]
fn large_images_take_the_published_stem() {
    let device = Device::flex();
    let model = build("resnet-18", [3, 64, 64], &device);
    let paths: Vec<(String, Vec<usize>)> =
        parameters(&model).into_iter().map(|tensor| (tensor.path, tensor.shape)).collect();
    assert_eq!(paths[0], ("stem.weight".to_string(), vec![64, 3, 7, 7]));
    let embeddings = model.embeddings(images(&[0], [3, 64, 64], &device), &Pass::Inference);
    assert_eq!(embeddings.dims(), [1, 512]);
}

/// A block of 192 values a token: two norms, 192 to 576, 192 to 192, 192 to 768 and back.
const VIT_BLOCK: usize = 2 * 384 + 193 * 576 + 193 * 192 + 193 * 768 + 769 * 192;

#[test]
fn parameter_counts_are_the_published_ones() {
    for (name, input, num_classes, expected) in [
        ("linear", [1, 28, 28], 10, 7_850),
        ("mlp:800,800", [1, 28, 28], 10, 1_276_810),
        ("mlp:1200,1200", [1, 28, 28], 10, 2_395_210),
        ("cnn", [1, 28, 28], 10, 320 + 18_496 + 73_856 + 6_272 * 256 + 256 + 2_570),
        ("cnn:wide", [1, 28, 28], 10, 640 + 73_856 + 295_168 + 12_544 * 512 + 512 + 5_130),
        // He et al. 2016, table 6: 0.27 M, 0.46 M, 0.66 M, 0.85 M, 1.7 M.
        ("resnet-20", [3, 32, 32], 10, 269_722),
        ("resnet-32", [3, 32, 32], 10, 464_154),
        ("resnet-44", [3, 32, 32], 10, 658_586),
        ("resnet-56", [3, 32, 32], 10, 853_018),
        ("resnet-110", [3, 32, 32], 10, 1_727_962),
        // torchvision's, and the usual form for 32x32 images.
        ("resnet-18", [3, 224, 224], 1000, 11_689_512),
        ("resnet-34", [3, 224, 224], 1000, 21_797_672),
        ("resnet-18", [3, 32, 32], 10, 11_173_962),
        // Zagoruyko and Komodakis 2016, table 4: 0.6 M for 40-1, 36.5 M for 28-10; 0.7 M for 16-2 in table 7.
        ("wrn-40-1", [3, 32, 32], 10, 563_930),
        ("wrn-16-2", [3, 32, 32], 10, 691_674),
        ("wrn-16-2", [3, 32, 32], 100, 703_284),
        ("wrn-28-10", [3, 32, 32], 10, 36_479_194),
        // Patches, positions, four blocks of (norm, qkv, projection, norm, two layers), norm, classifier.
        ("vit", [3, 32, 32], 10, 49 * 192 + 64 * 192 + 4 * VIT_BLOCK + 384 + 1_930),
        ("vit-4-192-4", [1, 28, 28], 10, 17 * 192 + 49 * 192 + 4 * VIT_BLOCK + 384 + 1_930),
        // DeiT-Ti has 5,717,416 with a class token, its position and a classifier of 1000.
        ("vit-16-192-12", [3, 224, 224], 1000, 5_717_416 - 2 * 192),
    ] {
        let model = Model::new(&ModelSpec::new(name, input, num_classes), 0, &Device::flex()).unwrap();
        assert_eq!(model.num_params(), expected, "{name}");
    }
}

#[test]
fn the_count_is_that_of_the_trainable_tensors() {
    for name in SMALL {
        let model = build(name, [1, 8, 8], &Device::flex());
        let trainable = parameters(&model).into_iter().filter(|tensor| tensor.trainable);
        let count: usize = trainable.map(|tensor| tensor.values.len()).sum();
        assert_eq!(model.num_params(), count, "{name}");
        assert_eq!(Module::num_params(&model), count, "{name}");
    }
}

#[test]
fn weights_alone_are_penalised() {
    for tensor in parameters(&build("wrn-10-2", [1, 8, 8], &Device::flex())) {
        let normalisation = tensor.path.contains("norm");
        let expected = tensor.path.ends_with(".weight");
        assert_eq!(tensor.is_penalised(), expected, "{}", tensor.path);
        assert_eq!(tensor.trainable, !tensor.path.contains("running_"), "{}", tensor.path);
        assert!(!(normalisation && expected), "{}", tensor.path);
    }
}

#[test]
fn paths_are_unique_stable_and_those_of_burn() {
    let paths: Vec<String> = parameters(&build("mlp:24,12", [1, 8, 8], &Device::flex()))
        .into_iter()
        .map(|tensor| tensor.path)
        .collect();
    let expected =
        ["hidden.0.weight", "hidden.0.bias", "hidden.1.weight", "hidden.1.bias", "head.weight", "head.bias"];
    assert_eq!(paths, expected);
    for name in SMALL {
        let mut paths: Vec<String> = parameters(&build(name, [1, 8, 8], &Device::flex()))
            .into_iter()
            .map(|tensor| tensor.path)
            .collect();
        let count = paths.len();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), count, "{name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_others() {
    let device = Device::flex();
    for name in SMALL {
        let spec = ModelSpec::new(name, [1, 8, 8], 10);
        let hash = |seed, device: &Device| weights_blake3(&Model::new(&spec, seed, device).unwrap());
        assert_eq!(hash(3, &device), hash(3, &Device::flex().autodiff()), "{name}");
        if name != "linear" {
            assert_ne!(hash(3, &device), hash(4, &device), "{name}");
        }
    }
}

#[test]
fn the_linear_classifier_starts_at_zero_and_computes_x_w_plus_b() {
    let device = Device::flex();
    let model = build("linear", [1, 8, 8], &device);
    let images = images(&[0, 1], [1, 8, 8], &device);
    assert_eq!(host(model.scores(images.clone(), &Pass::Inference)), [0.0; 20]);
    assert_eq!(host(model.embeddings(images.clone(), &Pass::Inference)), host(images));
}

#[test]
fn mlp_is_that_of_a_plain_oracle() {
    let device = Device::flex();
    let model = build("mlp:24,12", [1, 8, 8], &device);
    let tensors = parameters(&model);
    let dense = |input: &[f64], weight: usize| -> Vec<f64> {
        let (weights, bias) = (&tensors[weight].values, &tensors[weight + 1].values);
        let outputs = bias.len();
        (0..outputs)
            .map(|output| {
                let products =
                    input.iter().enumerate().map(|(row, x)| x * f64::from(weights[row * outputs + output]));
                products.sum::<f64>() + f64::from(bias[output])
            })
            .collect()
    };
    let relu = |values: Vec<f64>| -> Vec<f64> { values.into_iter().map(|value| value.max(0.0)).collect() };
    let image = images(&[7], [1, 8, 8], &device);
    let pixels: Vec<f64> = host(image.clone()).into_iter().map(f64::from).collect();
    let embeddings = relu(dense(&relu(dense(&pixels, 0)), 2));
    let scores = dense(&embeddings, 4);
    let narrow = |values: Vec<f64>| -> Vec<f32> { values.into_iter().map(|value| value as f32).collect() };

    let found = model.embeddings(image.clone(), &Pass::Inference);
    assert_close(&host(found), &narrow(embeddings), 1e-5);
    assert_close(&host(model.scores(image, &Pass::Inference)), &narrow(scores), 1e-5);
}

#[test]
fn a_copy_for_inference_agrees_and_has_no_autodiff() {
    let device = Device::flex().autodiff();
    for name in SMALL {
        let model = build(name, [1, 8, 8], &device);
        let tracked = model.scores(images(&[0, 1], [1, 8, 8], &device), &Pass::Inference);
        let plain = model.inference().scores(images(&[0, 1], [1, 8, 8], &Device::flex()), &Pass::Inference);
        assert!(!plain.is_autodiff());
        assert_eq!(host(tracked), host(plain), "{name}");
    }
}

#[test]
fn every_example_of_the_catalogue_can_be_built_and_counted() {
    for name in catalogue().iter().flat_map(|family| family.examples) {
        assert!(build(name, [3, 32, 32], &Device::flex()).num_params() > 0, "{name}");
    }
}

#[test]
fn an_absurd_network_is_refused_before_it_is_allocated() {
    let spec = ModelSpec::new("mlp:1000000,1000000", [3, 65_536, 65_536], 1000);
    let error = Model::new(&spec, 0, &Device::flex()).unwrap_err();
    assert!(matches!(error, ModelError::TooLarge { .. }), "{error}");
}

#[test]
fn an_embedding_head_gives_points_of_the_unit_sphere_from_the_start() {
    let device = Device::flex();
    for name in SMALL {
        let head = Head::Embedding { size: 5, unit_norm: true };
        let spec = ModelSpec { head, ..ModelSpec::new(name, [1, 8, 8], 10) };
        let model = Model::new(&spec, 0, &device).unwrap();
        let embeddings = model.embeddings(images(&[0, 1], [1, 8, 8], &device), &Pass::Inference);
        let rows = host(embeddings);
        for row in rows.chunks_exact(5) {
            let norm: f32 = row.iter().map(|value| value * value).sum();
            assert!((norm - 1.0).abs() < 1e-5, "{name} {row:?}");
        }
        assert_ne!(rows[..5], rows[5..], "{name}: two images are one point");
    }
}
