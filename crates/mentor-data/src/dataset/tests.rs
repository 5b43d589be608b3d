//! Data sets in memory: parts of them, several as one, and what identifies them.

use super::*;

fn three() -> Dataset {
    let names = |names: [&str; 3]| names.map(str::to_owned).to_vec();
    let format = ImageFormat::new(1, 1, 2);
    Dataset::from_parts(
        names(["a", "b", "c"]),
        format,
        vec![0, 1, 2, 3, 4, 5],
        vec![2, 0, 2],
        names(["x", "y", "z"]),
    )
    .unwrap()
}

#[test]
fn subset_keeps_images_targets_and_ids_together() {
    let subset = three().subset(&[2, 2, 1]);
    let mut image = [0; 2];
    subset.read(1, &mut image).unwrap();
    assert_eq!((image, subset.targets(), subset.id(2)), ([4, 5], &[2, 2, 0][..], "y"));
    assert_eq!(subset.class_counts(), [1, 0, 2]);
    let again = subset.subset(&[2]);
    again.read(0, &mut image).unwrap();
    assert_eq!(image, [2, 3]);
}

#[test]
fn joined_data_sets_are_one_with_new_labels() {
    let joined = Dataset::join(
        vec![three().subset(&[2]), three().without_labels()],
        &["p".to_owned(), "q".to_owned()],
        vec![1, 0, 1, 1],
    );
    let mut image = [0; 2];
    joined.subset(&[3, 0]).read(1, &mut image).unwrap();
    assert_eq!((image, joined.targets(), joined.id(1)), ([4, 5], &[1, 0, 1, 1][..], "x"));
    assert_eq!((joined.class_counts(), joined.in_memory()), (vec![1, 3], true));
    let same = three().subset(&[2, 0, 1, 2]);
    assert_eq!(joined.channel_sums(), same.channel_sums());
    assert_eq!(joined.images_blake3(), same.images_blake3());
    assert_eq!(joined.image_blake3(0), joined.image_blake3(3));
}

#[test]
fn images_keep_their_order_and_ids_without_labels() {
    let unlabelled = three().without_labels();
    assert!(!unlabelled.is_labelled() && unlabelled.targets().is_empty() && unlabelled.classes().is_empty());
    assert_eq!((unlabelled.len(), unlabelled.id(1), unlabelled.class_counts()), (3, "y", vec![]));
    let subset = unlabelled.subset(&[2, 0]);
    let mut image = [0; 2];
    subset.read(0, &mut image).unwrap();
    assert_eq!((subset.len(), image, subset.is_labelled()), (2, [4, 5], false));
}

#[test]
fn the_hash_of_the_images_knows_content_and_order_and_not_labels() {
    let hash = three().images_blake3();
    assert_eq!(hash, three().without_labels().images_blake3());
    assert_eq!(hash, three().subset(&[0, 1, 2]).images_blake3());
    for indices in [&[0, 2, 1][..], &[0, 1], &[0, 1, 2, 2]] {
        assert_ne!(hash, three().subset(indices).images_blake3());
    }
}

#[test]
fn parts_that_disagree_are_refused() {
    let names = |count: usize| (0..count).map(|i| i.to_string()).collect::<Vec<_>>();
    let build = |pixels, targets, ids| {
        Dataset::from_parts(names(2), ImageFormat::new(1, 1, 1), pixels, targets, names(ids))
    };
    assert!(build(vec![0, 0], vec![0, 1], 2).is_ok());
    for bad in [build(vec![0], vec![0, 1], 2), build(vec![0, 0], vec![0, 2], 2), build(vec![0], vec![0], 2)] {
        assert!(matches!(bad.unwrap_err(), DataError::Inconsistent { .. }));
    }
}
