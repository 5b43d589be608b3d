//! A pretrained network is trained after its head: cut off anywhere, the weights are the same, and the run is
//! a run like any other.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use mentor_backbone::{Architecture, ConvNet, Layout, tensor_shapes};
use mentor_run::{Summary, TrainEvent};
use mentor_train::{Outcome, TrainedModel};
use safetensors::{Dtype, tensor::TensorView};

use crate::resume::without_seconds;
use crate::runs::{complete, run, run_until};

/// A MobileNetV2 with made-up weights for images of 32 pixels.
fn weights(folder: &Path) {
    let network = Architecture::find("mobilenetv2").unwrap();
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = tensor_shapes(network, Layout::Timm)
        .into_iter()
        .map(|(name, shape)| {
            let fan = shape[1..].iter().product::<usize>() as f32;
            let (middle, reach) = match shape.len() {
                1 if name.ends_with("weight") || name.ends_with("running_var") => (1.0, 0.25),
                1 => (0.0, 0.125),
                _ => (0.0, (4.5 / fan).sqrt()),
            };
            let value = |index: usize| middle + reach * ((index * 7919 % 1009) as f32 / 504.0 - 1.0);
            let values = (0..shape.iter().product()).flat_map(|index| value(index).to_le_bytes());
            (name, shape, values.collect())
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    fs::write(folder.join("net.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    let config = r#"{"architecture": "mobilenetv2_100", "pretrained_cfg": {"input_size": [3, 32, 32]}}"#;
    fs::write(folder.join("config.json"), config).unwrap();
}

/// Two classes of bright and dark pictures.
fn pictures(folder: &Path) {
    for (class, brightness) in [("dark", 40), ("light", 200)] {
        fs::create_dir_all(folder.join(class)).unwrap();
        for index in 0..6_usize {
            let pixel = |at: usize| (brightness + (at * 31 + index * 17) % 50) as u8;
            let pixels: Vec<u8> = (0..32 * 32 * 3).map(pixel).collect();
            let png = mentor_testkit::tiny::png(32, 32, 3, &pixels);
            fs::write(folder.join(class).join(format!("{index}.png")), png).unwrap();
        }
    }
}

fn plan(folder: &Path, more: &str) -> String {
    let (photos, net) = (folder.join("photos"), folder.join("net.safetensors"));
    format!(
        "data = {{ source = '{}', options = {{ val_fraction = 0.3, test_fraction = 0.0 }} }}\n\
         model = {{ backbone = '{}', fine_tune = 3{more} }}\n\
         optimizer = {{ batch_size = 4, learning_rate = 1e-3 }}\ntraining.min_updates = 0",
        photos.display(),
        net.display()
    )
}

fn without_clock(out: &Path, summary: &Summary) -> (Summary, Vec<mentor_run::MetricsLine>) {
    let (mut summary, lines) = without_seconds(out, summary);
    summary.features_secs = None;
    (summary, lines)
}

#[test]
fn interrupted_anywhere_all_layers_end_in_the_same_weights() {
    let dir = tempfile::tempdir().unwrap();
    weights(dir.path());
    pictures(&dir.path().join("photos"));
    let text = plan(dir.path(), "");
    let whole = dir.path().join("whole");
    let (outcome, events) = run(&text, &whole);
    let Outcome::Complete(expected) = outcome.unwrap() else { panic!("it is not interrupted") };
    let said = |text: &str| {
        events.iter().any(|event| matches!(event, TrainEvent::Stage(said) if said.contains(text)))
    };
    assert!(said("features of 12 images by mobilenetv2") && said("cross-validation"));
    assert!(said("the weights of the last epoch are kept"));
    assert_eq!(expected.backbone.as_ref().unwrap().architecture, "mobilenetv2");
    assert!(expected.features_secs.is_some() && expected.val_accuracy_interval.is_some());
    assert_eq!((expected.epochs, expected.best_epoch), (3, 3));
    for steps in [1, expected.steps - 1] {
        let out = dir.path().join(format!("cut-{steps}"));
        assert_eq!(run_until(&text, &out, steps).0.unwrap(), Outcome::Interrupted { step: Some(steps) });
        let summary = complete(&text, &out);
        assert_eq!(without_clock(&out, &summary), without_clock(&whole, &expected), "cut at {steps}");
    }

    // The run needs nothing beside it.
    fs::remove_file(dir.path().join("net.safetensors")).unwrap();
    let model = TrainedModel::load(&whole, &Device::flex()).unwrap();
    assert_eq!(model.file.spec.architecture, "fine-tuned:mobilenetv2");
    let image = |value: u8| vec![value; 3 * 32 * 32];
    assert_eq!(model.scores(&[image(30), image(220)]).unwrap().values.len(), 4);
    assert_eq!(model.file.backbone, expected.backbone);
}

#[test]
fn frozen_stages_keep_their_weights_and_unknown_ones_are_refused_before_the_run() {
    let dir = tempfile::tempdir().unwrap();
    weights(dir.path());
    pictures(&dir.path().join("photos"));
    let parameters = |more: &str, name: &str| {
        let out = dir.path().join(name);
        complete(&plan(dir.path(), more), &out);
        mentor_model::parameters(&TrainedModel::load(&out, &Device::flex()).unwrap().model)
    };
    let (free, frozen) = (parameters("", "free"), parameters(", freeze = ['stem', '1', '2']", "frozen"));
    let differ = |prefix: &str| {
        let both = free.iter().zip(&frozen).filter(|(own, _)| own.path.starts_with(prefix));
        both.filter(|(own, other)| own.values != other.values).count()
    };
    assert!(differ("stem") > 0 && differ("stages.1.") > 0 && differ("head") > 0);
    let bytes = fs::read(dir.path().join("net.safetensors")).unwrap();
    let net = ConvNet::from_bytes(&bytes, Architecture::find("mobilenetv2").unwrap()).unwrap();
    let values = |path: &str| &frozen.iter().find(|tensor| tensor.path == path).unwrap().values;
    assert_eq!(values("stem.body.0.weight"), &net.stem.body[0].filters.weights);
    assert_eq!(values("stages.1.0.body.0.bias"), &net.stages[1][0].body[0].filters.bias);
    assert_ne!(values("stages.2.0.body.0.bias"), &net.stages[2][0].body[0].filters.bias);

    let out = dir.path().join("refused");
    let (outcome, _) = run(&plan(dir.path(), ", freeze = ['9']"), &out);
    assert!(outcome.unwrap_err().to_string().contains("freeze names stage 9") && !out.exists());
}
