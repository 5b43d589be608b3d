//! Files of pseudo-labels: whole, of one teacher, or refused.

use std::fs;
use std::path::{Path, PathBuf};

use mentor_metrics::pseudo_labels::{Prediction, changed_labels};
use mentor_train::pseudo_labels::{
    LabelRow, LabelSet, LabelsError, LabelsHeader, LabelsWriter, Manifest, Shard, finished_shard,
};

fn header(teacher: &str) -> LabelsHeader {
    LabelsHeader {
        teacher_blake3: blake3::hash(teacher.as_bytes()).to_hex().to_string(),
        images_blake3: "c0ffee".to_owned(),
        classes: ["cat", "dog", "eel"].map(str::to_owned).to_vec(),
        round: 2,
        temperature: 1.5,
    }
}

fn stored_rows(range: std::ops::Range<u64>) -> Vec<LabelRow> {
    range
        .map(|index| LabelRow {
            id: format!("folder/ünï {index}.png"),
            image_blake3: *blake3::hash(&index.to_le_bytes()).as_bytes(),
            scores: (0..3).map(|class| ((index * 7 + class * 13) % 101) as f32 / 8.0 - 5.0).collect(),
        })
        .collect()
}

fn write(folder: &Path, teacher: &str, shard: Shard, num_images: u64) -> PathBuf {
    let path = folder.join(shard.file_name());
    let mut writer = LabelsWriter::create(&path, header(teacher), shard).unwrap();
    for row in stored_rows(shard.range(num_images)) {
        writer.push(&row.id, &row.image_blake3, &row.scores).unwrap();
    }
    writer.finish().unwrap();
    path
}

fn shard(index: u32, count: u32) -> Shard {
    Shard::new(index, count).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn rows_come_back_in_order_over_row_groups_and_shards() {
    let folder = tempfile::tempdir().unwrap();
    // The first shard has more rows than a row group; the last has none.
    for (index, num_images) in [(0, 40_000), (1, 40_000)] {
        write(folder.path(), "t", shard(index, 2), num_images);
    }
    let set = LabelSet::open(folder.path()).unwrap();
    assert_eq!((set.num_rows(), set.header()), (40_000, &header("t")));
    let rows: Vec<LabelRow> = set.rows().collect::<Result<_, _>>().unwrap();
    assert!(rows == stored_rows(0..40_000));
    let empty = tempfile::tempdir().unwrap();
    let file = write(empty.path(), "t", Shard::WHOLE, 0);
    assert_eq!(LabelSet::open(&file).unwrap().rows().count(), 0);
}

#[test]
fn equal_rows_give_equal_bytes_and_nothing_is_left_beside_them() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = [&one, &two].map(|folder| write(folder.path(), "t", Shard::WHOLE, 500));
    assert!(fs::read(&files[0]).unwrap() == fs::read(&files[1]).unwrap());
    assert_eq!(names(one.path()), ["labels.parquet", "labels.parquet.json"]);
    for file in names(one.path()) {
        assert_eq!(fs::read(one.path().join(&file)).unwrap(), fs::read(two.path().join(&file)).unwrap());
    }
}

#[test]
fn an_unfinished_writer_leaves_the_old_file_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "t", Shard::WHOLE, 10);
    let before = fs::read(&path).unwrap();
    let mut writer = LabelsWriter::create(&path, header("t"), Shard::WHOLE).unwrap();
    let row = &stored_rows(0..1)[0];
    writer.push(&row.id, &row.image_blake3, &row.scores).unwrap();
    let error = writer.push("x.png", &row.image_blake3, &[1.0, f32::NAN, 0.0]).unwrap_err();
    assert_eq!(error.to_string(), "image \"x.png\": its scores are not finite");
    assert_eq!(error.help(), ["check the teacher's weights"]);
    drop(writer);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(names(folder.path()), ["labels.parquet", "labels.parquet.json"]);
}

#[test]
fn a_finished_shard_is_skipped_and_a_damaged_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(shard(1, 3).file_name());
    assert_eq!(finished_shard(&path, &header("t"), shard(1, 3)).unwrap(), None);
    write(folder.path(), "t", shard(1, 3), 90);
    let done = finished_shard(&path, &header("t"), shard(1, 3)).unwrap();
    assert_eq!(done.map(|manifest| manifest.num_rows), Some(30));
    let other = finished_shard(&path, &header("other"), shard(1, 3)).unwrap_err().to_string();
    assert!(other.contains("weights of the teacher"), "{other}");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(finished_shard(&path, &header("t"), shard(1, 3)).unwrap(), None);
    fs::remove_file(Manifest::path_of(&path)).unwrap();
    assert_eq!(finished_shard(&path, &header("t"), shard(1, 3)).unwrap(), None);
}

#[test]
fn every_damage_is_one_clear_line() {
    let line = |spoil: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "t", Shard::WHOLE, 300);
        spoil(&path);
        let message = LabelSet::open(folder.path()).unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message}");
        message
    };
    let truncated = line(&|path| fs::write(path, &fs::read(path).unwrap()[..5000]).unwrap());
    assert!(truncated.contains("damaged: has 5000 bytes where its manifest says"), "{truncated}");
    let flipped = line(&|path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[4000] ^= 0x40;
        fs::write(path, bytes).unwrap();
    });
    assert!(flipped.contains("its bytes are not those"), "{flipped}");
    let alone = line(&|path| fs::remove_file(Manifest::path_of(path)).unwrap());
    assert!(alone.contains("has no manifest"), "{alone}");
    let foreign = line(&|path| {
        let bytes = b"PAR1 is how this begins, and no more".to_vec();
        let text = fs::read_to_string(Manifest::path_of(path)).unwrap();
        let mut manifest: Manifest = serde_json::from_str(&text).unwrap();
        manifest.num_bytes = bytes.len() as u64;
        manifest.file_blake3 = blake3::hash(&bytes).to_hex().to_string();
        fs::write(path, bytes).unwrap();
        fs::write(Manifest::path_of(path), serde_json::to_string(&manifest).unwrap()).unwrap();
        // Its manifest vouches for it, so only reading it can tell.
        let set = LabelSet::open(path).unwrap();
        let errors: Vec<_> = set.rows().collect();
        assert!(matches!(errors[..], [Err(LabelsError::Damaged { .. })]), "{errors:?}");
        fs::remove_file(path).unwrap();
        fs::remove_file(Manifest::path_of(path)).unwrap();
    });
    assert!(foreign.contains("holds no pseudo-labels"), "{foreign}");
    let manifest = line(&|path| fs::write(Manifest::path_of(path), "{").unwrap());
    assert!(manifest.contains("labels.parquet.json: damaged"), "{manifest}");
}

#[test]
fn shards_that_do_not_belong_together_are_refused() {
    let refused = |shards: &[(&str, Shard)]| {
        let folder = tempfile::tempdir().unwrap();
        for &(teacher, shard) in shards {
            write(folder.path(), teacher, shard, 30);
        }
        LabelSet::open(folder.path()).unwrap_err()
    };
    let mixed = refused(&[("t", shard(0, 2)), ("u", shard(1, 2))]);
    assert!(matches!(mixed, LabelsError::MixedTeachers { .. }));
    assert_eq!(mixed.help(), ["give the shards of one teacher"]);
    let counts = refused(&[("t", shard(0, 2)), ("t", shard(1, 3))]).to_string();
    assert!(counts.contains("differ in their number of shards"), "{counts}");
    let missing = refused(&[("t", shard(0, 3)), ("t", shard(2, 3))]).to_string();
    assert!(missing.contains("shard 1/3 is missing"), "{missing}");
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "t", Shard::WHOLE, 30);
    let copy = folder.path().join("copy.parquet");
    fs::copy(&path, &copy).unwrap();
    fs::copy(Manifest::path_of(&path), Manifest::path_of(&copy)).unwrap();
    let twice = LabelSet::open(folder.path()).unwrap_err().to_string();
    assert!(twice.contains("shard 0/1 is there twice"), "{twice}");
}

#[test]
fn two_rounds_are_compared_as_they_stream() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "t", Shard::WHOLE, 100);
    let set = LabelSet::open(&path).unwrap();
    let labels = || {
        set.rows().map(|row| {
            row.map(|row| {
                let label = Prediction::new(&row.scores, 1.0).map_or(0, |prediction| prediction.label);
                (row.id, label)
            })
        })
    };
    let same = changed_labels(labels(), labels(), 3).unwrap();
    assert_eq!((same.num_images, same.share()), (100, 0.0));
    let moved = labels().map(|row| row.map(|(id, label)| (id, (label + 1) % 3)));
    assert_eq!(changed_labels(labels(), moved, 3).unwrap().share(), 1.0);
    let error = changed_labels(labels(), labels().skip(1), 3).unwrap_err();
    assert!(matches!(error, LabelsError::Order(_)), "{error}");
}
