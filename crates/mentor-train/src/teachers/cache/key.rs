//! What a cache of teacher scores was made from, and how two of them differ.

use std::num::NonZeroU64;

use mentor_data::{Augment, ImageFormat, Preprocessing};
use serde::Serialize;
use serde_json::Value;

/// Everything that decides a teacher's scores. Two keys that agree name the same scores.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CacheKey {
    /// [`weights_blake3`](mentor_model::weights_blake3) of the teacher.
    pub teacher_weights: String,
    /// What is done to an image before the teacher sees it.
    pub teacher_preprocessing: Preprocessing,
    /// The format in which the student sees the images: the teacher is shown the student's view.
    pub student_format: ImageFormat,
    /// What makes a view of an image.
    pub augment: Augment,
    /// Seed of the views.
    pub seed: u64,
    /// [`Dataset::images_blake3`](mentor_data::Dataset::images_blake3) of the images.
    pub images: String,
}

/// How many scores a cache holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CacheShape {
    /// Samples of the data set.
    pub num_samples: usize,
    /// Scores of one sample in one view, or values of its embedding.
    pub num_classes: usize,
    /// Fixed views of each sample.
    pub views: NonZeroU64,
}

/// The fields of a header that must agree, and what to call them.
const FIELDS: [(&str, &str); 10] = [
    ("mentor_version", "the version of mentor"),
    ("teacher_weights", "the teacher's weights"),
    ("teacher_preprocessing", "the teacher's preprocessing"),
    ("student_format", "the student's image format"),
    ("augment", "the augmentation"),
    ("seed", "the seed"),
    ("images", "the images"),
    ("num_samples", "the number of samples"),
    ("num_classes", "the number of classes"),
    ("views", "the number of augmentations"),
];

/// What a header says, as flat JSON: the key, the shape, and the version that augmented and decoded.
pub(crate) fn describe(key: &CacheKey, shape: &CacheShape) -> Value {
    // By way of text, so that f32 and f64 of one number compare equal, as they do when read from a file.
    let parse = |text: serde_json::Result<String>| {
        serde_json::from_str(&text.expect("plain data")).expect("what was just written")
    };
    let mut fields: serde_json::Map<String, Value> = parse(serde_json::to_string(key));
    fields.extend(parse(serde_json::to_string(shape)));
    fields.insert("mentor_version".to_owned(), env!("CARGO_PKG_VERSION").into());
    Value::Object(fields)
}

/// One phrase for each field that differs, such as `the seed (cached 1, now 2)`.
pub(crate) fn differences(cached: &Value, wanted: &Value) -> Vec<String> {
    FIELDS
        .iter()
        .filter(|(field, _)| cached.get(field) != wanted.get(field))
        .map(|(field, name)| {
            format!("{name} (cached {}, now {})", brief(cached.get(field)), brief(wanted.get(field)))
        })
        .collect()
}

/// A value in a few characters: hashes by their beginning, JSON objects as they are.
fn brief(value: Option<&Value>) -> String {
    const HASH_LENGTH: usize = 64;
    match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) if text.len() == HASH_LENGTH && text.is_ascii() => {
            format!("{}…", &text[..12])
        }
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn key() -> CacheKey {
        let format = ImageFormat::new(1, 8, 8);
        CacheKey {
            teacher_weights: "a".repeat(64),
            teacher_preprocessing: Preprocessing {
                format: format.clone(),
                mean: vec![0.1307],
                std: vec![0.3081],
            },
            student_format: format,
            augment: Augment::SHIFT,
            seed: 7,
            images: "b".repeat(64),
        }
    }

    pub(crate) fn shape(num_samples: usize, num_classes: usize, views: u64) -> CacheShape {
        CacheShape { num_samples, num_classes, views: views.try_into().unwrap() }
    }

    #[test]
    fn every_part_of_the_key_is_compared_and_named() {
        let base = describe(&key(), &shape(10, 3, 2));
        assert!(differences(&base, &describe(&key(), &shape(10, 3, 2))).is_empty());
        assert_eq!(base.as_object().unwrap().len(), FIELDS.len(), "a field that is not compared");
        let written: Value = serde_json::from_str(&base.to_string()).unwrap();
        assert!(differences(&written, &base).is_empty(), "a file keeps every digit");
        let mut other = key();
        other.teacher_weights = format!("c{}", &other.teacher_weights[1..]);
        other.teacher_preprocessing.mean[0] = 0.13;
        other.student_format.width = 9;
        other.augment = Augment::Standard;
        other.seed = 8;
        other.images = "d".repeat(64);
        let found = differences(&base, &describe(&other, &shape(11, 4, 3)));
        assert_eq!(found.len(), FIELDS.len() - 1);
        assert_eq!(found[0], "the teacher's weights (cached aaaaaaaaaaaa…, now caaaaaaaaaaa…)");
        assert_eq!(found[3], "the augmentation (cached shift, now standard)");
        assert_eq!(found[8], "the number of augmentations (cached 2, now 3)");
    }
}
