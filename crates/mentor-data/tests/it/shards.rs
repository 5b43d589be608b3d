//! Tar shards and Parquet tables: the same data set as the folder that they were written of, and how bad
//! shards are refused.

use std::fs;
use std::path::{Path, PathBuf};

use mentor_data::{
    DataError, Limits, OpenOptions, Source, Split, inspect, write_index, write_parquet, write_tar,
};

use crate::files::{check_message, gzip, open, png, refused};

/// Two classes, folders in them, names with several dots and numbers of several digits.
fn photos(root: &Path) {
    for index in 0..24_u8 {
        let class = ["cat", "dog"][usize::from(index % 2)];
        let name = ["", "more/", "x.y/"][usize::from(index % 3)];
        let path = root.join(class).join(format!("{name}{index}.photo.png"));
        png(&path, [6, 5], [index * 10, 90, 7], index);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// All that training sees of a data set.
#[derive(Debug, PartialEq)]
struct Seen {
    fingerprint: String,
    classes: Vec<String>,
    /// Ids and pixels of every split in order.
    images: Vec<(String, Vec<u8>)>,
}

fn seen(source: &str, options: &OpenOptions) -> Seen {
    let source = Source::open(source, options).unwrap();
    let mut images = Vec::new();
    for split in Split::ALL.into_iter().filter(|&split| source.has(split)) {
        let dataset = source.load(split).unwrap();
        for index in 0..dataset.len() {
            let mut pixels = vec![0; dataset.format().num_values()];
            dataset.read(index, &mut pixels).unwrap();
            images.push((format!("{split} {} {}", dataset.targets()[index], dataset.id(index)), pixels));
        }
    }
    Seen { fingerprint: source.fingerprint(), classes: source.classes().to_vec(), images }
}

fn same(folder: &Path, other: &str) {
    // The second reads on demand, a sample here and there.
    let little = Limits { max_memory_bytes: 100_000, ..Limits::default() };
    for limits in [Limits::default(), little] {
        let options = OpenOptions { limits, size: Some([50, 60]), ..OpenOptions::default() };
        assert_eq!(seen(text(folder), &options), seen(other, &options), "{other}");
    }
}

/// Entries as a tar file, with the mark of its end.
fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        // A name as a stranger may write it, which `set_path` refuses.
        if name.len() < 100 {
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            archive.append(&header, *bytes).unwrap();
        } else {
            archive.append_data(&mut header, name, *bytes).unwrap();
        }
    }
    archive.into_inner().unwrap()
}

fn pgm(value: u8) -> Vec<u8> {
    [b"P5 1 1 255 ", &[value][..]].concat()
}

#[test]
fn tar_and_parquet_of_a_folder_are_the_same_data_set() {
    let dir = tempfile::tempdir().unwrap();
    let [folder, tars, tables] = ["photos", "tars", "tables"].map(|name| dir.path().join(name));
    photos(&folder);
    let options = OpenOptions::default();
    let written = write_tar(text(&folder), &tars, &options).unwrap();
    assert_eq!(written, [tars.join("images-000000.tar")]);
    same(&folder, text(&tars));
    same(&folder, &format!("{}/*.tar", text(&tars)));
    same(&folder, &format!("{}/images-{{000000..000000}}.tar", text(&tars)));
    fs::write(dir.path().join("zipped.tar.gz"), gzip(&fs::read(&written[0]).unwrap())).unwrap();
    same(&folder, text(&dir.path().join("zipped.tar.gz")));
    let written = write_parquet(text(&folder), &tables, &options).unwrap();
    assert_eq!(written, [tables.join("images-00000-of-00001.parquet")]);
    same(&folder, text(&tables));
    same(&folder, text(&written[0]));
    assert_eq!(inspect(text(&tars), &options).unwrap().kind, "tar shards");
    assert_eq!(inspect(text(&tables), &options).unwrap().kind, "Parquet table");
    // An index changes nothing, and is no shard.
    assert_eq!(write_index(text(&tars), &options).unwrap(), [tars.join("images-000000.tar.index.json")]);
    same(&folder, text(&tars));
    // Nothing is written over, and nothing is left of what fails.
    let again = write_tar(text(&folder), &tars, &options).unwrap_err();
    assert!(matches!(again, DataError::Exists { .. }), "{again}");
    check_message(
        &write_tar(text(&tars), &dir.path().join("x"), &options).unwrap_err(),
        &tars,
        &["image files"],
    );
}

#[test]
fn splits_are_kept_also_one_alone() {
    let dir = tempfile::tempdir().unwrap();
    for (splits, shards) in [
        (&["train", "valid", "test"][..], ["train", "validation", "test"].as_slice()),
        (&["train"][..], &["train"]),
    ] {
        let [folder, tars, tables] =
            ["photos", "tars", "tables"].map(|name| dir.path().join(format!("{name}-{}", splits.len())));
        splits.iter().for_each(|split| photos(&folder.join(split)));
        // Copies in later splits would be left out.
        for (index, split) in splits.iter().enumerate().skip(1) {
            for file in mentor_data::find_images(&folder.join(split)).unwrap().files {
                let mark = index as u8 * 40 + file.to_string_lossy().bytes().fold(0, u8::wrapping_add) % 40;
                png(&file, [6, 5], [250, 9, mark], 200 + index as u8);
            }
        }
        let options = OpenOptions::default();
        let written = write_tar(text(&folder), &tars, &options).unwrap();
        let names: Vec<PathBuf> = shards.iter().map(|name| tars.join(format!("{name}-000000.tar"))).collect();
        assert_eq!(written, names);
        write_parquet(text(&folder), &tables, &options).unwrap();
        same(&folder, text(&tars));
        same(&folder, text(&tables));
    }
}

#[test]
fn a_packed_folder_is_that_folder() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("photos");
    photos(&folder);
    let files = mentor_data::find_images(&folder).unwrap().files;
    let bytes: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let names: Vec<String> =
        files.iter().map(|file| format!("./{}", text(file.strip_prefix(&folder).unwrap()))).collect();
    let entries: Vec<(&str, &[u8])> =
        names.iter().map(String::as_str).zip(bytes.iter().map(Vec::as_slice)).collect();
    let (first, second) = entries.split_at(9);
    fs::write(dir.path().join("b.tar"), tar(first)).unwrap();
    fs::write(dir.path().join("a.tgz"), gzip(&tar(second))).unwrap();
    same(&folder, &format!("{}/{{b.tar,a.tgz}}", text(dir.path())));
}

#[test]
fn labels_lie_beside_the_images() {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<Vec<u8>> = (0..8).map(pgm).collect();
    let names: Vec<(String, String, String)> = (0..8)
        .map(|i| {
            let label = if i % 2 == 0 { "10" } else { " 9\n" };
            (format!("{i:03}.pgm"), format!("{i:03}.cls"), label.to_owned())
        })
        .collect();
    let mut entries: Vec<(&str, &[u8])> = Vec::new();
    for ((image, class, label), bytes) in names.iter().zip(&bytes) {
        entries.extend([(image.as_str(), bytes.as_slice()), (class.as_str(), label.as_bytes())]);
    }
    entries.extend([("000.txt", &b"a caption"[..]), ("._000.pgm", &b"of a system"[..])]);
    let path = dir.path().join("s.tar");
    fs::write(&path, tar(&entries)).unwrap();
    let source = open(&path);
    assert_eq!(source.classes(), ["9", "10"]);
    let notes: Vec<String> = source.notes().iter().map(ToString::to_string).collect();
    assert!(notes.iter().any(|note| note.contains("000.txt")), "{notes:?}");
    // A name in .json goes before the number; a long name is read.
    let long = format!("{}/000.json", "d".repeat(120));
    let image = long.replace("json", "pgm");
    entries.extend([(long.as_str(), &br#"{"label": "cat"}"#[..]), (image.as_str(), &bytes[0])]);
    fs::write(&path, tar(&entries)).unwrap();
    assert_eq!(open(&path).classes(), ["9", "10", "cat"]);
    // Without their labels they are unlabelled images in no folder.
    let bare: Vec<(&str, &[u8])> = entries.into_iter().filter(|(name, _)| name.ends_with(".pgm")).collect();
    fs::write(&path, tar(&bare)).unwrap();
    let unlabelled = Source::open_unlabelled(text(&path), &OpenOptions::default()).unwrap();
    assert_eq!(Split::ALL.map(|split| unlabelled.num_images(split)).iter().sum::<usize>(), 9);
    let some = [("a.pgm", &bytes[0][..]), ("a.cls", b"1"), ("b.pgm", &bytes[1][..])];
    fs::write(&path, tar(&some)).unwrap();
    refused(&path, &["1 of 2 images have no label, such as \"b.pgm\""]);
}

#[test]
fn bad_shards_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.tar");
    let (one, two) = (pgm(1), pgm(2));
    let good = [("a/1.pgm", &one[..]), ("b/2.pgm", &two[..])];
    let bytes = tar(&good);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(open(&path).classes(), ["a", "b"]);
    let refuse = |bytes: &[u8], part: &str| {
        fs::write(&path, bytes).unwrap();
        refused(&path, &[part]);
    };
    refuse(&bytes[..1536 + 100], "truncated: its header declares 2048 bytes of data, 1636 are there");
    refuse(&bytes[..1024 + 100], "it ends in the middle of a header");
    refuse(&bytes[..1024], "the mark of the archive's end is missing");
    refuse(&[&bytes[..512], &[7; 512], &bytes[1024..]].concat()[..1500], "it ends in the middle");
    let mut changed = bytes.clone();
    changed[3] ^= 1;
    refuse(&changed, "no header of an entry is at byte 0");
    refuse(b"no archive at all", "it ends in the middle of a header");
    refuse(&tar(&[("../1.pgm", &one)]), "leads out of the archive");
    refuse(&tar(&[("/etc/1.pgm", &one)]), "leads out of the archive");
    refuse(&tar(&[("a\\..\\1.pgm", &one)]), "leads out of the archive");
    refuse(&tar(&[("a/1.pgm", &one), ("a/1.pgm", &two)]), "the key \"a/1.pgm\" occurs twice, first in it");
    refuse(&tar(&[("1.pgm", &one), ("1.mask.pgm", &two), ("1.cls", b"3")]), "the key \"1\" occurs twice");
    refuse(&tar(&[("1.pgm", &one), ("1.json", b"{")]), "\"1.json\" is not JSON");
    let mut huge = tar(&[("a/1.pgm", &one)]);
    huge[124..136].copy_from_slice(b"77777777777\0");
    let sum: u32 = (0..512).map(|i| if (148..156).contains(&i) { 32 } else { u32::from(huge[i]) }).sum();
    huge[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    refuse(&huge, "truncated");
    fs::write(dir.path().join("t.tar"), tar(&good)).unwrap();
    fs::write(&path, tar(&good)).unwrap();
    let Err(error) = Source::open(text(dir.path()), &OpenOptions::default()) else { panic!("was opened") };
    check_message(
        &error,
        &dir.path().join("t.tar"),
        &["the key \"a/1.pgm\" occurs twice, first in ", "s.tar"],
    );
    let zipped = dir.path().join("z.tar.gz");
    fs::write(&zipped, &gzip(&bytes)[..60]).unwrap();
    refused(&zipped, &["truncated"]);
    fs::write(&zipped, gzip(&bytes)).unwrap();
    let options = OpenOptions {
        limits: Limits { max_memory_bytes: 20, ..Limits::default() },
        ..OpenOptions::default()
    };
    crate::files::refused_with(&zipped, &options, &["gzipped shard is 24, over the limit of 20"]);
    check_message(
        &write_index(text(&zipped), &OpenOptions::default()).unwrap_err(),
        &zipped,
        &["no part of it can be read alone"],
    );
}

#[test]
fn decoded_images_are_kept_in_one_file_and_a_changed_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let [folder, tars, cache] = ["photos", "tars", "cache"].map(|name| dir.path().join(name));
    photos(&folder);
    write_tar(text(&folder), &tars, &OpenOptions::default()).unwrap();
    let options = OpenOptions {
        limits: Limits { max_memory_bytes: 100_000, ..Limits::default() },
        size: Some([50, 60]),
        ..OpenOptions::default()
    };
    let cached = OpenOptions { pixel_cache: Some(cache.clone()), ..options.clone() };
    let files = || {
        let entries = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<(PathBuf, u64)> =
            entries.map(|path| (path.clone(), fs::metadata(&path).unwrap().len())).collect();
        files.sort();
        files
    };
    // The second time from the file, also of the same images in another form.
    for data in [&folder, &folder, &tars] {
        assert_eq!(seen(text(&folder), &options), seen(text(data), &cached));
        let whole =
            Source::open(text(data), &cached).unwrap().load_all_as(&mentor_data::ImageFormat::new(3, 50, 60));
        assert!(!whole.unwrap().in_memory());
    }
    let written = files();
    assert!(written.iter().any(|(_, length)| *length == 24 * 9_000 + 49 * 32), "{written:?}");
    assert!(written.iter().all(|(path, _)| path.extension().unwrap() == "pixels"), "{written:?}");
    for (path, _) in &written {
        let mut bytes = fs::read(path).unwrap();
        bytes[77] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    let source = Source::open(text(&folder), &cached).unwrap();
    let error = source.load_all_as(&mentor_data::ImageFormat::new(3, 50, 60)).unwrap_err();
    check_message(&error, &cache, &["image 0 is not the one that was written"]);
    // What is cut short is no file of mentor's, and is written again.
    written.iter().for_each(|(path, _)| fs::write(path, "cut").unwrap());
    assert_eq!(seen(text(&folder), &options), seen(text(&folder), &cached));
}

#[test]
fn a_shard_that_changed_under_its_index_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.tar");
    let values: Vec<(String, Vec<u8>)> =
        (0..20).map(|i| (format!("{}/{i}.pgm", ["a", "b"][i % 2]), pgm(i as u8))).collect();
    let entries: Vec<(&str, &[u8])> =
        values.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    let bytes = tar(&entries);
    fs::write(&path, &bytes).unwrap();
    write_index(text(&path), &OpenOptions::default()).unwrap();
    let before = open(&path).fingerprint();
    fs::write(&path, [&bytes[..], &[0; 512]].concat()).unwrap();
    refused(&path, &["is not the file that its index was written for", "it has 22016 bytes, then 21504"]);
    let mut renamed = bytes.clone();
    renamed[2] = b'7';
    fs::write(&path, &renamed).unwrap();
    refused(&path, &["its headers differ", "--write-index"]);
    // Under an old header are other bytes: found when the image is read.
    let mut painted = bytes.clone();
    painted[512 + 11] = 99;
    fs::write(&path, &painted).unwrap();
    let source = Source::open(text(&path), &OpenOptions::default()).unwrap();
    let errors: Vec<String> =
        Split::ALL.iter().filter_map(|&split| Some(source.load(split).err()?.to_string())).collect();
    assert!(errors.iter().any(|error| error.contains("the bytes of \"a/0.pgm\" differ")), "{errors:?}");
    write_index(text(&path), &OpenOptions::default()).unwrap();
    assert_ne!(open(&path).fingerprint(), before);
    fs::write(dir.path().join("s.tar.index.json"), "{}").unwrap();
    let Err(error) = Source::open(text(&path), &OpenOptions::default()) else { panic!("was opened") };
    check_message(&error, &dir.path().join("s.tar.index.json"), &["is no index of a shard"]);
}

mod tables {
    use std::sync::Arc;

    use parquet::basic::Compression;
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    /// Two row groups of images of 3 bytes a row; text or numbers as labels, as others write them: with a
    /// dictionary, in small pages, packed.
    fn write(path: &Path, schema: &str, numbers: bool, compression: Compression) {
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_data_page_row_count_limit(7)
            .set_write_batch_size(7)
            .set_dictionary_page_size_limit(64)
            .build();
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let file = fs::File::create(path).unwrap();
        let mut table = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
        for group in 0..2_u8 {
            let rows: Vec<u8> = (0..40).map(|row| group * 40 + row).collect();
            let images: Vec<ByteArray> = rows.iter().map(|&row| pgm(row).into()).collect();
            let mut columns = table.next_row_group().unwrap();
            let mut column = columns.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&images, Some(&[1; 40]), None).unwrap();
            column.close().unwrap();
            if let Some(mut column) = columns.next_column().unwrap() {
                if numbers {
                    let labels: Vec<i64> = rows.iter().map(|&row| i64::from(row % 3)).collect();
                    column.typed::<Int64Type>().write_batch(&labels, None, None).unwrap();
                } else {
                    let labels: Vec<ByteArray> =
                        rows.iter().map(|&row| ["x", "y", "z"][usize::from(row % 3)].into()).collect();
                    column.typed::<ByteArrayType>().write_batch(&labels, None, None).unwrap();
                }
                column.close().unwrap();
            }
            columns.close().unwrap();
        }
        table.close().unwrap();
    }

    const TEXT: &str = "message m { optional binary image; required binary label (UTF8); }";

    #[test]
    fn tables_of_others_are_read_in_any_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.parquet");
        for (schema, numbers, classes) in [
            (TEXT, false, ["x", "y", "z"]),
            ("message m { optional binary img; required int64 label; }", true, ["0", "1", "2"]),
        ] {
            for compression in
                [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::GZIP(Default::default())]
            {
                write(&path, schema, numbers, compression);
                let source = open(&path);
                assert_eq!(source.classes(), classes);
                let all = source.load_all_as(source.format()).unwrap();
                assert_eq!(all.len(), 80);
                let limits = Limits { max_memory_bytes: 10_000, ..Limits::default() };
                let options =
                    OpenOptions { limits, size: Some([40, 40]), channels: Some(1), ..OpenOptions::default() };
                let source = Source::open(text(&path), &options).unwrap();
                let far = source.load_all_as(source.format()).unwrap();
                assert!(!far.in_memory());
                for step in 0..80 {
                    let row = step * 37 % 80;
                    let mut pixels = vec![0; 1600];
                    far.read(row, &mut pixels).unwrap();
                    assert_eq!((pixels[0], far.targets()[row]), (row as u8, row as u32 % 3));
                    assert_eq!(far.id(row), format!("train.parquet:{row:08}"));
                }
            }
        }
    }

    #[test]
    fn bad_tables_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.parquet");
        write(&path, &TEXT.replace("image", "picture"), false, Compression::UNCOMPRESSED);
        refused(&path, &["no column \"image\" (found: picture, label)"]);
        write(&path, "message m { optional binary image; }", false, Compression::UNCOMPRESSED);
        refused(&path, &["no column \"label\""]);
        let unlabelled = Source::open_unlabelled(text(&path), &OpenOptions::default()).unwrap();
        assert!(!unlabelled.is_labelled());
        write(&path, TEXT, false, Compression::UNCOMPRESSED);
        let bytes = fs::read(&path).unwrap();
        for cut in [3, 20, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&path, &bytes[..cut]).unwrap();
            refused(&path, &["cannot be read as Parquet"]);
        }
        // Whatever byte changes: an error or a data set, never a panic.
        for place in (0..bytes.len()).step_by(11) {
            let mut changed = bytes.clone();
            changed[place] ^= 0x5a;
            fs::write(&path, &changed).unwrap();
            let options = OpenOptions { on_bad_image: "skip".parse().unwrap(), ..OpenOptions::default() };
            if let Ok(source) = Source::open(text(&path), &options) {
                let _ = source.load(Split::Train);
            }
        }
    }
}
