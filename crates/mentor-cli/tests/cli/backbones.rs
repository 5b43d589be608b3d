//! Pretrained networks: what a file of weights is, and features without a run.

use std::fs;
use std::path::Path;

use mentor_backbone::{Architecture, Layout, tensor_shapes};
use serde_json::{Map, json as value};

use crate::fixtures::{PER_CLASS, image_folder};
use crate::{assert_fails, json, mentor, mentor_with, stderr, stdout};

/// A safetensors file of a small network with made-up weights.
pub(crate) fn weights(path: &Path) {
    let network = Architecture::find("mobilenetv2").unwrap();
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, shape) in tensor_shapes(network, Layout::Timm) {
        let begin = data.len();
        for index in 0..shape.iter().product::<usize>() {
            let noise = (index * 7919 % 1009) as f32 / 1009.0 - 0.5;
            let scale = if name.ends_with("running_var") || shape.len() == 1 { 1.0 + noise } else { noise };
            data.extend(scale.to_le_bytes());
        }
        header.insert(name, value!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]}));
    }
    let header = serde_json::to_vec(&header).unwrap();
    fs::write(path, [&(header.len() as u64).to_le_bytes(), &header[..], &data].concat()).unwrap();
}

#[test]
fn features_of_a_folder_have_ids_and_the_classes_of_its_folders() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["cat", "dog"]);
    fs::write(dir.path().join("photos/cat/img0.png"), "no image").unwrap();
    weights(&dir.path().join("net.safetensors"));

    let described = json(&mentor(dir.path(), "backbones net.safetensors --json"));
    assert_eq!(described["architecture"], "mobilenetv2");
    let list = mentor(dir.path(), "backbones");
    assert!(stdout(&list).contains("mobilenetv2") && stdout(&list).contains("2,223,872"));

    let files = "--out f.npy --ids ids.csv --labels y.npy";
    let embedded = mentor(dir.path(), &format!("embed --backbone net.safetensors photos {files}"));
    let num_images = 2 * PER_CLASS - 1;
    let said = stderr(&embedded);
    assert!(said.contains("photos/cat/img0.png"), "{said}");
    assert!(said.contains(&format!("{num_images} embeddings of 1280 values")), "{said}");
    let ids = fs::read_to_string(dir.path().join("ids.csv")).unwrap();
    let lines: Vec<&str> = ids.lines().collect();
    assert_eq!((lines.len(), lines[0]), (num_images + 1, "id,class"));
    assert!(lines[1].ends_with("img1.png,cat") && lines[num_images].ends_with(",dog"), "{ids}");
    let features = fs::read(dir.path().join("f.npy")).unwrap();
    assert!(features.len() > num_images * 1280 * 4);
}

#[test]
fn what_is_no_network_has_status_3_and_one_line() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["cat", "dog"]);
    // os.system("touch here"), as a pickle of protocol 2.
    let command = b"\x80\x02cposix\nsystem\nX\x0a\x00\x00\x00touch here\x85R.";
    fs::write(dir.path().join("command.pth"), command).unwrap();
    fs::write(dir.path().join("text.pth"), "no weights").unwrap();
    weights(&dir.path().join("cut.safetensors"));
    let whole = fs::read(dir.path().join("cut.safetensors")).unwrap();
    fs::write(dir.path().join("cut.safetensors"), &whole[..whole.len() - 5]).unwrap();
    for file in ["command.pth", "text.pth", "cut.safetensors", "nowhere.pth"] {
        assert_fails(&mentor(dir.path(), &format!("backbones {file}")), 3, file);
        assert_fails(&mentor(dir.path(), &format!("embed --backbone {file} photos --out f.npy")), 3, file);
    }
    assert!(!dir.path().join("here").exists() && !dir.path().join("f.npy").exists());
}

#[test]
fn a_head_on_a_pretrained_network_is_a_run_like_any_other_and_needs_nothing_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    image_folder(&at("photos"), &["cat", "dog"]);
    weights(&at("net.safetensors"));
    let trained = mentor(dir.path(), "train photos --backbone net.safetensors --out run");
    let said = stderr(&trained);
    assert!(trained.status.success() && said.contains("cross-validation on"), "{said}");
    assert!(stdout(&trained).contains("mobilenetv2") && stdout(&trained).contains("nearest class mean"));

    let read =
        |file: &str| -> serde_json::Value { serde_json::from_slice(&fs::read(at(file)).unwrap()).unwrap() };
    let (summary, model) = (read("run/summary.json"), read("run/model.json"));
    let blake3 = blake3::hash(&fs::read(at("net.safetensors")).unwrap()).to_hex().to_string();
    for record in [&summary["backbone"], &model["backbone"]] {
        assert_eq!(
            (&record["architecture"], &record["weights_blake3"]),
            (&"mobilenetv2".into(), &blake3.clone().into())
        );
        assert!(record["source"].is_string() && record["licence"].is_string(), "{record}");
    }
    assert!(summary["features_secs"].as_f64().unwrap() >= 0.0);
    let interval = &summary["val_accuracy_interval"];
    let accuracy = summary["val_accuracy"].as_f64().unwrap();
    assert!(interval["low"].as_f64().unwrap() < accuracy && accuracy <= interval["high"].as_f64().unwrap());
    let format = &model["preprocessing"]["format"];
    assert_eq!(format["resize"], value!({"center-share": {"permille": 875, "filter": "bicubic"}}));
    assert_eq!((&format["height"], &model["preprocessing"]["mean"][0]), (&224.into(), &0.485.into()));

    // Another loss reads the features of the first run.
    let second = mentor(dir.path(), "train photos --backbone net.safetensors --loss svm --l2 0.1 --out svm");
    let num_images = summary["num_val"].as_u64().unwrap() as usize;
    let kept = stderr(&second);
    assert!(kept.contains(", 20 of them kept from before") && num_images > 0, "{kept}");
    let again = mentor(dir.path(), "train photos --backbone net.safetensors --out run");
    assert!(stderr(&again).contains("already complete"), "{}", stderr(&again));

    // Somewhere else, without the file of weights, the cache and its first name.
    let embedded = mentor(dir.path(), "embed --backbone net.safetensors photos --out first.npy");
    assert!(embedded.status.success());
    fs::rename(at("run"), at("moved")).unwrap();
    for gone in ["net.safetensors", "mentor-cache"] {
        let gone = at(gone);
        if gone.is_dir() { fs::remove_dir_all(gone).unwrap() } else { fs::remove_file(gone).unwrap() }
    }
    let evaluated = json(&mentor(dir.path(), "eval moved --split val --json"));
    assert_eq!(evaluated["accuracy"], summary["val_accuracy"]);
    assert!((evaluated["loss"].as_f64().unwrap() - summary["val_loss"].as_f64().unwrap()).abs() < 1e-5);
    let predicted = stdout(&mentor(dir.path(), "predict moved photos/cat/img0.png"));
    assert!(predicted.contains("cat"), "{predicted}");
    assert!(mentor(dir.path(), "embed moved photos --out second.npy").status.success());
    let values = |name: &str| -> Vec<f32> {
        let bytes = fs::read(at(name)).unwrap();
        let values = &bytes[bytes.len() - 2 * PER_CLASS * 1280 * 4..];
        values.as_chunks::<4>().0.iter().map(|&value| f32::from_le_bytes(value)).collect()
    };
    let (first, second) = (values("first.npy"), values("second.npy"));
    let largest = first.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    // Pixels are normalised in another order of operations, and made-up weights magnify rounding.
    let apart = first.iter().zip(&second).map(|(a, b)| (a - b).abs()).sum::<f32>() / first.len() as f32;
    assert!(largest > 0.0 && apart < 0.02 * largest, "{apart} of {largest}");
    for command in [
        "calibrate moved",
        "search moved --index photos --query photos/dog/img1.png --top 2",
        "report moved",
        "eval moved --split test --retrieval",
    ] {
        let done = mentor(dir.path(), command);
        assert!(done.status.success(), "{command}: {}", stderr(&done));
    }
    let page = fs::read_to_string(at("moved/report.html")).unwrap();
    for shown in
        ["a head on net.safetensors", "nearest class mean", "cross-validation accuracy", "Embeddings"]
    {
        assert!(page.contains(shown), "{shown}");
    }
    assert!(!page.contains("No update has been recorded"));

    // Weights that are not those of the run.
    weights(&at("net.safetensors"));
    let mut other = fs::read(at("net.safetensors")).unwrap();
    let end = other.len() - 1;
    other[end] ^= 1;
    fs::write(at("moved/backbone.weights"), &other).unwrap();
    assert_fails(&mentor(dir.path(), "predict moved photos/cat/img0.png"), 1, "backbone.weights");
}

#[test]
fn a_damaged_cache_is_computed_again_and_ends_in_the_same_weights() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    image_folder(&at("photos"), &["cat", "dog"]);
    weights(&at("net.safetensors"));
    let train = |out: &str| {
        let done = mentor(dir.path(), &format!("train photos --backbone net.safetensors --out {out} --json"));
        (json(&done)["weights_blake3"].clone(), stderr(&done))
    };
    let (first, _) = train("a");
    let folder = at("mentor-cache/features");
    let network = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let files: Vec<_> = fs::read_dir(network).unwrap().map(|entry| entry.unwrap().path()).collect();
    for file in &files {
        let mut bytes = fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(file, bytes).unwrap();
    }
    let (second, said) = train("b");
    assert_eq!(first, second);
    assert!(!files.is_empty() && said.contains(", 0 of them kept"), "{said}");
    let (third, said) = train("c");
    assert!(first == third && said.contains(", 20 of them kept"), "{said}");
}

#[test]
fn what_cannot_be_a_backbone_begins_no_run() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    image_folder(&at("photos"), &["cat", "dog"]);
    fs::write(at("text.pth"), "no weights").unwrap();
    weights(&at("whole.safetensors"));
    let whole = fs::read(at("whole.safetensors")).unwrap();
    fs::write(at("cut.safetensors"), &whole[..whole.len() / 2]).unwrap();
    let mut nan = whole.clone();
    let end = nan.len() - 4;
    nan[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(at("nan.safetensors"), nan).unwrap();
    for file in ["text.pth", "cut.safetensors", "nan.safetensors", "nowhere.pth"] {
        let refused = mentor(dir.path(), &format!("train photos --backbone {file} --out run"));
        assert_fails(&refused, 3, file);
    }
    for (more, what) in [
        ("--model cnn --epochs 3", "leave model, epochs out"),
        ("--loss triplet", "loss of embeddings"),
        ("--size 32", "leave size out"),
        ("--l2 0", "l2 is 0"),
    ] {
        let refused =
            mentor(dir.path(), &format!("train photos --backbone whole.safetensors --out run {more}"));
        assert_fails(&refused, 2, "");
        assert!(stderr(&refused).replace("--", "").contains(what), "{}", stderr(&refused));
    }
    assert!(!at("run").exists());
}

#[test]
fn photographs_take_the_network_of_the_folder_that_is_named_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("nets")).unwrap();
    weights(&at("nets/small.safetensors"));
    for class in ["cat", "dog"] {
        fs::create_dir_all(at("photos").join(class)).unwrap();
        for index in 0..6_u32 {
            let pixel = |x: u32, y: u32| {
                let red = if class == "cat" { 200 } else { 20 };
                image::Rgb([red, (x * index) as u8, (y * 3) as u8])
            };
            let file = at("photos").join(class).join(format!("{index}.png"));
            image::RgbImage::from_fn(60, 50, pixel).save(file).unwrap();
        }
    }
    let run = |arguments: &str| {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        assert_cmd::Command::cargo_bin("mentor")
            .unwrap()
            .current_dir(dir.path())
            .env("MENTOR_BACKBONES", at("nets"))
            .env("MENTOR_CACHE", "")
            .args(arguments)
            .output()
            .unwrap()
    };
    let by_default = run("train photos --out run");
    assert!(stderr(&by_default).contains("small.safetensors in MENTOR_BACKBONES"), "{}", stderr(&by_default));
    assert!(at("run/backbone.weights").exists());
    let by_name = run("train photos --backbone small --out named");
    assert!(by_name.status.success(), "{}", stderr(&by_name));
    let digits = run("train digits --epochs 1 --out digits");
    assert!(digits.status.success() && !at("digits/backbone.weights").exists());
    let without = mentor_with(dir.path(), &["train", "photos", "--epochs", "1", "--out", "linear"]);
    assert!(stderr(&without).contains("--backbone FILE"), "{}", stderr(&without));
}

#[test]
fn a_head_learns_from_images_without_labels_or_says_that_they_do_not_resemble() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    image_folder(&at("photos"), &["cat", "dog"]);
    weights(&at("net.safetensors"));
    let command = "self-train --data photos --labels-per-class 3 --backbone net.safetensors";
    let trained = mentor(dir.path(), &format!("{command} --out run --json"));
    assert!(trained.status.success(), "{}", stderr(&trained));
    let summary = json(&trained);
    let round = &summary["rounds"][0];
    let accepted = summary["resemblance"].as_f64().unwrap() >= 1.0 / 3.0;
    assert_eq!(round["accepted"], accepted, "{round}");
    assert_eq!(round["num_pseudo_labels"].as_u64().unwrap() > 0, accepted, "{round}");
    assert_eq!(stderr(&trained).contains("do not resemble"), !accepted, "{}", stderr(&trained));
    let again = mentor(dir.path(), &format!("{command} --out run"));
    assert!(stderr(&again).contains("already complete"), "{}", stderr(&again));
    assert!(mentor(dir.path(), "eval run --split val").status.success());

    fs::create_dir(at("copies")).unwrap();
    fs::copy(at("photos/cat/img0.png"), at("copies/a.png")).unwrap();
    for (flags, status, what) in [
        ("--rounds 2", 2, "labels_per_class alone"),
        ("--model cnn", 2, "leave model out"),
        ("--dry-run", 2, "the head of --backbone makes none"),
    ] {
        assert_fails(&mentor(dir.path(), &format!("{command} {flags} --out other")), status, what);
    }
    let copies = "self-train --data photos --unlabelled copies --backbone net.safetensors --out other";
    assert_fails(&mentor(dir.path(), copies), 3, "holds no image that is not among");
    assert!(!at("other").exists());
}

#[test]
fn what_cannot_be_fine_tuned_is_said_in_one_line_before_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    image_folder(&at("photos"), &["cat", "dog"]);
    weights(&at("net.safetensors"));
    let mut bytes = fs::read(at("net.safetensors")).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(at("nan.safetensors"), bytes).unwrap();
    for (flags, status, what) in [
        ("--fine-tune 3 --model cnn", 2, "--backbone"),
        ("--backbone net.safetensors --fine-tune 0", 2, "fine_tune is 0"),
        ("--backbone net.safetensors --fine-tune 2 --epochs 3", 2, "leave epochs out"),
        ("--backbone net.safetensors --fine-tune 2 --freeze 12", 2, "stages are 1 to 7"),
        ("--backbone nan.safetensors --fine-tune 2", 3, "nan.safetensors"),
    ] {
        let refused = mentor(dir.path(), &format!("train photos {flags} --out run"));
        assert_fails(&refused, status, what);
        assert!(!at("run").exists(), "{flags}");
    }
}
