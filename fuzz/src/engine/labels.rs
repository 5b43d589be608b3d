//! What a teacher said: shards of pseudo-labels with their manifests, caches of scores.

use std::ops::Range;

use mentor_train::pseudo_labels::{LabelSet, Manifest, finished_shard};
use mentor_train::{CacheError, CacheKey, CacheShape, TeacherCache};
use serde_json::Value;

use crate::parsers::place::{folder, put};

/// A shard, whose first byte is its number of rows; the manifest beside it is made to fit.
pub fn labels(bytes: &[u8]) {
    let Some((&num_rows, shard)) = bytes.split_first() else { return };
    let mut manifest = own_manifest();
    manifest.num_rows = u64::from(num_rows);
    manifest.num_bytes = shard.len() as u64;
    manifest.file_blake3 = blake3::hash(shard).to_hex().to_string();
    read(shard, &serde_json::to_vec(&manifest).expect("plain data"));
}

/// The manifest of a shard that is whole.
pub fn labels_manifest(bytes: &[u8]) {
    read(&include_bytes!("../../seeds/labels/shard")[1..], bytes);
}

fn own_manifest() -> Manifest {
    serde_json::from_slice(include_bytes!("../../seeds/labels_manifest/shard")).expect("a seed is whole")
}

fn read(shard: &[u8], manifest: &[u8]) {
    let path = folder("labels", |_| {}).join("labels.parquet");
    put(&path, shard);
    put(&Manifest::path_of(&path), manifest);
    let _ = finished_shard(&path, &own_manifest().header, own_manifest().shard);
    let Ok(set) = LabelSet::open(&path) else { return };
    let num_classes = set.header().classes.len();
    for row in set.rows() {
        let Ok(row) = row else { return };
        assert_eq!(row.scores.len(), num_classes);
    }
}

/// A cache, or one half built if the first byte is odd. Its second bit makes the checksum of the header
/// right.
pub fn teacher_cache(bytes: &[u8]) {
    let Some((&kind, cache)) = bytes.split_first() else { return };
    let mut cache = cache.to_vec();
    if kind & 2 != 0 {
        seal(&mut cache);
    }
    let (key, shape) = own_key();
    let path = folder("cache", |_| {}).join("teacher.cache");
    let partial = path.with_extension("cache.partial");
    for path in [&path, &partial] {
        let _ = std::fs::remove_file(path);
    }
    put(if kind & 1 == 0 { &path } else { &partial }, &cache);
    let teacher = |_view: u64, samples: Range<usize>| -> Result<Vec<f32>, CacheError> {
        Ok(vec![0.5; samples.len() * shape.num_classes])
    };
    if let Ok(cache) = TeacherCache::open_or_build(&path, &key, shape, 4, teacher) {
        let last = shape.num_samples as u32 - 1;
        let rows = cache.rows(shape.views.get() - 1, &[0, last]).expect("a cache that was checked");
        assert_eq!(rows.len(), 2 * shape.num_classes);
    }
}

/// Writes the checksum of a header where the header says that it is.
fn seal(cache: &mut [u8]) {
    let Some(&length) = cache.get(8..).and_then(<[u8]>::first_chunk::<4>) else { return };
    let end = 12 + u32::from_le_bytes(length) as usize;
    if let Some((header, rest)) = cache.split_at_mut_checked(end)
        && rest.len() >= blake3::OUT_LEN
    {
        rest[..blake3::OUT_LEN].copy_from_slice(blake3::hash(header).as_bytes());
    }
}

/// What the seed is a cache of, as its header says.
fn own_key() -> (CacheKey, CacheShape) {
    let seed = &include_bytes!("../../seeds/teacher_cache/scores")[1..];
    let length = seed[8..].first_chunk().map_or(0, |&bytes| u32::from_le_bytes(bytes)) as usize;
    let fields: Value = serde_json::from_slice(&seed[12..12 + length]).expect("a seed is whole");
    let text = |name: &str| fields[name].as_str().expect("a text").to_owned();
    let number = |name: &str| fields[name].as_u64().expect("a number");
    let key = CacheKey {
        teacher_weights: text("teacher_weights"),
        teacher_preprocessing: serde_json::from_value(fields["teacher_preprocessing"].clone())
            .expect("as written"),
        student_format: serde_json::from_value(fields["student_format"].clone()).expect("as written"),
        augment: serde_json::from_value(fields["augment"].clone()).expect("as written"),
        seed: number("seed"),
        images: text("images"),
    };
    let shape = CacheShape {
        num_samples: number("num_samples") as usize,
        num_classes: number("num_classes") as usize,
        views: number("views").try_into().expect("at least 1"),
    };
    (key, shape)
}
