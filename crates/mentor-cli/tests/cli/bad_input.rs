//! Bad input: each with its exit status, one clear line, and nothing written or lost.

use std::fs;
use std::path::Path;

use crate::fixtures::{idx, idx_folder, image_folder, npz, png_header};
use crate::{assert_fails, mentor, stderr, stdout};

const TRAIN: &str = "train --model linear --epochs 1 --out run --data";

/// Training on `data` fails with status 3 and says `what`, and no run directory is made.
#[track_caller]
fn assert_bad_data(dir: &Path, data: &str, what: &str) {
    assert_fails(&mentor(dir, &format!("{TRAIN} {data}")), 3, what);
    assert!(!dir.join("run").exists(), "a run was begun");
    // `mentor data` opens the same way.
    let inspected = mentor(dir, &format!("data {data} --strict"));
    assert_eq!(inspected.status.code(), Some(3), "{}", stderr(&inspected));
}

/// The arguments are refused with status 2 and `what`, and no run directory is made.
#[track_caller]
fn assert_refused(dir: &Path, arguments: &str, what: &str) {
    assert_fails(&mentor(dir, arguments), 2, what);
    assert!(!dir.join("run").exists(), "a run was begun");
}

#[test]
fn a_missing_path() {
    let dir = tempfile::tempdir().unwrap();
    assert_bad_data(dir.path(), "nowhere", "nowhere: no such file or folder");
}

#[test]
fn an_empty_folder() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    assert_bad_data(dir.path(), "data", "data: holds no");
}

#[test]
fn one_class_only() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("data"), &["cat"]);
    assert_bad_data(dir.path(), "data", "only the class \"cat\"");
}

#[test]
fn truncated_idx_wrong_magic_and_a_label_out_of_range() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let images = data.join("train-images-idx3-ubyte");
    let labels = data.join("train-labels-idx1-ubyte");
    idx_folder(&data);
    let whole = fs::read(&images).unwrap();

    fs::write(&images, &whole[..whole.len() - 10]).unwrap();
    assert_bad_data(dir.path(), "data", "truncated: its header declares 1280 bytes of data, 1270 are there");

    fs::write(&images, [b"\x00\x00\x09\x03", &whole[4..]].concat()).unwrap();
    assert_bad_data(dir.path(), "data", "00 00 09 03 is not the start of");

    fs::write(&images, &whole).unwrap();
    let wrong: Vec<u8> = (0..20).map(|index| if index == 7 { 255 } else { index % 2 }).collect();
    fs::write(&labels, idx(&[20], &wrong)).unwrap();
    assert_bad_data(dir.path(), "data", "label 255 at index 7 is out of range");
}

#[test]
fn a_manifest_without_a_file_or_a_column() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("images"), &["cat", "dog"]);
    let rows = "images/cat/img0.png,cat\nimages/dog/img1.png,dog\nimages/cat/img1.png,cat\n";

    fs::write(dir.path().join("missing.csv"), format!("path,label\n{rows}images/gone.png,dog\n")).unwrap();
    assert_bad_data(dir.path(), "missing.csv", "images/gone.png");

    fs::write(dir.path().join("column.csv"), format!("path,class\n{rows}")).unwrap();
    assert_bad_data(dir.path(), "column.csv", "column.csv:1: no column \"label\"");
}

#[test]
fn images_that_are_none_or_enormous() {
    for (name, bytes, what) in [
        ("huge.png", png_header(50_000, 50_000), "50000x50000"),
        ("text.png", b"this is no picture".to_vec(), "it holds text"),
        ("empty.png", Vec::new(), "the file is empty"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        image_folder(&data, &["cat", "dog"]);
        fs::write(data.join("cat").join(name), bytes).unwrap();
        assert_bad_data(dir.path(), "data", what);
        let skipped = mentor(dir.path(), &format!("{TRAIN} data --on-bad-image skip"));
        assert!(skipped.status.success(), "{}", stderr(&skipped));
        assert!(stderr(&skipped).contains(name), "{name} was left out in silence: {}", stderr(&skipped));
    }
}

#[test]
fn an_array_with_a_value_that_is_not_a_number() {
    let dir = tempfile::tempdir().unwrap();
    let mut pixels = [0.5; 16];
    pixels[6] = f32::NAN;
    fs::write(dir.path().join("data.npz"), npz(&pixels, &[0, 1, 0, 1])).unwrap();
    assert_bad_data(dir.path(), "data.npz", "NaN at index [1, 1, 0]");
}

#[test]
fn an_array_whose_checksum_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = npz(&[0.5; 16], &[0, 1, 0, 1]);
    let pixel = 0.5_f32.to_le_bytes();
    let at = bytes.windows(4).position(|window| window == pixel).unwrap();
    // 0.5 becomes another number that an image may hold.
    bytes[at + 2] ^= 1;
    fs::write(dir.path().join("data.npz"), bytes).unwrap();
    assert_bad_data(dir.path(), "data.npz", "cannot be read (");
}

#[test]
#[cfg(target_os = "linux")]
fn a_pipe_among_the_images_and_a_class_whose_name_is_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    image_folder(&data, &["cat", "dog"]);
    let pipe = data.join("cat/pipe.png");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_bad_data(dir.path(), "data", "pipe.png: is no file");
    fs::remove_file(pipe).unwrap();
    fs::create_dir(data.join(std::ffi::OsStr::from_bytes(b"c\xfft"))).unwrap();
    assert_bad_data(dir.path(), "data", "is not UTF-8");
}

#[test]
fn a_run_inside_the_folder_that_it_learns_from() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("run"), &["cat", "dog"]);
    let inside = mentor(dir.path(), "train --data run --epochs 1 --out run/runs/a");
    assert_fails(&inside, 2, "lies in the image folder run");
    assert!(!dir.path().join("run/runs").exists());
    // A slash at its end makes no other data of it.
    assert!(mentor(dir.path(), "train --data run --epochs 1 --out a").status.success());
    assert!(mentor(dir.path(), "train --data run/ --epochs 1 --out a").status.success());
}

#[test]
fn configurations_that_make_no_sense() {
    let dir = tempfile::tempdir().unwrap();
    let digits = format!("{TRAIN} digits");
    assert_refused(dir.path(), &format!("{digits} --l2 -1e-3"), "l2 is -0.001");
    assert_refused(dir.path(), &format!("{digits} --learning-rate NaN"), "learning_rate is NaN");
    let seed = "training.seed is 9223372036854775808, and must be below 2^63";
    assert_refused(dir.path(), &format!("{digits} --seed 9223372036854775808"), seed);
    assert_refused(
        dir.path(),
        &format!("{digits} --set optimizer.learning_rat=1"),
        "unknown field `learning_rat`",
    );

    fs::write(dir.path().join("run.toml"), "[optimizer]\nname = 'sgd'\nlearning_rat = 0.1\n").unwrap();
    let unknown_key = "run.toml:3: unknown field `learning_rat`";
    assert_refused(dir.path(), &format!("{digits} --config run.toml"), unknown_key);
    assert_refused(dir.path(), &format!("{digits} --config gone.toml"), "gone.toml");
}

#[test]
fn all_problems_of_a_configuration_are_reported_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let output =
        mentor(dir.path(), "train --data digits --model lenet --l2 -1 --momentum 2 --batch-size 0 --out run");
    assert_fails(&output, 2, "the configuration has 4 problems");
    for what in ["lenet", "l2 is -1", "momentum is 2", "batch_size is 0"] {
        assert!(stderr(&output).contains(what), "{what}: {}", stderr(&output));
    }
    assert!(!dir.path().join("run").exists());
}

#[test]
fn a_directory_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "do not lose").unwrap();
    let output = mentor(dir.path(), "train --data digits --epochs 1 --out file/run");
    assert_fails(&output, 2, "file/run");
    assert_eq!(fs::read_to_string(dir.path().join("file")).unwrap(), "do not lose");
}

#[test]
fn a_directory_that_holds_other_files_or_another_run() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("thesis")).unwrap();
    fs::write(dir.path().join("thesis/thesis.tex"), "do not lose").unwrap();
    let output = mentor(dir.path(), "train --data digits --epochs 1 --out thesis");
    assert_fails(&output, 2, "holds no run");
    assert_eq!(fs::read_dir(dir.path().join("thesis")).unwrap().count(), 1);

    let first = mentor(dir.path(), "train --data digits --epochs 1 --out run");
    assert!(first.status.success(), "{}", stderr(&first));
    let summary = fs::read(dir.path().join("run/summary.json")).unwrap();
    let output = mentor(dir.path(), "train --data digits --epochs 1 --seed 7 --out run");
    assert_fails(&output, 2, "another run, which differs in training.seed");
    assert_eq!(fs::read(dir.path().join("run/summary.json")).unwrap(), summary);
}

#[test]
fn a_model_on_data_with_other_classes() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("data"), &["cat", "dog"]);
    let trained = mentor(dir.path(), &format!("{TRAIN} data"));
    assert!(trained.status.success(), "{}", stderr(&trained));
    image_folder(&dir.path().join("other"), &["cat", "frog"]);
    let output = mentor(dir.path(), "eval run --data other");
    assert_fails(&output, 3, "has images of classes that the model lacks: \"frog\"");
}

#[test]
fn a_run_that_is_none_or_damaged() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["eval nowhere", "predict nowhere x.png", "report nowhere"] {
        assert_fails(&mentor(dir.path(), command), 2, "nowhere: holds no run");
    }
    let trained = mentor(dir.path(), &format!("{TRAIN} digits"));
    assert!(trained.status.success(), "{}", stderr(&trained));
    let weights = dir.path().join("run/model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    assert_fails(&mentor(dir.path(), "eval run"), 1, "safetensors");
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    fs::write(&weights, &bytes).unwrap();
    assert_fails(&mentor(dir.path(), "eval run"), 1, "does not hold the weights that model.json names");
}

#[test]
fn training_that_diverges_names_the_samples() {
    let dir = tempfile::tempdir().unwrap();
    let output = mentor(dir.path(), "train --data digits --epochs 3 --learning-rate 1e38 --out run");
    assert_fails(&output, 4, "update");
    assert!(stderr(&output).contains("help: lower --learning-rate"), "{}", stderr(&output));
}

#[test]
fn devices_that_are_not_there() {
    let dir = tempfile::tempdir().unwrap();
    for device in ["wgpu", "vulkan:1", "cuda:0"] {
        let name = device.split(':').next().unwrap();
        // A test binary with that feature may have such a device; without it, it is one clear line.
        let output =
            mentor(dir.path(), &format!("train --data digits --epochs 1 --out run --device {device}"));
        if output.status.code() != Some(0) {
            assert_fails(&output, 2, &format!("--device {device}"));
            assert!(
                stderr(&output).contains(name) && !dir.path().join("run").exists(),
                "{}",
                stderr(&output)
            );
        }
    }
}

#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_are_bad_images_and_their_names_stay_on_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    image_folder(&data, &["cat", "dog"]);
    std::os::unix::fs::symlink("nowhere.png", data.join("cat").join("lost\t\u{1b}[2J.png")).unwrap();
    assert_bad_data(dir.path(), "data", "a link that leads nowhere");
    let left_out = mentor(dir.path(), &format!("{TRAIN} data --on-bad-image quarantine"));
    assert!(left_out.status.success(), "{}", stderr(&left_out));
    assert!(stderr(&left_out).contains(r"lost\t\u{1b}[2J.png"), "{}", stderr(&left_out));
    let listed = fs::read_to_string(dir.path().join("run/quarantine.txt")).unwrap();
    assert_eq!(listed.matches('\t').count(), 2, "{listed}");
}

#[test]
fn every_command_that_reads_images_takes_another_limit_of_their_size() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("data"), &["cat", "dog"]);
    let refused = mentor(dir.path(), &format!("{TRAIN} data --max-pixels 63"));
    assert_fails(&refused, 3, "declares 8x8 pixels, over the limit of 63");
    let help = "help: raise --max-pixels to 64";
    assert!(stderr(&refused).contains(help), "{}", stderr(&refused));
    let trained = mentor(dir.path(), &format!("{TRAIN} data --max-pixels 64"));
    assert!(trained.status.success(), "{}", stderr(&trained));
    for command in [
        "data data --strict",
        "predict run data",
        "embed run data --out vectors.npy",
        "search run --index data --query data",
        "eval run --data data",
        "label run --data data --out labels.parquet",
    ] {
        let output = mentor(dir.path(), &format!("{command} --max-pixels 63"));
        assert_eq!(output.status.code(), Some(3), "{command}: {}", stderr(&output));
        let text = stderr(&output) + &stdout(&output);
        assert!(text.contains("8x8 pixels, over the limit of 63"), "{command}: {text}");
        let output = mentor(dir.path(), &format!("{command} --max-pixels 64"));
        assert!(output.status.success(), "{command}: {}", stderr(&output));
    }
}

#[test]
fn a_file_on_which_its_decoder_panics_is_one_bad_image() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    image_folder(&data, &["cat", "dog"]);
    // Planes in tiles, which the decoder of TIFF does not expect.
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mentor-data/tests/pictures/tiles-planar.tif");
    fs::copy(file, data.join("cat/odd.tif")).unwrap();
    let stopped = mentor(dir.path(), &format!("{TRAIN} data"));
    assert_fails(&stopped, 3, "odd.tif: its decoder failed on it");
    for command in [
        &format!("{TRAIN} data --on-bad-image skip"),
        "data data",
        "predict run data",
        "embed run data --out v.npy",
    ] {
        let output = mentor(dir.path(), command);
        let expected = if command.starts_with("predict") || command.starts_with("embed") { 3 } else { 0 };
        assert_eq!(output.status.code(), Some(expected), "{command}: {}", stderr(&output));
        let text = stderr(&output) + &stdout(&output);
        assert!(text.contains("its decoder failed on it"), "{command}: {text}");
        assert!(!text.contains("panicked at"), "{command}: {text}");
    }
}

#[test]
fn a_path_that_is_not_there_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    assert!(mentor(dir.path(), "train digits --model linear --epochs 1 --out run").status.success());
    for command in ["predict run nowhere.png", "embed run nowhere.png --out vectors.npy"] {
        let output = mentor(dir.path(), command);
        assert_fails(&output, 3, "nowhere.png: no such file or folder");
        assert!(!stderr(&output).contains("os error"), "{}", stderr(&output));
    }
}

#[test]
fn a_table_of_the_configuration_is_no_value() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("run.toml"), "model = 3").unwrap();
    assert_refused(dir.path(), "train digits --config run.toml --out run", "expected a table");
}

#[test]
fn splits_by_class_are_no_test_of_a_classifier_and_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(&dir.path().join("data"), &["ant", "bee", "cat", "dog", "emu", "fox"]);
    let train = "train data --split-by class --keep-duplicates --epochs 1 --model mlp:8 --out";
    let told = "a classifier never learns";
    let said = stderr(&mentor(dir.path(), &format!("{train} run")));
    assert!(said.contains(told), "{said}");
    let triplet = format!("{train} embeddings --loss triplet --classes-per-batch 2 --samples-per-class 2");
    let trained = mentor(dir.path(), &triplet);
    assert!(trained.status.success() && !stderr(&trained).contains(told), "{}", stderr(&trained));
}
