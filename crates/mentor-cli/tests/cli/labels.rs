//! What to label next, which labels are wrong, and sets of classes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::fixtures::{PER_CLASS, image_folder};
use crate::{assert_fails, json, mentor, stderr, stdout};

/// The cells of a CSV file, the header left out.
fn rows(path: &Path, header: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(header));
    lines.map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// Pictures of two classes, bright on one side, which differ by more than near-duplicates do.
fn varied_folder(root: &Path) {
    let mut state = 1_u32;
    for (class, name) in ["left", "right"].into_iter().enumerate() {
        fs::create_dir_all(root.join(name)).unwrap();
        for index in 0..PER_CLASS {
            let picture = image::GrayImage::from_fn(8, 8, |x, _| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let bright = (x < 4) == (class == 0);
                image::Luma([(state >> 25) as u8 + if bright { 128 } else { 0 }])
            });
            picture.save(root.join(name).join(format!("img{index}.png"))).unwrap();
        }
    }
}

#[test]
fn next_offers_pictures_of_both_groups_once_each_and_none_that_has_a_label() {
    let dir = tempfile::tempdir().unwrap();
    varied_folder(&dir.path().join("pool"));
    let command = "next --data pool --budget 4 --out next.csv";
    let said = mentor(dir.path(), command);
    assert!(said.status.success(), "{}", stderr(&said));
    assert!(stderr(&said).contains("the features are the pixels"));
    let chosen = rows(&dir.path().join("next.csv"), "rank,path,score,cluster");
    let paths: BTreeSet<&String> = chosen.iter().map(|row| &row[1]).collect();
    assert_eq!((chosen.len(), paths.len(), chosen[0][0].as_str()), (4, 4, "1"));
    assert!(paths.iter().all(|path| dir.path().join(path).is_file()), "{paths:?}");
    for group in ["pool/left/", "pool/right/"] {
        assert!(paths.iter().any(|path| path.starts_with(group)), "{paths:?}");
    }
    let first = fs::read(dir.path().join("next.csv")).unwrap();
    mentor(dir.path(), command);
    assert_eq!(fs::read(dir.path().join("next.csv")).unwrap(), first);

    let labels: String =
        paths.iter().map(|path| format!("{path},{}\n", path.split('/').nth(1).unwrap())).collect();
    fs::write(dir.path().join("labels.csv"), format!("path,label\n{labels}")).unwrap();
    for method in ["typical", "margin", "entropy", "mixed", "random"] {
        let command = format!(
            "next --data pool --labels labels.csv --budget 6 --method {method} --seed 3 --out more.csv"
        );
        let said = mentor(dir.path(), &command);
        assert!(said.status.success(), "{method}: {}", stderr(&said));
        let more = rows(&dir.path().join("more.csv"), "rank,path,score,cluster");
        assert!(more.len() >= 4 && more.iter().all(|row| !paths.contains(&row[1])), "{method}: {more:?}");
    }
}

#[test]
fn a_wrong_label_is_suspect_and_its_correction_is_trained_on() {
    let dir = tempfile::tempdir().unwrap();
    varied_folder(&dir.path().join("photos"));
    fs::rename(dir.path().join("photos/left/img3.png"), dir.path().join("photos/right/wrong.png")).unwrap();
    let said = mentor(dir.path(), "check-labels --data photos --out suspects.csv");
    assert!(said.status.success(), "{}", stderr(&said));
    let found = rows(&dir.path().join("suspects.csv"), "path,given,suggested,score,kind");
    assert_eq!(found[0][0], "photos/right/wrong.png");
    assert_eq!(
        (found[0][1].as_str(), found[0][2].as_str(), found[0][4].as_str()),
        ("right", "left", "label")
    );
    assert!(found.len() < 6, "{found:?}");
    let page = fs::read_to_string(dir.path().join("suspects.html")).unwrap();
    assert!(page.contains("right/wrong.png") && page.contains("data:image/png"));

    // As the page writes it, and as somebody writes it who edits the table.
    for (name, path) in [("a.csv", "right/wrong.png"), ("b.csv", "photos/right/wrong.png")] {
        fs::write(dir.path().join(name), format!("path,label\n{path},left\n")).unwrap();
        let command = format!("train --data photos --corrections {name} --epochs 1 --out run-{name}");
        let trained = mentor(dir.path(), &command);
        assert!(trained.status.success(), "{}", stderr(&trained));
        assert!(stderr(&trained).contains("1 label is corrected"), "{}", stderr(&trained));
    }
    fs::write(dir.path().join("c.csv"), "path,label\nelse/x.png,left\n").unwrap();
    let train = "train --data photos --epochs 1 --out no --corrections c.csv";
    assert_fails(&mentor(dir.path(), train), 3, "is no image of photos");
    fs::write(dir.path().join("c.csv"), "path,label\nright/wrong.png,up\n").unwrap();
    assert_fails(&mentor(dir.path(), train), 3, "is no class of photos");
}

#[test]
fn sets_hold_classes_and_a_level_that_is_too_high_is_refused_with_its_number() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["left", "right"]);
    let train = "train --data photos --val-fraction 0.4 --test-fraction 0 --epochs 3 --out run";
    assert!(mentor(dir.path(), train).status.success());
    let said = mentor(dir.path(), "predict run photos/left --coverage 0.8");
    assert!(said.status.success(), "{}", stderr(&said));
    let lines: Vec<serde_json::Value> =
        stdout(&said).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), PER_CLASS);
    for line in &lines {
        assert!(line["set"].as_array().unwrap().len() <= 2, "{line}");
        assert!((0.0..=1.0).contains(&line["foreign"].as_f64().unwrap()), "{line}");
    }
    let csv = stdout(&mentor(dir.path(), "predict run photos/left --coverage 0.8 --format csv"));
    assert!(csv.starts_with("path,predicted,confidence,set,foreign\n"), "{csv}");
    let plain = mentor(dir.path(), "predict run photos/left/img0.png");
    assert!(json(&plain).get("set").is_none());
    let refused = mentor(dir.path(), "predict run photos --coverage 0.99");
    assert_fails(&refused, 3, "needs at least 99 validation images");
    let by_class = mentor(dir.path(), "predict run photos --coverage 0.9 --coverage-by-class");
    assert_fails(&by_class, 3, "of each class");
    assert_fails(&mentor(dir.path(), "predict run photos --coverage 1"), 2, "above 0 and below 1");
}

#[test]
fn what_cannot_be_labelled_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["left", "right"]);
    fs::create_dir(dir.path().join("empty")).unwrap();
    let next = "next --budget 3 --out n.csv --data";
    assert_fails(&mentor(dir.path(), &format!("{next} empty")), 3, "holds no images");
    let margin = mentor(dir.path(), &format!("{next} photos --method margin"));
    assert_fails(&margin, 2, "needs a classifier");
    let labels = format!("{next} photos --labels gone.csv");
    fs::write(dir.path().join("gone.csv"), "path,label\nnowhere.png,left\n").unwrap();
    assert_fails(&mentor(dir.path(), &labels), 3, "nowhere.png");
    assert_fails(
        &mentor(dir.path(), &format!("{next} photos --backbone photos/left/img0.png")),
        3,
        "img0.png",
    );
    let flat = mentor(dir.path(), "check-labels --data photos/left --out s.csv");
    assert_eq!(flat.status.code(), Some(3), "{}", stderr(&flat));
    assert!(!dir.path().join("n.csv").exists() && !dir.path().join("s.csv").exists());
}
