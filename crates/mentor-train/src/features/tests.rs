use std::fs;

use super::*;

fn row(value: f32) -> (ImageHash, Row) {
    ([value as u8; blake3::OUT_LEN], Row::from([value, value + 0.5, -value]))
}

fn cache(root: &Path) -> FeatureCache<'_> {
    FeatureCache::new(Some(root), &blake3::hash(b"a network"), 3)
}

fn files(root: &Path) -> Vec<std::path::PathBuf> {
    let folder = fs::read_dir(root).unwrap().next().unwrap().unwrap().path();
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn what_is_kept_is_found_by_the_image_and_only_by_the_same_network() {
    let root = tempfile::tempdir().unwrap();
    let rows = [row(1.0), row(2.0)];
    cache(root.path()).write(&rows).unwrap();
    cache(root.path()).write(&[row(3.0)]).unwrap();
    let wanted = [row(1.0).0, row(3.0).0, row(4.0).0];
    let found = cache(root.path()).read(wanted.iter());
    assert_eq!(found.len(), 2);
    assert_eq!((&found[&row(1.0).0], &found[&row(3.0).0]), (&row(1.0).1, &row(3.0).1));
    let other = FeatureCache::new(Some(root.path()), &blake3::hash(b"another"), 3);
    assert!(other.read(wanted.iter()).is_empty());
    let none = FeatureCache::new(None, &blake3::hash(b"a network"), 3);
    assert!(none.write(&rows).is_ok() && none.read(wanted.iter()).is_empty());
}

#[test]
fn a_file_that_is_damaged_anywhere_is_removed_and_not_read() {
    let root = tempfile::tempdir().unwrap();
    let rows = [row(1.0), row(2.0)];
    let whole = segment::bytes(&rows);
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 4;
        assert!(segment::read(&damaged, 3).is_none(), "byte {place}");
        assert!(segment::read(&whole[..place], 3).is_none(), "cut at {place}");
    }
    assert!(segment::read(&whole, 2).is_none() && segment::read(&whole, 3).is_some());
    let infinite = segment::bytes(&[([0; 32], Row::from([1.0, f32::INFINITY, 0.0]))]);
    assert!(segment::read(&infinite, 3).is_none());

    cache(root.path()).write(&rows).unwrap();
    let file = files(root.path()).pop().unwrap();
    fs::write(&file, &whole[..40]).unwrap();
    assert!(cache(root.path()).read([row(1.0).0].iter()).is_empty());
    assert!(!file.exists());
}

#[test]
fn channels_come_last_in_every_image() {
    assert_eq!(channels_last(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3, 1), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let planes: Vec<f32> = (0..12).map(|value| value as f32).collect();
    let pixels = channels_last(&planes, 3, 2);
    assert_eq!(pixels, [0.0, 2.0, 4.0, 1.0, 3.0, 5.0, 6.0, 8.0, 10.0, 7.0, 9.0, 11.0]);
}
