//! Pretrained networks: what a file of weights is, and features without a run.

use std::fs;
use std::path::Path;

use mentor_backbone::{Architecture, Layout, tensor_shapes};
use serde_json::{Map, json as value};

use crate::fixtures::{PER_CLASS, image_folder};
use crate::{assert_fails, json, mentor, stderr, stdout};

/// A safetensors file of a small network with made-up weights.
fn weights(path: &Path) {
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
