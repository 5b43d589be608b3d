//! Images with the same pixels, inside a split and between splits. Between splits they make scores too high.

use std::collections::HashMap;

use serde::Serialize;

use crate::notes::Note;
use crate::source::catalogue::Record;
use crate::split::Split;

/// Images of a data set whose decoded pixels are the same. Their files may differ: in compression, format or
/// what else they say.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Duplicates {
    /// Inside each split that has any: later copies of an earlier image.
    pub within: Vec<Repeats>,
    /// Between each two splits that share any.
    pub across: Vec<Leak>,
}

/// Images that occur more than once in one split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Repeats {
    /// The split.
    pub split: Split,
    /// `[id of the first, id of a later copy]`: an image that occurs three times gives two pairs.
    pub pairs: Vec<[String; 2]>,
    /// How many of the pairs have two different labels.
    pub num_conflicting: usize,
    /// How many of the pairs have the same pixels in files of other bytes.
    pub num_other_bytes: usize,
}

/// Images of one split that another split has too.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Leak {
    /// The split that is fitted or chosen on: train before val before test.
    pub from: Split,
    /// The split that would be measured on.
    pub to: Split,
    /// `[id in from, id of its first twin in to]`, one for every sample of `from` that has a twin.
    pub pairs: Vec<[String; 2]>,
    /// How many of the pairs have two different labels.
    pub num_conflicting: usize,
    /// How many of the pairs have the same pixels in files of other bytes.
    pub num_other_bytes: usize,
}

/// Pairs of samples that are the same picture.
#[derive(Default)]
pub(crate) struct Pairs {
    pub(crate) ids: Vec<[String; 2]>,
    pub(crate) num_conflicting: usize,
    pub(crate) num_other_bytes: usize,
}

impl Pairs {
    pub(crate) fn push(&mut self, first: &Record, second: &Record) {
        self.num_conflicting += usize::from(first.target != second.target);
        self.num_other_bytes += usize::from(first.hash != second.hash);
        self.ids.push([first.id.clone(), second.id.clone()]);
    }
}

/// Samples by what they show; of several with the same content the first.
#[derive(Default)]
pub(crate) struct Known<'a>(HashMap<blake3::Hash, &'a Record>);

impl<'a> Known<'a> {
    /// Gives the sample that has this content already, or else adds this one.
    pub(crate) fn first(&mut self, content: blake3::Hash, record: &'a Record) -> Option<&'a Record> {
        let first = *self.0.entry(content).or_insert(record);
        (!std::ptr::eq(first, record)).then_some(first)
    }

    pub(crate) fn get(&self, content: &blake3::Hash) -> Option<&'a Record> {
        self.0.get(content).copied()
    }
}

/// Finds all samples with the same content, which `content` gives. The order of the pairs is that of the
/// samples.
pub(crate) fn find(splits: &[Vec<Record>; 3], content: impl Fn(&Record) -> blake3::Hash) -> Duplicates {
    let mut found = Duplicates::default();
    let mut known = [Known::default(), Known::default(), Known::default()];
    for split in Split::ALL {
        let mut repeats = Pairs::default();
        for record in &splits[split.index()] {
            if let Some(first) = known[split.index()].first(content(record), record) {
                repeats.push(first, record);
            }
        }
        let Pairs { ids: pairs, num_conflicting, num_other_bytes } = repeats;
        if !pairs.is_empty() {
            found.within.push(Repeats { split, pairs, num_conflicting, num_other_bytes });
        }
    }
    for (from, to) in [(Split::Train, Split::Val), (Split::Train, Split::Test), (Split::Val, Split::Test)] {
        let mut twins = Pairs::default();
        for record in &splits[from.index()] {
            if let Some(twin) = known[to.index()].get(&content(record)) {
                twins.push(record, twin);
            }
        }
        let Pairs { ids: pairs, num_conflicting, num_other_bytes } = twins;
        if !pairs.is_empty() {
            found.across.push(Leak { from, to, pairs, num_conflicting, num_other_bytes });
        }
    }
    found
}

/// Marks the samples of training that validation or test have byte for byte, and those of validation that
/// test has.
pub(crate) fn mark_leaks(splits: &mut [Vec<Record>; 3]) {
    let [train, val, test] = splits;
    let hashes = |records: &[Record]| -> std::collections::HashSet<blake3::Hash> {
        records.iter().map(|record| record.hash).collect()
    };
    let (in_val, in_test) = (hashes(val), hashes(test));
    for record in train {
        record.leaks = in_val.contains(&record.hash) || in_test.contains(&record.hash);
    }
    for record in val {
        record.leaks = in_test.contains(&record.hash);
    }
}

/// The note about samples of a split that a later one has too.
pub(crate) fn leak_note(split: Split, twins: Pairs, kept: bool) -> Option<Note> {
    let Pairs { ids: pairs, num_other_bytes, .. } = twins;
    match (pairs.is_empty(), kept) {
        (true, _) => None,
        (false, true) => Some(Note::LeaksKept { split, pairs, num_other_bytes }),
        (false, false) => Some(Note::LeaksRemoved { from: split, pairs, num_other_bytes }),
    }
}

/// The note about samples that occur more than once in a split, or in all of the data.
pub(crate) fn repeat_note(split: Option<Split>, repeats: Pairs) -> Option<Note> {
    let Pairs { ids: pairs, num_conflicting, num_other_bytes } = repeats;
    (!pairs.is_empty()).then_some(Note::Repeated { split, pairs, num_conflicting, num_other_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(contents: &[(&str, u8, u32)]) -> Vec<Record> {
        contents
            .iter()
            .enumerate()
            .map(|(row, &(id, content, target))| Record {
                id: id.to_owned(),
                target: Some(target),
                split: Split::Train,
                row: row as u32,
                hash: blake3::hash(&[content]),
                leaks: false,
            })
            .collect()
    }

    fn splits() -> [Vec<Record>; 3] {
        [
            records(&[("a", 1, 0), ("b", 2, 0), ("c", 1, 1), ("d", 3, 0), ("e", 4, 1), ("f", 1, 0)]),
            records(&[("g", 3, 0), ("h", 5, 1), ("i", 6, 0)]),
            records(&[("j", 3, 0), ("k", 4, 0), ("l", 5, 1), ("m", 7, 0)]),
        ]
    }

    #[test]
    fn repeats_and_leaks_are_found_with_their_labels() {
        let pair = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let found = find(&splits(), |record| record.hash);
        let train = Repeats {
            split: Split::Train,
            pairs: vec![pair("a", "c"), pair("a", "f")],
            num_conflicting: 1,
            num_other_bytes: 0,
        };
        assert_eq!(found.within, [train]);
        let leak =
            |from, to, pairs, num_conflicting| Leak { from, to, pairs, num_conflicting, num_other_bytes: 0 };
        let expected = [
            leak(Split::Train, Split::Val, vec![pair("d", "g")], 0),
            leak(Split::Train, Split::Test, vec![pair("d", "j"), pair("e", "k")], 1),
            leak(Split::Val, Split::Test, vec![pair("g", "j"), pair("h", "l")], 0),
        ];
        assert_eq!(found.across, expected);
    }

    #[test]
    fn leaks_are_marked_in_the_earlier_split() {
        let mut splits = splits();
        mark_leaks(&mut splits);
        let marked = splits.map(|records| {
            records.into_iter().filter(|record| record.leaks).map(|record| record.id).collect::<Vec<_>>()
        });
        assert_eq!(marked, [vec!["d", "e"], vec!["g", "h"], vec![]]);
    }

    #[test]
    fn the_same_content_in_other_bytes_is_counted_apart() {
        let content = |record: &Record| blake3::hash(&[record.row as u8 / 2]);
        let splits = [records(&[("a", 1, 0), ("b", 1, 0), ("c", 2, 0), ("d", 3, 1)]), Vec::new(), Vec::new()];
        let found = find(&splits, content);
        assert_eq!((found.within[0].pairs.len(), found.within[0].num_other_bytes), (2, 1));
    }
}
