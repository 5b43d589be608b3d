//! CSV files: manifests and triplets.

use std::sync::OnceLock;

use mentor_data::{Dataset, OpenOptions, Source, Split, read_triplets};

use super::arrays::open;
use super::place::{folder, put};

/// A manifest beside the pictures `a.pgm` to `d.pgm`.
pub fn manifest(bytes: &[u8]) {
    let place = folder("manifest", |place| {
        for (name, value) in [("a.pgm", 0), ("b.pgm", 80), ("c.pgm", 160), ("d.pgm", 240)] {
            put(&place.join(name), &[b"P5 1 1 255\n", &[value][..]].concat());
        }
    });
    for name in ["data.csv", "data.tsv"] {
        put(&place.join(name), bytes);
        open(&place.join(name));
    }
}

/// Triplets of the embedded digits.
pub fn triplets(bytes: &[u8]) {
    static DIGITS: OnceLock<Dataset> = OnceLock::new();
    let digits = DIGITS.get_or_init(|| {
        let source = Source::open("digits", &OpenOptions::default()).expect("digits are embedded");
        source.load(Split::Val).expect("digits have a validation split")
    });
    let path = folder("triplets", |_| {}).join("triplets.csv");
    put(&path, bytes);
    if let Ok(triplets) = read_triplets(&path, digits) {
        assert!(triplets.iter().flatten().all(|&sample| (sample as usize) < digits.len()));
    }
}
