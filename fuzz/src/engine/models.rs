//! What makes a model: a configuration, weights, `model.json`, checkpoints.

use std::collections::HashMap;
use std::fs;
use std::sync::OnceLock;

use burn::tensor::{Device, Tensor};
use mentor_model::{Model, ModelSpec, Pass, load_safetensors, to_safetensors};
use mentor_run::Config;
use mentor_train::{Execution, Plan, TrainedModel, train};
use safetensors::SafeTensors;

use crate::parsers::place::{folder, put};

/// A configuration to a plan. A plan is its own configuration's.
pub fn plan(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(plan) = Config::from_toml(text, "config.toml", &[]).map(Plan::try_from) else { return };
    match plan {
        Ok(plan) => {
            let config = plan.to_config();
            let again = Plan::try_from(config.clone()).expect("what is resolved is right");
            assert_eq!(again.to_config().to_toml(), config.to_toml());
        }
        Err(error) => drop(error.to_string()),
    }
}

/// The weights of two networks. What is read is written as it was.
pub fn weights(bytes: &[u8]) {
    static MODELS: OnceLock<Vec<Model>> = OnceLock::new();
    let models = MODELS.get_or_init(|| {
        let model = |name| Model::new(&ModelSpec::new(name, [1, 4, 4], 2), 0, &Device::flex());
        ["linear", "mlp:2"].map(|name| model(name).expect("a known name")).into()
    });
    for model in models {
        if let Ok(model) = load_safetensors(model.clone(), bytes) {
            let written = to_safetensors(&model).expect("a model of this crate");
            let again = load_safetensors(model, &written).expect("what mentor wrote");
            assert_eq!(to_safetensors(&again).expect("a model of this crate"), written);
        }
    }
}

/// The description beside the weights of a linear classifier.
pub fn model_json(bytes: &[u8]) {
    let place = folder("model_json", |place| {
        put(&place.join("config.toml"), b"");
        put(&place.join("model.safetensors"), include_bytes!("../../seeds/weights/linear"));
    });
    put(&place.join("model.json"), bytes);
    let device = Device::flex();
    if let Ok(trained) = TrainedModel::load(&place, &device) {
        let [channels, height, width] = trained.file.spec.input;
        let scores =
            trained.model.scores(Tensor::zeros([2, channels, height, width], &device), &Pass::Inference);
        assert_eq!(scores.dims(), [2, trained.file.classes.len()]);
    }
}

/// The only checkpoint of a run, which goes on from it or refuses it. An odd first byte makes its checksum
/// right.
pub fn checkpoint(bytes: &[u8]) {
    let Some((&kind, checkpoint)) = bytes.split_first() else { return };
    let place = folder("checkpoint", |place| {
        put(&place.join("data.npz"), include_bytes!("../../seeds/npz/training"))
    });
    let out = place.join("run");
    let _ = fs::remove_dir_all(&out);
    let text = include_str!("../../seeds/plan/checkpoint");
    let mut config = Config::from_toml(text, "config.toml", &[]).expect("a seed is whole");
    config.data.source = place.join("data.npz").to_str().map(str::to_owned);
    let plan = Plan::try_from(config).expect("a seed is whole");
    fs::create_dir_all(out.join("checkpoints")).expect("a folder");
    put(&out.join("config.toml"), plan.to_config().to_toml().as_bytes());
    let sealed = if kind & 1 == 0 { None } else { seal(checkpoint) };
    let name = mentor_run::checkpoint_name(2);
    put(&out.join("checkpoints").join(name), sealed.as_deref().unwrap_or(checkpoint));
    let _ = train(&plan, &out, &Execution::new(&Device::flex()));
}

/// The file with the checksum that belongs to it, if it is one of the format.
fn seal(bytes: &[u8]) -> Option<Vec<u8>> {
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let mut metadata: HashMap<String, String> = header.metadata().clone()?;
    let file = SafeTensors::deserialize(bytes).ok()?;
    let mut views = file.tensors();
    views.sort_by(|left, right| left.0.cmp(&right.0));
    let mut hasher = blake3::Hasher::new();
    hasher.update(metadata.get("progress")?.as_bytes());
    for (name, view) in &views {
        hasher.update(name.as_bytes()).update(format!("{:?}", view.shape()).as_bytes()).update(view.data());
    }
    metadata.insert("blake3".to_owned(), hasher.finalize().to_hex().to_string());
    safetensors::serialize(views, Some(metadata)).ok()
}
