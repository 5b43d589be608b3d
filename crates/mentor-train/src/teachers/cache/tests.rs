use super::key::tests::{key, shape};
use super::*;

/// A score for each place, with a fraction whose bits would show any change.
fn score(view: u64, sample: usize, class: usize) -> f32 {
    (view as f32 + 0.1) * 100.0 + sample as f32 + class as f32 / 7.0
}

#[derive(Debug, thiserror::Error)]
enum BuildError {
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error("interrupted")]
    Interrupted,
}

/// View and samples of the blocks that were computed.
type Calls = Vec<(u64, Range<usize>)>;

/// Builds or opens a cache of 10 samples, 3 classes and 2 views in blocks of 4; stops before block `stop_at`.
/// Gives the blocks that were computed.
fn build(path: &Path, key: &CacheKey, stop_at: usize) -> (Result<TeacherCache, BuildError>, Calls) {
    let mut calls = Calls::new();
    let outcome = TeacherCache::open_or_build(path, key, shape(10, 3, 2), 4, |view, samples| {
        if calls.len() == stop_at {
            return Err(BuildError::Interrupted);
        }
        calls.push((view, samples.clone()));
        Ok(samples.flat_map(|sample| (0..3).map(move |class| score(view, sample, class))).collect())
    });
    (outcome, calls)
}

fn assert_right(cache: &TeacherCache) {
    for view in 0..2 {
        let samples = [9, 0, 4, 3, 3, 8];
        let expected: Vec<f32> =
            samples.iter().flat_map(|&s| (0..3).map(move |class| score(view, s as usize, class))).collect();
        assert_eq!(cache.rows(view, &samples).unwrap(), expected);
    }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("teacher.scores");
    (directory, path)
}

fn refusal(outcome: Result<TeacherCache, BuildError>) -> String {
    let Err(BuildError::Cache(error)) = outcome else { panic!("no refusal of the cache") };
    let message = error.to_string();
    assert!(!message.contains('\n') && !error.help().is_empty(), "not one line with a next step: {message}");
    message
}

#[test]
fn a_cache_is_built_in_order_once_and_then_only_read() {
    let (directory, path) = place();
    let (built, calls) = build(&path, &key(), usize::MAX);
    assert_eq!(calls, [(0, 0..4), (0, 4..8), (0, 8..10), (1, 0..4), (1, 4..8), (1, 8..10)]);
    assert_right(&built.unwrap());
    let (opened, calls) = build(&path, &key(), 0);
    assert!(calls.is_empty());
    assert_right(&opened.unwrap());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left behind");
}

#[test]
fn a_build_that_was_killed_goes_on_after_its_last_whole_block() {
    let (_directory, path) = place();
    let (whole, _) = build(&path, &key(), usize::MAX);
    drop(whole);
    let expected = fs::read(&path).unwrap();
    for stop_at in 0..6 {
        // Cleanly between blocks, within one, and with a byte of the last block wrong.
        for damage in 0..3 {
            fs::remove_file(&path).unwrap();
            let (stopped, calls) = build(&path, &key(), stop_at);
            assert!(matches!(stopped, Err(BuildError::Interrupted)) && calls.len() == stop_at);
            assert!(!path.exists());
            let partial = beside(&path, ".partial");
            let mut bytes = fs::read(&partial).unwrap();
            let mut kept = stop_at;
            match damage {
                1 => bytes.extend([1, 2, 3]),
                2 if stop_at > 0 => {
                    let last = bytes.len() - 40;
                    bytes[last] ^= 1;
                    kept -= 1;
                }
                _ => {}
            }
            fs::write(&partial, bytes).unwrap();
            let (resumed, calls) = build(&path, &key(), usize::MAX);
            assert_eq!(calls.len(), 6 - kept, "stopped at {stop_at}, damage {damage}");
            assert_right(&resumed.unwrap());
            assert_eq!(fs::read(&path).unwrap(), expected);
        }
    }
}

#[test]
fn a_build_of_another_key_is_begun_again() {
    let (_directory, path) = place();
    let other = CacheKey { seed: 8, ..key() };
    assert!(build(&path, &other, 4).0.is_err());
    let (built, calls) = build(&path, &key(), usize::MAX);
    assert_eq!(calls.len(), 6);
    assert_right(&built.unwrap());
}

#[test]
fn a_foreign_cache_is_refused_with_what_differs_and_left_alone() {
    let (_directory, path) = place();
    drop(build(&path, &key(), usize::MAX));
    let before = fs::read(&path).unwrap();
    let other = CacheKey { teacher_weights: "c".repeat(64), images: "d".repeat(64), ..key() };
    let (refused, calls) = build(&path, &other, usize::MAX);
    let message = refusal(refused);
    assert!(message.starts_with(path.to_str().unwrap()), "{message}");
    assert!(message.contains("the teacher's weights (cached aaaaaaaaaaaa…, now cccccccccccc…)"), "{message}");
    assert!(message.contains("the images (cached bbbbbbbbbbbb…, now dddddddddddd…)"), "{message}");
    assert!(!message.contains("seed") && calls.is_empty());
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn damage_anywhere_is_found() {
    let (_directory, path) = place();
    drop(build(&path, &key(), usize::MAX));
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let (refused, calls) = build(&path, &key(), 0);
        assert!(
            matches!(refused, Err(BuildError::Cache(CacheError::Damaged { .. }))),
            "byte {at}: {refused:?}"
        );
        assert!(calls.is_empty());
    }
    for length in (0..whole.len()).step_by(13) {
        fs::write(&path, &whole[..length]).unwrap();
        let (Err(BuildError::Cache(error)), _) = build(&path, &key(), 0) else {
            panic!("{length} bytes are read")
        };
        assert!(error.help()[0].contains("delete the file"), "{length} bytes: {error}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    fs::write(&path, longer).unwrap();
    assert!(refusal(build(&path, &key(), 0).0).contains("cut off or added to"));
    fs::write(&path, b"thesis").unwrap();
    assert!(refusal(build(&path, &key(), 0).0).contains("is no file of a teacher's scores"));
}

#[test]
fn a_header_that_lies_about_sizes_takes_no_memory() {
    let (_directory, path) = place();
    let mut bytes = b"mentorTC".to_vec();
    bytes.extend(u32::MAX.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    assert!(refusal(build(&path, &key(), 0).0).contains("4294967295 bytes"));
    let header = Header::new(describe(&key(), &shape(10, 3, 2)), usize::MAX);
    fs::write(&path, header.bytes()).unwrap();
    assert!(refusal(build(&path, &key(), 0).0).contains("cut off"));
    for shape in [shape(usize::MAX, 3, 2), shape(10, usize::MAX, 2), shape(1 << 40, 1 << 20, u64::MAX)] {
        let compute = |_, _| -> Result<Vec<f32>, CacheError> { panic!("nothing is computed") };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large");
        let refused = TeacherCache::open_or_build(&path, &key(), shape, 4, compute).unwrap_err();
        assert!(matches!(refused, CacheError::TooLarge { .. }), "{refused}");
    }
}

#[test]
fn a_score_that_is_not_finite_is_refused_with_its_place() {
    let (_directory, path) = place();
    let compute = |view, samples: Range<usize>| -> Result<Vec<f32>, CacheError> {
        let bad = |sample: usize, class| view == 1 && sample == 5 && class == 2;
        let row = |sample| (0..3).map(move |class| if bad(sample, class) { f32::NAN } else { 0.0 });
        Ok(samples.flat_map(row).collect())
    };
    let refused = TeacherCache::open_or_build(&path, &key(), shape(10, 3, 2), 4, compute).unwrap_err();
    assert!(matches!(refused, CacheError::NotFinite { sample: 5, view: 1, .. }), "{refused}");
    assert!(!path.exists());
}

#[test]
fn two_processes_do_not_build_the_same_cache() {
    let (_directory, path) = place();
    let lock = lock(&beside(&path, ".partial")).unwrap();
    assert!(refusal(build(&path, &key(), usize::MAX).0).contains("another process"));
    drop(lock);
    assert!(build(&path, &key(), usize::MAX).0.is_ok());
}

#[test]
fn no_samples_and_blocks_larger_than_the_data_are_no_special_case() {
    let (_directory, path) = place();
    let none = |_, _| -> Result<Vec<f32>, CacheError> { panic!("there is nothing to compute") };
    let cache = TeacherCache::open_or_build(&path, &key(), shape(0, 3, 2), 4, none).unwrap();
    assert!(cache.rows(1, &[]).unwrap().is_empty());
    fs::remove_file(&path).unwrap();
    let compute = |view, samples: Range<usize>| -> Result<Vec<f32>, CacheError> {
        Ok(samples.map(|sample| score(view, sample, 0)).collect())
    };
    drop(TeacherCache::open_or_build(&path, &key(), shape(5, 1, 3), 1000, compute).unwrap());
    let cache = TeacherCache::open_or_build(&path, &key(), shape(5, 1, 3), 2, compute).unwrap();
    assert_eq!(cache.rows(2, &[4, 1]).unwrap(), [score(2, 4, 0), score(2, 1, 0)]);
    assert_eq!(cache.shape(), shape(5, 1, 3));
}

#[test]
#[should_panic(expected = "sample 10 in view 0")]
fn a_sample_that_is_not_there_is_a_programmers_error() {
    let (_directory, path) = place();
    let _ = build(&path, &key(), usize::MAX).0.unwrap().rows(0, &[10]);
}
