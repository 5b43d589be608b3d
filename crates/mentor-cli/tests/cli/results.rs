//! What commands give to scripts and to people.

use std::fs;

use crate::fixtures::{PER_CLASS, idx_folder, image_folder};
use crate::{assert_fails, json, mentor, mentor_with, stderr, stdout};

#[test]
fn evaluation_has_the_keys_that_scripts_rely_on() {
    let dir = tempfile::tempdir().unwrap();
    let trained = mentor(dir.path(), "train --data digits --epochs 5 --l2 1e-3 --out run --quiet");
    assert!(trained.status.success(), "{}", stderr(&trained));
    assert_eq!(stderr(&trained), "");

    let value = json(&mentor(dir.path(), "eval run --json --per-sample losses.csv"));
    assert_eq!((value["split"].as_str(), value["num_samples"].as_u64()), (Some("test"), Some(359)));
    let number = |key: &str| value[key].as_f64().unwrap_or_else(|| panic!("eval --json has no {key}"));
    assert!(
        (number("loss") - number("data_loss") - number("penalty")).abs() < 1e-12 && number("penalty") > 0.0
    );
    assert!(number("accuracy") > 0.85 && number("top5_accuracy") > number("accuracy") && number("ece") < 1.0);
    assert_eq!(value["per_class"].as_array().unwrap().len(), 10);

    let mut losses = csv::Reader::from_path(dir.path().join("losses.csv")).unwrap();
    assert_eq!(losses.headers().unwrap(), vec!["id", "target", "predicted", "confidence", "loss"]);
    let rows: Vec<csv::StringRecord> = losses.records().collect::<Result<_, _>>().unwrap();
    let mean = rows.iter().map(|row| row[4].parse::<f64>().unwrap()).sum::<f64>() / rows.len() as f64;
    assert!((mean - number("data_loss")).abs() < 1e-9, "{mean}");
    let right = rows.iter().filter(|row| row[1] == row[2]).count() as f64 / rows.len() as f64;
    assert_eq!(right, number("accuracy"));

    let text = stdout(&mentor(dir.path(), "eval run --split val"));
    assert!(text.contains("val split") && text.contains("precision"), "{text}");
}

#[test]
fn prediction_gives_a_line_a_file_and_goes_on_after_a_bad_one() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("data"), &["left", "right"]);
    let trained = mentor(dir.path(), "train --data data --epochs 30 --learning-rate 0.1 --out run");
    assert!(trained.status.success(), "{}", stderr(&trained));

    let output = mentor(dir.path(), "predict run data/right/img3.png data --top 2");
    let lines: Vec<serde_json::Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1 + 2 * PER_CLASS, "{}", stderr(&output));
    assert_eq!(lines[0]["predicted"], "right");
    assert_eq!(lines[0]["top"][0]["confidence"], lines[0]["confidence"]);
    let paths: Vec<&str> = lines[1..].iter().map(|line| line["path"].as_str().unwrap()).collect();
    assert_eq!((paths[2], paths[10]), ("data/left/img2.png", "data/left/img10.png"));
    assert!(
        lines[1..]
            .iter()
            .all(|line| { line["path"].as_str().unwrap().contains(line["predicted"].as_str().unwrap()) })
    );

    fs::write(dir.path().join("bad.png"), "no picture").unwrap();
    let output = mentor(dir.path(), "predict run bad.png data/left/img0.png --format csv");
    assert_fails(&output, 3, "bad.png");
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "path,predicted,confidence");
    assert!(lines.len() == 2 && lines[1].starts_with("data/left/img0.png,left,"), "{text}");
}

#[test]
fn prediction_agrees_with_evaluation() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("data"), &["left", "right"]);
    let trained = mentor(dir.path(), "train --data data --epochs 1 --out run");
    assert!(trained.status.success(), "{}", stderr(&trained));
    json(&mentor(dir.path(), "eval run --json --split train --per-sample losses.csv"));
    let predicted = stdout(&mentor(dir.path(), "predict run data"));
    for row in csv::Reader::from_path(dir.path().join("losses.csv")).unwrap().records() {
        let row = row.unwrap();
        let line = predicted.lines().find(|line| line.contains(&row[0])).unwrap_or_else(|| panic!("{row:?}"));
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["predicted"], row[2]);
        let (left, right) = (line["confidence"].as_f64().unwrap(), row[3].parse::<f64>().unwrap());
        assert!((left - right).abs() < 1e-6, "{left} {right}");
    }
}

#[test]
fn losses_have_full_precision() {
    let dir = tempfile::tempdir().unwrap();
    let loss = |arguments: &str| json(&mentor_with(dir.path(), &arguments.split(' ').collect::<Vec<_>>()));
    let value = loss("loss softmax --json --scores 3.2,5.1,-1.7 --target 0 --scores 1.3,4.9,2.0 --target 1");
    let per_sample: Vec<f64> =
        value["per_sample"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    // −ln(e^3.2 / (e^3.2 + e^5.1 + e^−1.7)), by the definition.
    let by_hand = -(3.2_f64.exp() / (3.2_f64.exp() + 5.1_f64.exp() + (-1.7_f64).exp())).ln();
    assert!((per_sample[0] - by_hand).abs() < 1e-14, "{per_sample:?}");
    assert!((value["loss"].as_f64().unwrap() - (per_sample[0] + per_sample[1]) / 2.0).abs() < 1e-15);
    for (class, expected) in [-0.870017, 0.869050, 0.000968].into_iter().enumerate() {
        assert!((value["gradient"][0][class].as_f64().unwrap() - expected).abs() < 1e-6);
    }

    let value = loss("loss svm --json --scores 3.2,5.1,-1.7 --target 0 --compare --log-base 10");
    assert!((value["loss"].as_f64().unwrap() - 2.9).abs() < 1e-12);
    assert_eq!(value["gradient"][0], serde_json::json!([-1.0, 1.0, 0.0]));
    assert!((value["compare"]["loss"].as_f64().unwrap() - 0.8861).abs() < 1e-4);

    fs::write(
        dir.path().join("scores.csv"),
        "cat,car,frog,target\n3.2,5.1,-1.7,0\n1.3,4.9,2.0,1\n2.2,2.5,-3.1,2\n",
    )
    .unwrap();
    let value = loss("loss svm --json --csv scores.csv");
    assert!((value["loss"].as_f64().unwrap() - 15.8 / 3.0).abs() < 1e-12);
    assert_fails(&mentor(dir.path(), "loss svm --csv gone.csv"), 3, "gone.csv");
}

#[test]
fn idx_files_are_described_trained_on_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    idx_folder(&dir.path().join("data"));
    let value = json(&mentor(dir.path(), "data data --json"));
    assert_eq!((value["num_train"].as_u64(), value["num_test"].as_u64()), (Some(18), Some(6)));
    let text = stdout(&mentor(dir.path(), "data data"));
    assert!(text.contains("8x8 gray") && text.contains("Next: mentor train --data data"), "{text}");

    for (run, loss) in [("a", "svm"), ("b", "softmax")] {
        let command = format!("train --data data --optimizer gd --epochs 5 --loss {loss} --out runs/{run}");
        let trained = mentor(dir.path(), &command);
        assert!(trained.status.success(), "{}", stderr(&trained));
    }
    fs::remove_file(dir.path().join("runs/a/report.html")).unwrap();
    let report = mentor(dir.path(), "report runs/a");
    assert_eq!(stdout(&report), "runs/a/report.html\n", "{}", stderr(&report));
    assert!(fs::read_to_string(dir.path().join("runs/a/report.html")).unwrap().contains("</html>"));

    let report = mentor(dir.path(), "report runs/a runs/b --out both.html");
    assert!(report.status.success(), "{}", stderr(&report));
    let html = fs::read_to_string(dir.path().join("both.html")).unwrap();
    assert!(html.contains("svm") && html.contains("softmax"));
    for remote in ["src=\"http", "url(http", "<link", "@import"] {
        assert!(!html.contains(remote), "the report needs the network: {remote}");
    }
}

#[test]
fn files_that_are_quarantined_are_listed_in_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    image_folder(&data, &["cat", "dog"]);
    fs::write(data.join("cat/broken.png"), "no picture").unwrap();
    let command = "train --data data --epochs 1 --out run --on-bad-image quarantine";
    let trained = mentor(dir.path(), command);
    assert!(trained.status.success(), "{}", stderr(&trained));
    let list = fs::read_to_string(dir.path().join("run/quarantine.txt")).unwrap();
    assert!(list.lines().count() == 1 && list.contains("broken.png"), "{list}");
    assert!(data.join("cat/broken.png").exists(), "the user's file was moved");
}

#[test]
fn models_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let value = json(&mentor(dir.path(), "models mlp:100 wrn-28-10 --input 3x32x32 --json"));
    assert_eq!(value[0]["num_params"].as_u64(), Some(3072 * 100 + 100 + 100 * 10 + 10));
    assert_eq!(value[1]["num_params"].as_u64(), Some(36_479_194)); // Zagoruyko and Komodakis: 36.5 million
    let value = json(&mentor(dir.path(), "models vit --input 3x32x32 --json"));
    assert_eq!(value[0]["num_params"].as_u64(), Some(1_803_466));
    let listed = stdout(&mentor(dir.path(), "models --input 1x30x30"));
    assert!(listed.contains("not for these images"), "{listed}");
    assert_fails(&mentor(dir.path(), "models vgg-16"), 2, "unknown model `vgg-16`");
}

#[test]
fn without_out_a_configuration_has_a_directory_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    for seed in [1, 1, 2] {
        let trained = mentor(dir.path(), &format!("train --data digits --epochs 1 --seed {seed}"));
        assert!(trained.status.success(), "{}", stderr(&trained));
    }
    let mut runs: Vec<_> =
        fs::read_dir(dir.path().join("runs")).unwrap().map(|run| run.unwrap().file_name()).collect();
    runs.sort();
    assert_eq!(runs.len(), 2);
    assert!(runs[0].to_str().unwrap().starts_with("digits-linear-softmax-"), "{runs:?}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("mentor"))
        .current_dir(dir.path())
        .args(["completions", "bash"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn all_of_another_folder_is_evaluated_and_a_folder_that_grew_is_told() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["cat", "dog"]);
    image_folder(&dir.path().join("others"), &["cat", "dog"]);
    let trained = mentor(dir.path(), "train --data photos --model linear --epochs 2 --out run -q");
    assert!(trained.status.success(), "{}", stderr(&trained));
    for (flags, split, num_samples) in [("", "test", 4), ("--split all", "all", 24)] {
        let found = json(&mentor(dir.path(), &format!("eval run --data others --json {flags}")));
        assert_eq!(
            (found["split"].as_str(), found["num_samples"].as_u64()),
            (Some(split), Some(num_samples))
        );
    }
    assert!(stderr(&mentor(dir.path(), "eval run")).is_empty());
    fs::copy(dir.path().join("photos/cat/img0.png"), dir.path().join("photos/dog/new.png")).unwrap();
    let warned = mentor(dir.path(), "eval run");
    assert!(stderr(&warned).contains("have changed since the model was trained"), "{}", stderr(&warned));
    let unknown = mentor(dir.path(), "eval run --split some");
    assert_fails(&unknown, 2, "invalid value 'some' for '--split <SPLIT>'");
    assert!(stderr(&unknown).contains("[possible values: train, val, test, all]"), "{}", stderr(&unknown));
}

#[test]
fn data_with_some_of_the_classes_are_evaluated_by_name_and_unknown_ones_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    image_folder(&path("photos"), &["cat", "dog"]);
    // The same pictures under names in another order, and with a class that the model lacks.
    image_folder(&path("turned"), &["dog", "bird"]);
    let trained = mentor(dir.path(), "train --data photos --model linear --epochs 30 --out run -q");
    assert!(trained.status.success(), "{}", stderr(&trained));
    assert_fails(
        &mentor(dir.path(), "eval run --data turned --split all"),
        3,
        "the model lacks: \"bird\" (12)",
    );
    fs::rename(path("turned/bird"), path("turned/cat")).unwrap();
    let found = json(&mentor(dir.path(), "eval run --data turned --split all --json"));
    assert_eq!(found["per_class"][0]["num_samples"], PER_CLASS);
    assert!(found["accuracy"].as_f64().unwrap() < 0.5, "left is called dog there: {found}");
    // One class, and an empty folder of the other.
    image_folder(&path("one"), &["dog"]);
    fs::create_dir(path("one/cat")).unwrap();
    let output = mentor(dir.path(), "eval run --data one --split all --json");
    assert!(stderr(&output).contains("has no image of \"cat\""), "{}", stderr(&output));
    let one = json(&output);
    assert_eq!(
        (&one["num_samples"], &one["per_class"][0]["recall"]),
        (&PER_CLASS.into(), &serde_json::Value::Null)
    );
    let interval = found["accuracy_interval"].as_array().unwrap();
    assert!(interval[0].as_f64().unwrap() <= found["accuracy"].as_f64().unwrap(), "{found}");
}

#[test]
fn a_validation_split_without_error_calibrates_nothing() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["cat", "dog"]);
    let trained = mentor(dir.path(), "train --data photos --model linear --epochs 30 --out run -q");
    assert!(trained.status.success(), "{}", stderr(&trained));
    let before = fs::read(dir.path().join("run/model.json")).unwrap();
    let found = json(&mentor(dir.path(), "calibrate run --json"));
    assert_eq!(
        (&found["not_kept"], &found["calibration"]["temperature"]),
        (&"no-errors".into(), &1.0.into())
    );
    let text = stdout(&mentor(dir.path(), "calibrate run"));
    assert!(text.contains("there is nothing to fit") && text.contains("nothing is written"), "{text}");
    assert_eq!(fs::read(dir.path().join("run/model.json")).unwrap(), before);
}

#[test]
fn what_a_model_was_trained_on_is_no_test_of_it() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("photos"), &["cat", "dog"]);
    let trained = mentor(dir.path(), "train --data photos --model linear --epochs 2 --out run -q");
    assert!(trained.status.success(), "{}", stderr(&trained));
    for (flags, warned) in
        [("--split all", true), ("--split train", true), ("--split val", false), ("", false)]
    {
        let said = stderr(&mentor(dir.path(), &format!("eval run {flags}")));
        assert_eq!(said.contains("that the model was trained on"), warned, "{flags}: {said}");
    }
}

#[test]
fn zeros_have_no_sign() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [
        "loss svm --json --scores 9,1,1 --target 0",
        "loss softmax --json --scores 1000,9,9,9 --target 0 --compare",
        "loss triplet --json --d-ap 0.5 --d-an 2",
        "loss contrastive --json --distance 2 --same no",
    ] {
        let output = stdout(&mentor(dir.path(), arguments));
        assert!(!output.contains("-0.0"), "{arguments}: {output}");
    }
}

#[test]
fn all_of_a_folder_is_all_of_it_though_every_image_is_there_twice() {
    let dir = tempfile::tempdir().unwrap();
    for (root, copies) in [("photos", 1), ("twice", 2)] {
        image_folder(&dir.path().join(root), &["cat", "dog"]);
        for class in ["cat", "dog"].into_iter().filter(|_| copies == 2) {
            let folder = dir.path().join(root).join(class);
            for index in 0..PER_CLASS {
                fs::copy(folder.join(format!("img{index}.png")), folder.join(format!("copy{index}.png")))
                    .unwrap();
            }
        }
    }
    // One picture ten times: drawn into splits, nothing would be left for training.
    for class in ["cat", "dog"] {
        let folder = dir.path().join("copies").join(class);
        fs::create_dir_all(&folder).unwrap();
        for index in 0..10 {
            let picture = dir.path().join(format!("photos/{class}/img0.png"));
            fs::copy(picture, folder.join(format!("{index}.png"))).unwrap();
        }
    }
    let trained = mentor(dir.path(), "train --data photos --model linear --epochs 2 --out run -q");
    assert!(trained.status.success(), "{}", stderr(&trained));
    for (data, num_images, told) in [
        ("twice", 48, "24 images repeat an earlier one byte for byte"),
        ("copies", 20, "18 images repeat an earlier one byte for byte"),
    ] {
        let output =
            mentor(dir.path(), &format!("eval run --data {data} --split all --json --per-sample s.csv"));
        assert_eq!(json(&output)["num_samples"], num_images, "{}", stderr(&output));
        assert!(stderr(&output).contains(told), "{}", stderr(&output));
        let rows = csv::Reader::from_path(dir.path().join("s.csv")).unwrap().into_records().count();
        assert_eq!(rows as u64, num_images);
        let retrieval = mentor(dir.path(), &format!("eval run --data {data} --split all --retrieval --json"));
        assert_eq!(json(&retrieval)["num_queries"], num_images, "{}", stderr(&retrieval));
    }
    // So is each of its splits: nothing was trained on them, and no twin is taken out.
    for (data, num_images) in [("twice", 48), ("copies", 20)] {
        let parts = ["train", "val", "test"].map(|split| {
            let output = mentor(dir.path(), &format!("eval run --data {data} --split {split} --json"));
            json(&output)["num_samples"].as_u64().unwrap_or_else(|| panic!("{}", stderr(&output)))
        });
        assert_eq!(parts.iter().sum::<u64>(), num_images, "{data}: {parts:?}");
    }
    let drawn = stderr(&mentor(dir.path(), "eval run --data twice"));
    assert!(drawn.contains("has no splits of its own") && drawn.contains("--split all"), "{drawn}");
    let own = stderr(&mentor(dir.path(), "eval run --data ./photos/ --split all"));
    assert!(own.contains("holds the images that the model was trained on"), "{own}");
}

#[test]
fn the_same_pixels_in_other_bytes_are_found_by_data_and_left_out_of_training() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("data/train"), &["cat", "dog"]);
    for class in ["cat", "dog"] {
        let test = dir.path().join("data/test").join(class);
        fs::create_dir_all(&test).unwrap();
        for index in 0..6 {
            let picture = image::open(dir.path().join(format!("data/train/{class}/img{index}.png"))).unwrap();
            picture.save(test.join(format!("{index}.bmp"))).unwrap();
        }
    }
    let checked = mentor(dir.path(), "data data --strict");
    assert_eq!(checked.status.code(), Some(3), "{}", stderr(&checked));
    assert!(stdout(&checked).contains("in other bytes): training leaves them out"), "{}", stdout(&checked));
    let trained =
        mentor(dir.path(), "train --data data --val-fraction 0 --model linear --epochs 1 --out run");
    assert!(trained.status.success(), "{}", stderr(&trained));
    assert!(stderr(&trained).contains("12 training and 0 validation images"), "{}", stderr(&trained));
    let told = "removed 12 images from train with a twin of the same pixels in other bytes in a later split";
    assert!(stderr(&trained).contains(told), "{}", stderr(&trained));
}

#[test]
fn what_a_command_cannot_set_it_does_not_advise() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    image_folder(&data, &["cat", "dog"]);
    // One image of another size, so that a size is chosen.
    image::GrayImage::from_pixel(9, 11, image::Luma([77])).save(data.join("cat/large.png")).unwrap();
    let trained = mentor(dir.path(), "train data --model linear --epochs 1 --out run");
    assert!(stderr(&trained).contains("set the size"), "{}", stderr(&trained));
    for command in ["label run --data data --out labels.parquet", "embed run data --split train --out v.npy"]
    {
        let output = mentor(dir.path(), command);
        assert!(output.status.success() && !stderr(&output).contains("set the size"), "{}", stderr(&output));
    }
    // A folder without splits is not said to have one.
    std::fs::copy(data.join("cat/img0.png"), data.join("cat/again.png")).unwrap();
    let labelled = stderr(&mentor(dir.path(), "label run --data data/cat --out cats.parquet"));
    assert!(labelled.contains("1 image repeats an earlier one") && !labelled.contains("train"), "{labelled}");
    let help = stdout(&mentor(dir.path(), "data --help"));
    assert!(help.contains("--max-pixels") && !help.contains("trained with"), "{help}");
}

#[test]
fn the_command_that_an_inspection_recommends_runs() {
    let dir = tempfile::tempdir().unwrap();
    // All of one class is in the test split too.
    for class in ["cat", "dog"] {
        image_folder(&dir.path().join("data/train"), &["cat", "dog"]);
        let to = dir.path().join("data/test").join(class);
        std::fs::create_dir_all(&to).unwrap();
        let kept = if class == "cat" { 0 } else { 1 };
        for entry in std::fs::read_dir(dir.path().join("data/train").join(class)).unwrap().skip(kept) {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    let found = stdout(&mentor(dir.path(), "data data"));
    let command = found.lines().find_map(|line| line.strip_prefix("Next: mentor ")).unwrap();
    assert!(
        found.contains("train has no image of the class \"cat\"") && command.contains("--keep-duplicates"),
        "{found}"
    );
    let trained = mentor(dir.path(), &format!("{command} --epochs 1"));
    assert!(trained.status.success(), "{}", stderr(&trained));
    let refused = mentor(dir.path(), &command.replace("first --keep-duplicates", "other"));
    assert_fails(&refused, 3, "left");
    assert!(stderr(&refused).contains("keep them with --keep-duplicates"), "{}", stderr(&refused));
}
