//! Features are those of timm, torchvision and transformers.

use mentor_backbone::{ARCHITECTURES, Architecture, Backbone, Layout, tensor_shapes};
use serde::Deserialize;

use crate::made_weights::{digest, file, noise};

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    architecture: String,
    layout: String,
    size: [usize; 2],
    gain: f64,
    num_tensors: usize,
    names_digest: String,
    norms: [f64; 2],
    values: [Vec<f64>; 2],
}

/// How far features may be from those of the reference, in parts of the features' root mean square.
const TOLERANCE: f64 = 1e-4;

fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reference/golden/backbones.json");
    let golden: Golden = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    golden.cases
}

/// The names of transformers' files have a prefix where the file has a head.
fn listed(case: &Case) -> Vec<(String, Vec<usize>)> {
    let architecture = Architecture::find(&case.architecture).unwrap();
    let layout = Layout::find(&case.layout).unwrap();
    let prefix = match (layout, case.architecture.as_str()) {
        (Layout::HuggingFace, name) if name.starts_with("resnet") => "resnet.",
        (Layout::HuggingFace, "tf-mobilenetv2") => "mobilenet_v2.",
        (Layout::HuggingFace, name) if name.starts_with("vit") => "vit.",
        _ => "",
    };
    let with_prefix = |(name, shape): (String, Vec<usize>)| match name.starts_with("classifier") {
        true => (name, shape),
        false => (format!("{prefix}{name}"), shape),
    };
    tensor_shapes(architecture, layout).into_iter().map(with_prefix).collect()
}

fn check(case: &Case) -> Result<(), String> {
    let name = format!("{} of {}", case.architecture, case.layout);
    let shapes = listed(case);
    let mut lines: Vec<String> = shapes
        .iter()
        .map(|(name, shape)| {
            let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
            format!("{name}:{}\n", shape.join(","))
        })
        .collect();
    lines.sort();
    if format!("{:016x}", digest(&lines.concat())) != case.names_digest {
        return Err(format!(
            "{name}: names differ, {} of {}: {}",
            lines.len(),
            case.num_tensors,
            lines.concat()
        ));
    }
    // By which weights of the authors are known from timm's.
    let mask = (case.layout == "dinov2").then(|| ("mask_token".to_owned(), vec![1, 384]));
    let tensors = shapes.into_iter().chain(mask).map(|(name, shape)| {
        let values = crate::made_weights::weight(&name, &shape, case.gain);
        (name, shape, values)
    });
    let file = crate::made_weights::of(tensors);
    let backbone =
        Backbone::from_bytes(&file, Some(&case.architecture)).map_err(|error| error.to_string())?;
    assert_eq!(backbone.layout.name(), case.layout, "{name}");
    assert_eq!(backbone.num_used, case.num_tensors, "{name}");
    let [height, width] = case.size;
    let pixels: Vec<f32> = noise("images", 2 * height * width * 3).iter().map(|value| 2.0 * value).collect();
    let features = backbone.network.features(&pixels, case.size);
    let count = backbone.network.num_features();
    for (image, row) in features.chunks(count).enumerate() {
        let norm = row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        let rms = case.norms[image] / (count as f64).sqrt();
        let norm_error = (norm / case.norms[image] - 1.0).abs();
        let found = row.iter().step_by(count / 8).take(8);
        let apart =
            found.zip(&case.values[image]).map(|(&found, &value)| (f64::from(found) - value).abs() / rms);
        let errors: Vec<f64> = std::iter::once(norm_error).chain(apart).collect();
        // A NaN is below nothing.
        if !errors.iter().all(|error| *error < TOLERANCE) {
            return Err(format!("{name}: norm and values of image {image} differ by {errors:?}"));
        }
    }
    Ok(())
}

#[test]
fn features_of_every_network_and_layout_are_those_of_its_library() {
    let cases = cases();
    assert!(cases.len() >= 40, "{}", cases.len());
    let failed: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    for known in &ARCHITECTURES {
        // DINO's ViT-S/16 is DeiT's.
        let is_tried = cases.iter().any(|case| case.architecture == known.name);
        assert!(is_tried || known.name == "dino-vit-s16", "{} has no golden case", known.name);
    }
}

#[test]
fn what_no_tensor_shows_is_decided_by_name_and_changes_the_features() {
    let plain = Architecture::find("efficientnet-lite0").unwrap();
    let file = file(plain, Layout::Timm, 1.0);
    let pixels = noise("images", 63 * 80 * 3);
    let features = ["efficientnet-lite0", "tf-efficientnet-lite0"].map(|name| {
        let backbone = Backbone::from_bytes(&file, Some(name)).unwrap();
        assert_eq!(backbone.architecture.name, name);
        backbone.network.features(&pixels, [63, 80])
    });
    let norm = features[0].iter().map(|value| value * value).sum::<f32>().sqrt();
    let apart = features[0].iter().zip(&features[1]).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
    assert!(apart > 1e-2 * norm, "{apart} of {norm}");
    let error = Backbone::from_bytes(&file, Some("resnet-18")).err().unwrap().to_string();
    assert_eq!(error, "its tensors are of efficientnet-lite0 or tf-efficientnet-lite0, not of resnet-18");
}

#[test]
fn numbers_of_parameters_are_those_of_the_tensors() {
    for known in &ARCHITECTURES {
        let layout = if known.name == "tf-mobilenetv2" { Layout::HuggingFace } else { Layout::Timm };
        let is_param = |name: &str| {
            let heads = ["fc.", "classifier.", "head."];
            !name.contains("running_") && !heads.iter().any(|head| name.starts_with(head))
        };
        let shapes = tensor_shapes(known, layout);
        let count: usize = shapes
            .iter()
            .filter(|(name, _)| is_param(name))
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum();
        assert_eq!(count, known.num_params, "{}", known.name);
        let backbone = Backbone::from_bytes(&file(known, layout, 1.0), Some(known.name)).unwrap();
        assert_eq!(backbone.network.num_features(), known.num_features, "{}", known.name);
    }
}

#[test]
fn features_have_the_same_bits_for_any_number_of_threads_and_any_batch() {
    for name in ["efficientnet-b0", "resnet-18", "vit-tiny"] {
        let file = file(Architecture::find(name).unwrap(), Layout::Timm, 1.0);
        let backbone = Backbone::from_bytes(&file, Some(name)).unwrap();
        let size = [64, 64];
        let pixels = noise("images", 7 * 64 * 64 * 3);
        let all = backbone.network.features(&pixels, size);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(pool.install(|| backbone.network.features(&pixels, size)), all, "{name}");
        let one = backbone.network.features(&pixels[5 * 64 * 64 * 3..6 * 64 * 64 * 3], size);
        let count = backbone.network.num_features();
        assert_eq!(one, all[5 * count..6 * count], "{name}");
    }
}
