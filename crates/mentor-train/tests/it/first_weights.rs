//! Training from given weights, and with parameters that are held fixed.

use std::path::Path;

use burn::tensor::Device;
use mentor_model::{NamedTensor, parameters};
use mentor_run::TrainEvent;
use mentor_train::{LoadError, Outcome, TrainError, TrainedModel};

use crate::runs::{complete, plan, run, run_until};

const FIRST: &str = "data.source = 'digits'\nmodel.name = 'mlp:16,12'\ntraining.epochs = 2";

/// The same network on the same data from the weights of `from`, its first layer fixed.
fn tuned(from: &Path) -> String {
    let model = format!("name = 'mlp:16,12', init_from = {from:?}, freeze = ['hidden.0']");
    format!("data.source = 'digits'\nmodel = {{ {model} }}\ntraining = {{ epochs = 2, seed = 3, ema = 0.9 }}")
}

fn tensors(run: &Path) -> Vec<NamedTensor> {
    parameters(&TrainedModel::load(run, &Device::flex()).unwrap().model)
}

fn warnings(events: &[TrainEvent]) -> Vec<&str> {
    let warnings = events.iter().filter_map(|event| match event {
        TrainEvent::Warning(text) => Some(text.as_str()),
        _ => None,
    });
    warnings.collect()
}

#[test]
fn a_run_starts_from_the_weights_of_another_and_leaves_fixed_ones_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second, file, cut] = ["a", "b", "c", "d"].map(|name| dir.path().join(name));
    complete(FIRST, &first);
    let text = tuned(&first);
    let (outcome, events) = run(&text, &second);
    let Outcome::Complete(expected) = outcome.unwrap() else { panic!() };
    assert!(warnings(&events).is_empty(), "{:?}", warnings(&events));
    for (before, after) in tensors(&first).iter().zip(&tensors(&second)) {
        assert_eq!(before == after, before.path.starts_with("hidden.0."), "{}", before.path);
    }
    // The file of the weights is the same as the run, and a run that was cut off ends as one that was not.
    let of_file = complete(&text.replace("/a\"", "/a/model.safetensors\""), &file);
    assert_eq!(of_file.weights_blake3, expected.weights_blake3);
    let (outcome, _) = run_until(&text, &cut, expected.steps / 2);
    assert!(matches!(outcome.unwrap(), Outcome::Interrupted { .. }));
    assert_eq!(complete(&text, &cut).weights_blake3, expected.weights_blake3);
}

#[test]
fn the_head_begins_anew_if_the_classes_are_others_and_it_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let (first, images) = (dir.path().join("a"), dir.path().join("images"));
    complete(FIRST, &first);
    for (class, bright) in [("dark", 20), ("light", 220)] {
        std::fs::create_dir_all(images.join(class)).unwrap();
        for index in 0..20_u8 {
            let pixels = [b"P5 8 8 255 ".as_slice(), &[bright + index; 64]].concat();
            std::fs::write(images.join(class).join(format!("{index}.pgm")), pixels).unwrap();
        }
    }
    let text = tuned(&first).replace("'digits'", &format!("{images:?}"));
    let (outcome, events) = run(&text, &dir.path().join("b"));
    outcome.unwrap();
    let told = warnings(&events).join("\n");
    assert!(told.contains("tells 10 classes apart, and the data has 2: the head begins"), "{told}");
    let after = tensors(&dir.path().join("b"));
    assert_eq!(after[0], tensors(&first)[0]);
    assert_eq!(after.iter().find(|tensor| tensor.path == "head.weight").unwrap().shape, [12, 2]);
    let text = text.replace("/a\"", "/a/model.safetensors\"");
    let (outcome, events) = run(&text, &dir.path().join("c"));
    outcome.unwrap();
    assert!(warnings(&events).join("\n").contains("its head has 10 outputs, and the model's 2"));
}

#[test]
fn weights_that_do_not_fit_begin_no_run() {
    let dir = tempfile::tempdir().unwrap();
    let (first, out) = (dir.path().join("a"), dir.path().join("b"));
    complete(FIRST, &first);
    let of = |text: &str| run(text, &out).0.unwrap_err();
    let wide = of(&tuned(&first).replace("mlp:16,12", "mlp:17,12"));
    assert!(matches!(wide, TrainError::Load(LoadError::Model(_))), "{wide}");
    assert!(wide.to_string().contains("hidden.0.weight"), "{wide}");
    let deep = of(&tuned(&first).replace("mlp:16,12", "mlp:16,12,12"));
    assert!(deep.to_string().contains("no tensor `hidden.2"), "{deep}");
    let missing = of(&tuned(&dir.path().join("nothing")));
    assert!(missing.to_string().contains("nothing"), "{missing}");
    let idle = of(&tuned(&first).replace("'hidden.0'", "'stem'"));
    assert!(idle.to_string().contains("begins with `stem`; the model's begin with hidden, head"), "{idle}");
    let all = of(&tuned(&first).replace("'hidden.0'", "'hidden', 'head'"));
    assert!(all.to_string().contains("all parameters"), "{all}");
    assert!(!out.exists());
    assert_eq!(plan(&tuned(&first)).to_config().model.freeze, Some(vec!["hidden.0".to_owned()]));
}
