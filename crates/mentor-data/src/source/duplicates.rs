//! Byte-identical images: inside a split, and between splits, where they make scores too good.

use std::collections::HashMap;

use serde::Serialize;

use crate::notes::Note;
use crate::source::catalogue::Record;
use crate::split::Split;

/// Byte-identical images of a data set.
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
}

/// Position of the first sample with each content.
type Firsts<'a> = HashMap<blake3::Hash, &'a Record>;

fn firsts(records: &[Record]) -> Firsts<'_> {
    let mut firsts = Firsts::with_capacity(records.len());
    for record in records {
        firsts.entry(record.hash).or_insert(record);
    }
    firsts
}

/// Finds all byte-identical images. The order of the pairs is that of the samples.
pub(crate) fn find(splits: &[Vec<Record>; 3]) -> Duplicates {
    let maps = splits.each_ref().map(|records| firsts(records));
    let mut found = Duplicates::default();
    for split in Split::ALL {
        let (records, first) = (&splits[split.index()], &maps[split.index()]);
        let copies = records.iter().map(|record| (first[&record.hash], record));
        let (pairs, num_conflicting) = collect(copies.filter(|(first, copy)| !std::ptr::eq(*first, *copy)));
        if !pairs.is_empty() {
            found.within.push(Repeats { split, pairs, num_conflicting });
        }
    }
    for (from, to) in [(Split::Train, Split::Val), (Split::Train, Split::Test), (Split::Val, Split::Test)] {
        let twins = splits[from.index()]
            .iter()
            .filter_map(|record| maps[to.index()].get(&record.hash).map(|twin| (record, *twin)));
        let (pairs, num_conflicting) = collect(twins);
        if !pairs.is_empty() {
            found.across.push(Leak { from, to, pairs, num_conflicting });
        }
    }
    found
}

fn collect<'a>(pairs: impl Iterator<Item = (&'a Record, &'a Record)>) -> (Vec<[String; 2]>, usize) {
    let mut num_conflicting = 0;
    let ids = pairs
        .map(|(first, second)| {
            num_conflicting += usize::from(first.target != second.target);
            [first.id.clone(), second.id.clone()]
        })
        .collect();
    (ids, num_conflicting)
}

/// Removes from training what validation or test have, and from validation what test has, unless `keep`;
/// says what was found either way.
pub(crate) fn resolve(splits: &mut [Vec<Record>; 3], keep: bool) -> Vec<Note> {
    let Duplicates { within, across } = find(splits);
    let mut notes = Vec::new();
    for Leak { from, pairs, .. } in across {
        // A training sample may have a twin in both other splits; it is removed once.
        match notes.last_mut() {
            Some(
                Note::LeaksRemoved { from: last, pairs: known }
                | Note::LeaksKept { split: last, pairs: known },
            ) if *last == from => {
                let seen: std::collections::HashSet<String> =
                    known.iter().map(|[id, _]| id.clone()).collect();
                known.extend(pairs.into_iter().filter(|[id, _]| !seen.contains(id)));
            }
            _ if keep => notes.push(Note::LeaksKept { split: from, pairs }),
            _ => notes.push(Note::LeaksRemoved { from, pairs }),
        }
    }
    if !keep {
        let [train, val, test] = splits;
        let (in_val, in_test) = (hashes(val), hashes(test));
        train.retain(|record| !in_val.contains(&record.hash) && !in_test.contains(&record.hash));
        val.retain(|record| !in_test.contains(&record.hash));
    }
    notes.extend(within.into_iter().map(|Repeats { split, pairs, num_conflicting }| Note::Repeated {
        split,
        pairs,
        num_conflicting,
    }));
    notes
}

fn hashes(records: &[Record]) -> std::collections::HashSet<blake3::Hash> {
    records.iter().map(|record| record.hash).collect()
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
                row: row as u32,
                hash: blake3::hash(&[content]),
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

    fn ids(records: &[Record]) -> Vec<&str> {
        records.iter().map(|record| record.id.as_str()).collect()
    }

    #[test]
    fn repeats_and_leaks_are_found_with_their_labels() {
        let pair = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let found = find(&splits());
        let train =
            Repeats { split: Split::Train, pairs: vec![pair("a", "c"), pair("a", "f")], num_conflicting: 1 };
        assert_eq!(found.within, [train]);
        let leak = |from, to, pairs, num_conflicting| Leak { from, to, pairs, num_conflicting };
        let expected = [
            leak(Split::Train, Split::Val, vec![pair("d", "g")], 0),
            leak(Split::Train, Split::Test, vec![pair("d", "j"), pair("e", "k")], 1),
            leak(Split::Val, Split::Test, vec![pair("g", "j"), pair("h", "l")], 0),
        ];
        assert_eq!(found.across, expected);
    }

    #[test]
    fn leaks_are_removed_from_the_earlier_split_and_repeats_stay() {
        let mut splits = splits();
        let notes = resolve(&mut splits, false);
        assert_eq!(ids(&splits[0]), ["a", "b", "c", "f"]);
        assert_eq!(ids(&splits[1]), ["i"]);
        assert_eq!(ids(&splits[2]), ["j", "k", "l", "m"]);
        let counts: Vec<usize> = notes
            .iter()
            .map(|note| match note {
                Note::LeaksRemoved { pairs, .. } | Note::Repeated { pairs, .. } => pairs.len(),
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(counts, [2, 2, 2], "train loses d and e, val loses g and h, a repeats twice");
    }

    #[test]
    fn leaks_are_kept_but_reported_when_asked() {
        let mut kept = splits();
        let notes = resolve(&mut kept, true);
        assert_eq!(kept.map(|split| split.len()), [6, 3, 4]);
        assert!(matches!(&notes[0], Note::LeaksKept { split: Split::Train, pairs } if pairs.len() == 2));
    }
}
