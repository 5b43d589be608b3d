//! The fields in which two configurations differ. The same data under another name, such as `./data` for
//! `data`, does not differ.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::config::Config;

/// Fields that name files and folders, relative to the folder in which the command runs.
const PLACES: [&str; 6] = [
    "data.source",
    "data.triplets",
    "model.backbone",
    "distill.teachers",
    "self_train.unlabelled",
    "self_train.labels",
];

/// Whether the field names a place, which may be named in several ways.
pub(super) fn is_place(field: &str) -> bool {
    PLACES.contains(&field)
}

/// Names of the fields in which two configurations differ, such as `optimizer.learning_rate`.
pub(super) fn differences(stored: &Config, wanted: &Config) -> Vec<String> {
    let json = |config: &Config| serde_json::to_value(config).expect("a Config is plain data");
    let mut found = Vec::new();
    walk("", &json(stored), &json(wanted), &mut found);
    found
}

fn walk(path: &str, stored: &Value, wanted: &Value, found: &mut Vec<String>) {
    if let (Value::Object(left), Value::Object(right)) = (stored, wanted) {
        let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
        for key in keys {
            let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            walk(&at, left.get(key).unwrap_or(&Value::Null), right.get(key).unwrap_or(&Value::Null), found);
        }
    } else if stored != wanted && !(is_place(path) && same_places(stored, wanted)) {
        found.push(path.to_owned());
    }
}

fn same_places(stored: &Value, wanted: &Value) -> bool {
    match (stored, wanted) {
        (Value::String(stored), Value::String(wanted)) => same_data(stored, wanted),
        (Value::Array(stored), Value::Array(wanted)) => {
            stored.len() == wanted.len()
                && stored.iter().zip(wanted).all(|(stored, wanted)| same_places(stored, wanted))
        }
        _ => stored == wanted,
    }
}

/// Whether two names are of the same data: the same word, or two ways to the same file or folder.
pub fn same_data(first: &str, second: &str) -> bool {
    // The embedded digits are no folder of that name.
    let embedded = first == "digits" || second == "digits";
    let place = |name: &str| fs::canonicalize(name).ok();
    first == second || (!embedded && place(first).is_some_and(|first| Some(first) == place(second)))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::DistillConfig;

    #[test]
    fn ways_to_the_same_folder_are_no_difference_and_other_folders_are() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        for folder in ["data", "other", "t"] {
            fs::create_dir(at(folder)).unwrap();
        }
        let config = |source: &str, teacher: &str, seed: u64| {
            let mut config = Config::default();
            config.data.source = Some(source.to_owned());
            config.training.seed = Some(seed);
            config.distill =
                Some(DistillConfig { teachers: vec![PathBuf::from(teacher)], ..Default::default() });
            config
        };
        let stored = config(&at("data"), &at("t"), 1);
        let of =
            |source: &str, teacher: &str, seed: u64| differences(&stored, &config(source, teacher, seed));
        assert!(of(&at("data/"), &at("./t"), 1).is_empty());
        assert!(of(&at("other/../data"), &at("data/../t/."), 1).is_empty());
        assert_eq!(of(&at("other"), &at("gone"), 1), ["data.source", "distill.teachers"]);
        assert_eq!(of(&at("gone"), &at("t"), 2), ["data.source", "training.seed"]);
        assert!(!same_data("digits", "./digits") && same_data("digits", "digits"));
        assert!(!same_data(&at("gone"), &at("lost")) && same_data("gone", "gone"));
    }
}
