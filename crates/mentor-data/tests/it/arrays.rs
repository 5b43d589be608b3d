//! npz files.

use std::path::Path;

use mentor_data::{DataError, Dataset, Limits, OpenOptions, Source, Split};
use tempfile::tempdir;

use crate::files::{check_message, npy, open, refused, write_npz};

fn image(dataset: &Dataset, index: usize) -> Vec<u8> {
    let mut out = vec![0; dataset.format().num_values()];
    dataset.read(index, &mut out).unwrap();
    out
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Labels 0 and 1 in turn, as `<i8`, which NumPy makes of a list.
fn labels(count: i64) -> Vec<u8> {
    npy("<i8", &format!("({count},)"), &(0..count).flat_map(|i| (i % 2).to_le_bytes()).collect::<Vec<_>>())
}

fn refused_arrays(arrays: &[(&str, Vec<u8>)], parts: &[&str]) -> DataError {
    let folder = tempdir().unwrap();
    let path = folder.path().join("data.npz");
    write_npz(&path, arrays);
    refused(&path, parts)
}

#[test]
fn bytes_with_all_splits_are_read_back() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("data.npz");
    let pixels = |first: u8| (0..24).map(|i| first + i).collect::<Vec<u8>>();
    write_npz(
        &path,
        &[
            ("x", npy("|u1", "(4, 2, 3)", &pixels(0))),
            ("y", labels(4)),
            ("x_val", npy("|u1", "(4, 2, 3)", &pixels(100))),
            ("y_val", npy("|u1", "(4, 1)", &[1, 0, 1, 0])),
            ("x_test", npy("|u1", "(4, 2, 3)", &pixels(200))),
            ("y_test", labels(4)),
        ],
    );
    let source = open(&path);
    assert_eq!(source.classes(), ["0", "1"]);
    let [train, val, test] = Split::ALL.map(|split| source.load(split).unwrap());
    assert_eq!(image(&train, 1), [6, 7, 8, 9, 10, 11]);
    assert_eq!(val.targets(), [1, 0, 1, 0]);
    assert_eq!((image(&test, 3), test.id(3)), (vec![218, 219, 220, 221, 222, 223], "x_test[3]"));
}

#[test]
fn channels_last_and_channels_first_give_the_same_images() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("data.npz");
    let options = OpenOptions { val_fraction: 0.0, test_fraction: 0.0, ..OpenOptions::default() };
    let read = |shape: &str, pixels: &[u8]| {
        write_npz(&path, &[("x_train", npy("|u1", shape, pixels)), ("y_train", labels(2))]);
        let source = Source::open(path.to_str().unwrap(), &options).unwrap();
        assert_eq!(source.format().shape(), [3, 1, 2]);
        let train = source.load(Split::Train).unwrap();
        [image(&train, 0), image(&train, 1)].concat()
    };
    let planes: Vec<u8> = (0..12).collect();
    let pixels = [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11];
    assert_eq!(read("(2, 1, 2, 3)", &pixels), planes);
    // (2, 3, 1, 2): the last dimension is no channel count, the second is.
    assert_eq!(read("(2, 3, 1, 2)", &planes), planes);
}

#[test]
fn floats_of_either_range_become_bytes() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("data.npz");
    let options = OpenOptions { val_fraction: 0.0, test_fraction: 0.0, ..OpenOptions::default() };
    for (values, expected) in [
        ([0.0, 1.0, 0.5, 0.2], [0, 255, 128, 51]),
        ([0.0, 255.0, 127.6, 3.0], [0, 255, 128, 3]),
        // Interpolation overshoots.
        ([-0.0001, 1.000_000_1, 0.5, 0.2], [0, 255, 128, 51]),
        ([-0.01, 255.01, 127.6, 3.0], [0, 255, 128, 3]),
    ] {
        write_npz(&path, &[("x", npy("<f4", "(2, 1, 2)", &floats(&values))), ("y", labels(2))]);
        let train = Source::open(path.to_str().unwrap(), &options).unwrap().load(Split::Train).unwrap();
        assert_eq!([image(&train, 0), image(&train, 1)].concat(), expected);
    }
}

#[test]
fn values_that_are_no_pixels_are_refused_with_their_place() {
    let x = |values: &[f32; 4]| ("x", npy("<f4", "(2, 1, 2)", &floats(values)));
    let y = || ("y", labels(2));
    let error = refused_arrays(&[x(&[0.0, 1.0, 0.5, f32::NAN]), y()], &["\"x\"", "NaN at index [1, 0, 1]"]);
    assert!(matches!(error, DataError::NotFinite { .. }));
    refused_arrays(&[x(&[0.0, f32::INFINITY, 0.5, 0.0]), y()], &["inf at index [0, 0, 1]"]);
    refused_arrays(&[x(&[0.0, -0.5, 0.5, 0.0]), y()], &["values from -0.5 to 0.5", "subtract the minimum"]);
    refused_arrays(&[x(&[0.0, 256.0, 0.5, 0.0]), y()], &["from 0 to 256", "0 to 255"]);
    let other = ("x_test", npy("<f4", "(2, 1, 2)", &floats(&[0.0, 200.0, 0.0, 0.0])));
    let arrays = [x(&[0.0, 1.0, 0.5, 0.0]), y(), other, ("y_test", labels(2))];
    refused_arrays(&arrays, &["\"x_test\"", "are from 0 to 255, but those before are floats from 0 to 1"]);
}

#[test]
fn arrays_of_one_file_have_one_range() {
    let unit = || npy("<f4", "(2, 1, 2)", &floats(&[0.0, 1.0, 0.5, 0.25]));
    let black = || npy("<f4", "(2, 1, 2)", &floats(&[0.0; 4]));
    let dark = || npy("<i2", "(2, 1, 2)", &[0, 0, 1, 0, 0, 0, 1, 0]);
    let bytes = || npy("|u1", "(2, 1, 2)", &[0, 9, 255, 1]);
    let full = || npy("<f4", "(2, 1, 2)", &floats(&[0.0, 9.0, 255.0, 1.0]));
    let arrays = |x, x_test| [("x", x), ("y", labels(2)), ("x_test", x_test), ("y_test", labels(2))];
    let beside = "has pixels that are floats from 0 to 1, but those before are from 0 to 255";
    for x in [full(), bytes(), dark()] {
        refused_arrays(&arrays(x, unit()), &["\"x_test\"", beside]);
    }
    for x_test in [full(), bytes(), dark()] {
        refused_arrays(&arrays(unit(), x_test), &["\"x_test\"", "but those before are floats from 0 to 1"]);
    }
    for max in [1.01, 1.9] {
        let neither = || npy("<f4", "(2, 1, 2)", &floats(&[0.0, 1.0, 0.5, max]));
        let range = format!("values from 0 to {}", f64::from(max));
        refused_arrays(
            &[("x", neither()), ("y", labels(2))],
            &[&range, "too little for pixels from 0 to 255"],
        );
        refused_arrays(&arrays(full(), neither()), &["\"x_test\"", &range]);
    }

    let folder = tempdir().unwrap();
    let path = folder.path().join("data.npz");
    let options = OpenOptions { val_fraction: 0.0, keep_duplicates: true, ..OpenOptions::default() };
    let read = |x, x_test| {
        write_npz(&path, &arrays(x, x_test));
        let source = Source::open(path.to_str().unwrap(), &options).unwrap();
        [Split::Train, Split::Test].map(|split| {
            let dataset = source.load(split).unwrap();
            [image(&dataset, 0), image(&dataset, 1)].concat()
        })
    };
    assert_eq!(read(full(), dark()), [[0, 9, 255, 1], [0, 1, 0, 1]]);
    assert_eq!(read(bytes(), black()), [[0, 9, 255, 1], [0; 4]]);
    assert_eq!(read(black(), full()), [[0; 4], [0, 9, 255, 1]]);
    assert_eq!(read(black(), unit()), [[0; 4], [0, 255, 128, 64]]);
    assert_eq!(read(unit(), black()), [[0, 255, 128, 64], [0; 4]]);
}

/// `num` floats evenly from `min` to `max`, as images of one pixel, with labels 0 and 1 in turn.
fn spread(num: u16, min: f32, max: f32) -> Vec<u8> {
    let value = |i| min + (max - min) * f32::from(i) / f32::from(num - 1);
    npy("<f4", &format!("({num}, 1, 1)"), &floats(&(0..num).map(value).collect::<Vec<_>>()))
}

#[test]
fn floats_that_rounding_to_bytes_would_destroy_are_refused() {
    let y = || ("y", labels(200));
    for (max, levels) in [(3.4, "4 different ones"), (0.013, "4 different ones"), (9.5, "11 different ones")]
    {
        let error =
            refused_arrays(&[("x", spread(200, 0.0, max)), y()], &["\"x\"", levels, "divide by the range"]);
        assert!(matches!(error, DataError::BadArray { .. }));
    }
    refused_arrays(&[("x", spread(200, 100.0, 104.0)), y()], &["5 different ones"]);
    // Every array by itself: a test set of another range is no darker one.
    let arrays =
        [("x", spread(200, 0.0, 250.0)), y(), ("x_test", spread(200, 0.0, 3.4)), ("y_test", labels(200))];
    refused_arrays(&arrays, &["\"x_test\"", "4 different ones"]);
    refused_arrays(
        &[("x", npy("<u2", "(2, 1, 2)", &[0, 0, 255, 255, 1, 1, 9, 9])), ("y", labels(2))],
        &["from 0 to 65535", "by 65535"],
    );
    refused_arrays(&[("x", spread(200, -1.0, 1.0)), y()], &["from -1 to 1", "subtract the minimum"]);

    let folder = tempdir().unwrap();
    let path = folder.path().join("data.npz");
    for (max, told) in [(100.0, true), (250.0, false), (1.0, false), (0.4, false)] {
        write_npz(&path, &[("x", spread(200, 0.0, max)), y()]);
        let notes: Vec<String> = open(&path).notes().iter().map(ToString::to_string).collect();
        let rounded =
            notes.iter().any(|note| note.starts_with("x has floats from 0 to 100, which are rounded"));
        assert_eq!((rounded, notes.is_empty()), (told, !told), "{notes:?}");
    }
}

#[test]
fn bools_and_floats_of_every_size_and_byte_order_are_pixels() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("data.npz");
    let options = OpenOptions { val_fraction: 0.0, test_fraction: 0.0, ..OpenOptions::default() };
    let read = |descr: &str, data: &[u8]| {
        write_npz(&path, &[("x", npy(descr, "(2, 1, 2)", data)), ("y", npy("|b1", "(2,)", &[0, 1]))]);
        let train = Source::open(path.to_str().unwrap(), &options).unwrap().load(Split::Train).unwrap();
        [image(&train, 0), image(&train, 1)].concat()
    };
    assert_eq!(read("|b1", &[0, 1, 1, 0]), [0, 255, 255, 0]);
    // 0, 1, ½, ¼ as numpy.float16.
    assert_eq!(read("<f2", &[0, 0, 0, 0x3c, 0, 0x38, 0, 0x34]), [0, 255, 128, 64]);
    assert_eq!(read(">f2", &[0, 0, 0x3c, 0, 0x38, 0, 0x34, 0]), [0, 255, 128, 64]);
    let doubles: Vec<u8> =
        [0.0, 255.0, 127.6, 3.0_f64].iter().flat_map(|value| value.to_be_bytes()).collect();
    assert_eq!(read(">f8", &doubles), [0, 255, 128, 3]);
    let wholes: Vec<u8> = [0, 1, 2, 3_i32].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(read("<i4", &wholes), [0, 1, 2, 3], "whole numbers lose nothing");
    assert_eq!(read("<f4", &floats(&[0.5; 4])), [128; 4]);
}

#[test]
fn what_does_not_fit_into_memory_is_refused_before_it_is_read() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("data.npz");
    let with_limit = |max_memory_bytes| OpenOptions {
        limits: Limits { max_memory_bytes, ..Limits::default() },
        ..OpenOptions::default()
    };
    // Headers alone: neither pixels nor labels follow.
    let (x, y) = (|| npy("|u1", "(4000, 16, 16)", &[]), || npy("<i8", "(4000,)", &[]));
    let arrays = [("x", x()), ("y", y()), ("x_test", x()), ("y_test", y())];
    write_npz(&path, &arrays);
    let refused = |limit, parts: &[&str]| super::files::refused_with(&path, &with_limit(limit), parts);
    refused(1_000_000, &["data.npz[x]", "bytes of the images is 1024000, over the limit of 1000000"]);
    refused(2_000_000, &["data.npz[x]", "with labels and names is 3072000, over the limit of 2000000"]);
    // A sample has a name, a label and hashes too.
    refused(5 << 20, &["data.npz[x_test]", "with labels and names is 6144000, over the limit of 5242880"]);
    refused(1 << 30, &["\"y\"", "truncated"]);
    write_npz(
        &path,
        &[("x", npy("|u1", "(99999999999, 1, 1)", &[])), ("y", npy("|u1", "(99999999999,)", &[]))],
    );
    refused(4 << 30, &["99999999999, over the limit"]);
    write_npz(&path, &[("x", npy("|u1", "(30000000, 1, 1)", &[])), ("y", npy("|u1", "(30000000,)", &[]))]);
    refused(4 << 30, &["with labels and names is 15390000000"]);
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    let x = || ("x", npy("|u1", "(2, 1, 2)", &[1, 2, 3, 4]));
    let y = || ("y", labels(2));
    let with_y = |descr: &str, shape: &str, data: &[u8]| [x(), ("y", npy(descr, shape, data))];
    refused_arrays(&[y()], &["no array \"x\"", "found: y"]);
    refused_arrays(&[x()], &["no array \"y\"", "found: x"]);
    refused_arrays(&[x(), y(), ("x_test", npy("|u1", "(1, 1, 2)", &[1, 2]))], &["no array \"y_test\""]);
    refused_arrays(&[("x", npy("|u1", "(2, 4)", &[0; 8])), y()], &["shape [2, 4]", "(N, H, W)"]);
    refused_arrays(&[("x", npy("<U1", "(2, 1, 2)", &[0; 16])), y()], &["type \"<U1\""]);
    refused_arrays(&[("x", npy("|u1", "(2, 1, 2)", &[0; 3])), y()], &["truncated: 4 elements declared, 3"]);
    refused_arrays(&[("x", b"no array".to_vec()), y()], &["not in NumPy's format"]);
    refused_arrays(&[x(), ("y", labels(3))], &["3 labels for 2 images"]);
    refused_arrays(&with_y("<f4", "(2,)", &floats(&[0.0, 1.0])), &["labels must be integers"]);
    refused_arrays(&with_y("|i1", "(2,)", &[0, 0xff]), &["label -1 at index 1"]);
    refused_arrays(&with_y("|u1", "(2,)", &[0, 9]), &["label 9 at index 1"]);
    refused_arrays(&with_y("|u1", "(2, 2)", &[0, 1, 0, 1]), &["shape [2, 2]"]);
    let huge = npy("|u1", "(2, 4096, 4096)", &[]);
    let folder = tempdir().unwrap();
    let path = folder.path().join("data.npz");
    write_npz(&path, &[("x", huge), y()]);
    let limits = Limits { max_memory_bytes: 1 << 20, ..Limits::default() };
    let options = OpenOptions { limits, ..OpenOptions::default() };
    super::files::refused_with(&path, &options, &["33554432, over the limit of 1048576"]);
    write_npz(&path, &[("x", npy("|u1", "(18446744073709551615, 4096, 4096)", &[])), y()]);
    let Err(error) = Source::open(path.to_str().unwrap(), &options) else { panic!("opened") };
    check_message(&error, Path::new(&path), &["18446744073709551615 images"]);
    std::fs::write(&path, "no archive").unwrap();
    refused(&path, &["not a readable npz file"]);
}
