//! Checks of a run's JSON beyond its types: a record with impossible values is damaged and is not drawn.

use std::fmt;

use mentor_metrics::pseudo_labels::audit::{Audit, ClassAudit};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Summary;
use super::analysis::Analysis;
use super::distillation::Distillation;
use super::embedding_fidelity::EmbeddingFidelity;
use super::embeddings::EmbeddingAnalysis;
use super::self_training::{Round, RoundSummary, SelfTraining};

/// A JSON file of a run.
pub trait Record: DeserializeOwned {
    /// That what it says can be.
    ///
    /// # Errors
    ///
    /// A sentence that says what cannot be.
    fn check(&self) -> Result<(), String>;
}

/// Reads a record.
pub(crate) fn parse<T: Record>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice::<WholeNumbers>(bytes).map_err(|error| error.to_string())?;
    let record: T = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    record.check()?;
    Ok(record)
}

/// Counts above this are none, and sums of millions below it are still numbers.
const MAX_COUNT: u64 = 1 << 40;

/// Any JSON whose whole numbers are at most [`MAX_COUNT`]. Keeps nothing of it.
struct WholeNumbers;

impl<'de> Deserialize<'de> for WholeNumbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for WholeNumbers {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self, E> {
        if number <= MAX_COUNT { Ok(self) } else { Err(E::custom(format!("{number} is no count"))) }
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self, A::Error> {
        while sequence.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, Self>()?.is_some() {}
        Ok(self)
    }
}

fn all(mut checks: impl Iterator<Item = Result<(), String>>) -> Result<(), String> {
    checks.find(Result::is_err).unwrap_or(Ok(()))
}

/// `found` of what is one for each of `expected` classes.
fn one_a_class(what: &str, found: usize, expected: usize) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("there are {expected} classes, and {found} {what}")) }
}

fn below(what: &str, index: usize, len: usize) -> Result<(), String> {
    if index < len { Ok(()) } else { Err(format!("{what} {index} is not one of {len}")) }
}

fn distinct(classes: &[String]) -> Result<(), String> {
    let mut names: Vec<&String> = classes.iter().collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two classes are called {:?}", pair[0])),
        None => Ok(()),
    }
}

impl Record for Summary {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

impl Record for Analysis {
    fn check(&self) -> Result<(), String> {
        let evaluation = &self.evaluation;
        let num_classes = evaluation.per_class.len();
        one_a_class("rows of the confusion matrix", evaluation.confusion.num_classes(), num_classes)?;
        let sample = |index: u32| below("class", index as usize, num_classes);
        all(self.hardest.iter().flat_map(|hard| [sample(hard.target), sample(hard.predicted)]))?;
        all(self.weight_images.iter().map(|image| below("class", image.class, num_classes)))?;
        let landscapes = [&self.along_weight, &self.along_line].into_iter().flatten();
        all(landscapes.map(|landscape| match (landscape.at.len(), landscape.cost.len()) {
            (at, cost) if at == cost => Ok(()),
            (at, cost) => Err(format!("{}: {at} places have {cost} costs", landscape.label)),
        }))
    }
}

impl Record for Distillation {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

impl Record for EmbeddingFidelity {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

impl Record for EmbeddingAnalysis {
    fn check(&self) -> Result<(), String> {
        distinct(&self.classes)?;
        let class = |label: u32| below("class", label as usize, self.classes.len());
        let picture = |picture: Option<usize>| match picture {
            Some(picture) => below("picture", picture, self.pictures.len()),
            None => Ok(()),
        };
        all(self.map.points.iter().flat_map(|point| [class(point.label), picture(point.picture)]))?;
        let samples = self.rows.iter().flat_map(|row| row.neighbours.iter().chain([&row.query]));
        all(samples.flat_map(|sample| [class(sample.label), picture(sample.picture)]))?;
        let (positive, negative) = (self.distances.positive.len(), self.distances.negative.len());
        if positive != negative {
            return Err(format!("distances have {positive} bins and {negative}"));
        }
        Ok(())
    }
}

impl Record for SelfTraining {
    fn check(&self) -> Result<(), String> {
        distinct(&self.classes)?;
        let num_classes = self.classes.len();
        all(self.rounds.iter().map(|round| round.check_classes(num_classes).and_then(|()| round.check())))
    }
}

impl Record for Round {
    fn check(&self) -> Result<(), String> {
        all([&self.audit, &self.student_audit].into_iter().flatten().map(check_audit))
    }
}

impl Round {
    /// That what it says of classes is of `num_classes`.
    ///
    /// # Errors
    ///
    /// A sentence that says what is not.
    pub fn check_classes(&self, num_classes: usize) -> Result<(), String> {
        let RoundSummary { round, .. } = &self.summary;
        let of = |what: &str| format!("{what} in round {round}");
        one_a_class(&of("selections"), self.selection.classes.len(), num_classes)?;
        let audits = [&self.audit, &self.student_audit].into_iter().flatten();
        all(audits.map(|audit| one_a_class(&of("audits"), audit.classes.len(), num_classes)))?;
        all(self.sheets.iter().map(|sheet| below("class", sheet.class as usize, num_classes)))?;
        let alarmed = self.alarms.iter().filter_map(|alarm| alarm.class);
        all(alarmed.map(|class| below("class", class as usize, num_classes)))
    }
}

fn check_audit(audit: &Audit) -> Result<(), String> {
    let wrong = |ClassAudit { num_labelled, num_correct }: &ClassAudit| num_correct > num_labelled;
    if audit.classes.iter().any(wrong) {
        return Err("an audit has more right labels than labels".to_owned());
    }
    match audit.overall().num_labelled {
        num_labelled if num_labelled > audit.num_seen => {
            Err(format!("an audit of {} images has {num_labelled} labels", audit.num_seen))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_beyond_any_count_are_found_wherever_they_are() {
        let check = |text: &str| serde_json::from_str::<WholeNumbers>(text).map(|_| ());
        assert!(check(r#"{"a": [1, -5, 2.5, 1e300, null, true, "18446744073709551615"], "b": {}}"#).is_ok());
        for text in ["1099511627777", "[0, 18446744073709551615]", r#"{"a": [{"b": 1099511627777}]}"#] {
            assert!(check(text).unwrap_err().to_string().contains("is no count"), "{text}");
        }
        assert!(check(&"[".repeat(100_000)).is_err(), "depth has its limit");
    }
}
