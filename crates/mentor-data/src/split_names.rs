//! The split that the name of a folder or file means: `Train`, `validation`, `seg_test`, `imagesTr`,
//! `val2017`.

use crate::split::Split;

/// Words that mean a split wherever they stand alone.
const CERTAIN: [(Split, &[&str]); 3] = [
    (Split::Train, &["train", "training"]),
    (Split::Val, &["val", "valid", "validation"]),
    (Split::Test, &["test", "testing"]),
];

/// Words that mean a split beside another split, and may be something else alone (`tr` is Turkish too).
const LIKELY: [(Split, &[&str]); 3] = [
    (Split::Train, &["tr", "trn", "trainval"]),
    (Split::Val, &["va", "vl", "dev", "devel", "development"]),
    (Split::Test, &["te", "ts", "tst", "tests", "eval", "evaluation", "holdout"]),
];

/// Words beside the split's that say nothing.
const NEUTRAL: [&str; 25] = [
    "images", "image", "imgs", "img", "photos", "photo", "pictures", "pics", "jpg", "jpeg", "png", "data",
    "dataset", "set", "sets", "split", "splits", "samples", "files", "folder", "dir", "x", "raw", "cropped",
    "resized",
];

/// What a name says about a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SplitName {
    pub(crate) split: Split,
    /// The name says nothing else, and its word means the split alone.
    pub(crate) is_certain: bool,
    /// The other words of the name, neutral ones left out: `seg` of `seg_train`.
    rest: Vec<String>,
}

impl SplitName {
    /// Reads a name; `None` if no word of it means a split, or two mean different ones.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let (mut splits, mut rest) = (Vec::new(), Vec::new());
        let mut is_certain = true;
        for word in words(name) {
            match split_of_word(&word) {
                Some((split, certain)) => {
                    splits.push(split);
                    is_certain &= certain;
                }
                None if is_neutral(&word) => {}
                None => rest.push(word),
            }
        }
        splits.dedup();
        let split = match splits[..] {
            [split] => split,
            // Both together are what a model is trained on.
            [Split::Train, Split::Val] => Split::Train,
            _ => return None,
        };
        Some(Self { split, is_certain: is_certain && rest.is_empty() && splits.len() == 1, rest })
    }
}

/// The names that mean splits where they stand side by side: certain ones, and others beside the same name of
/// another split, as `seg_train` beside `seg_test`.
pub(crate) fn among<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Option<SplitName>> {
    let names: Vec<Option<SplitName>> = names.map(SplitName::of).collect();
    let has_partner = |name: &SplitName| {
        names.iter().flatten().any(|other| other.rest == name.rest && other.split != name.split)
    };
    let means_split = |name: &&SplitName| name.is_certain || has_partner(name);
    names.iter().map(|name| name.as_ref().filter(means_split).cloned()).collect()
}

/// The split that a single word means, as a manifest's column gives it: any case, any of the usual words.
pub(crate) fn of_word(word: &str) -> Option<Split> {
    split_of_word(&word.to_lowercase()).map(|(split, _)| split)
}

/// Whether a name says nothing but "images".
pub(crate) fn is_neutral_name(name: &str) -> bool {
    words(name).all(|word| is_neutral(&word))
}

fn is_neutral(word: &str) -> bool {
    NEUTRAL.contains(&word) || word.bytes().all(|byte| byte.is_ascii_digit())
}

/// The split, and whether the word means it alone.
fn split_of_word(word: &str) -> Option<(Split, bool)> {
    let find = |table: &[(Split, &[&str])], certain| {
        let found = table.iter().find(|(_, known)| known.contains(&word));
        found.map(|&(split, _)| (split, certain))
    };
    let glued = || {
        // `trainset`, `imgtest`
        CERTAIN.iter().flat_map(|(split, known)| known.iter().map(move |known| (*split, known))).find_map(
            |(split, known)| {
                let rest = word.strip_prefix(known).or_else(|| word.strip_suffix(known))?;
                NEUTRAL.contains(&rest).then_some((split, true))
            },
        )
    };
    find(&CERTAIN, true).or_else(|| find(&LIKELY, false)).or_else(glued)
}

/// Lower-case words of a name: runs of letters or of digits, cut before a capital that follows a small
/// letter.
fn words(name: &str) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    let mut last = ' ';
    for character in name.chars() {
        let starts = last.is_ascii_digit() != character.is_ascii_digit()
            || (last.is_lowercase() && character.is_uppercase());
        if starts || !character.is_alphanumeric() {
            words.push(String::new());
        }
        if character.is_alphanumeric() {
            words.last_mut().into_iter().for_each(|word| word.extend(character.to_lowercase()));
        }
        last = character;
    }
    words.into_iter().filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_names_are_read_whatever_their_case() {
        let cases: [(Split, &[&str]); 3] = [
            (
                Split::Train,
                &[
                    "train",
                    "Train",
                    "TRAINING",
                    "train_images",
                    "Train Set",
                    "trainset",
                    "train2017",
                    "X_train",
                ],
            ),
            (Split::Val, &["val", "Valid", "validation", "val-images", "ValidationData", "val_256"]),
            (Split::Test, &["test", "Testing", "TEST", "test.images", "testset", "test1"]),
        ];
        for (split, names) in cases {
            for name in names {
                let found = SplitName::of(name).unwrap_or_else(|| panic!("{name}"));
                assert_eq!((found.split, found.is_certain), (split, true), "{name}");
            }
        }
        let none =
            ["cat", "trainer", "contest", "bus_station", "strain", "valley", "testament", "train_test", ""];
        none.iter().for_each(|name| assert_eq!(SplitName::of(name), None, "{name}"));
    }

    #[test]
    fn other_names_need_a_partner() {
        let splits = |names: &[&str]| -> Vec<Option<Split>> {
            among(names.iter().copied()).into_iter().map(|name| name.map(|name| name.split)).collect()
        };
        let both = [Some(Split::Train), Some(Split::Test)];
        assert_eq!(splits(&["seg_train", "seg_test"]), both);
        assert_eq!(splits(&["imagesTr", "imagesTs"]), both);
        assert_eq!(splits(&["chest_xray_train", "chest_xray_test"]), both);
        assert_eq!(splits(&["train", "eval"]), both);
        assert_eq!(splits(&["train_val", "test"]), both);
        assert_eq!(splits(&["train_station", "bus_station"]), [None, None]);
        assert_eq!(splits(&["test_positive", "test_negative"]), [None, None]);
        assert_eq!(splits(&["en", "tr", "de"]), [None; 3]);
        assert_eq!(splits(&["dev"]), [None]);
    }

    #[test]
    fn a_column_may_use_any_of_the_words() {
        assert_eq!(of_word("Training"), Some(Split::Train));
        assert_eq!(of_word("dev"), Some(Split::Val));
        assert_eq!(of_word("fold 3"), None);
    }
}
