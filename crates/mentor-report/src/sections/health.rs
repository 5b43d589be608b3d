//! The health of the embeddings over training, with its diagnosis.

use mentor_run::records::health::{Diagnosis, EpochHealth};

use crate::drawing::axis::Axis;
use crate::drawing::chart::{Chart, Series, draw, linear};

/// Curves of the triplets' cases, and of distances and lengths; nothing without an epoch.
pub(crate) fn panels(health: &[EpochHealth], margin: Option<f64>, id: &str) -> String {
    if health.is_empty() {
        return String::new();
    }
    let diagnosis = Diagnosis::of(health, margin.unwrap_or(0.0));
    let end = health.last().map_or(1.0, |last| last.epoch as f64 + 1.0);
    let line = |class: &str, label: &str, value: fn(&EpochHealth) -> Option<f64>| Series {
        class: class.to_owned(),
        label: label.to_owned(),
        points: health.iter().filter_map(|epoch| Some((epoch.epoch as f64 + 1.0, value(epoch)?))).collect(),
    };
    let cases = Chart {
        id: format!("{id}-cases"),
        heading: "Triplets by difficulty",
        y: |label, _| Axis::all_shares(label),
        y_label: "share of the triplets",
        series: vec![
            line("penalty", "easy: beyond the margin", |epoch| epoch.easy),
            line("train dashed", "semi-hard: inside of it", |epoch| epoch.semi_hard),
            line("val dotted", "hard: the wrong way round", |epoch| epoch.hard),
            line("s3", "terms of the loss above 0", |epoch| epoch.active),
        ],
        keys: None,
        mark: None,
        caption: format!(
            "After the last epoch the embeddings are <b>{}</b>: {}.",
            diagnosis.name(),
            diagnosis.advice()
        ),
    };
    let lengths = Chart {
        id: format!("{id}-lengths"),
        heading: "Distances and lengths",
        y: linear,
        y_label: "mean distance, length",
        series: vec![
            line("train", "distance in a class", |epoch| epoch.mean_positive_distance),
            line("val dashed", "distance between classes", |epoch| epoch.mean_negative_distance),
            line("penalty", "length of an embedding", |epoch| Some(epoch.embedding_norm)),
            line("s3 dotted", "spread about their mean", |epoch| Some(epoch.embedding_spread)),
        ],
        keys: None,
        mark: None,
        caption:
            "The two distances should differ by more than the margin. If they and the spread fall to 0, \
                  all embeddings become one point. If the length keeps growing, only the scale makes \
                  distances larger."
                .to_owned(),
    };
    [cases, lengths].into_iter().map(|chart| draw(chart, "epoch", end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_diagnosis_is_named_with_what_to_try() {
        let mut health = fixture::embeddings().health;
        assert!(panels(&health, Some(0.2), "r").contains("<b>healthy</b>"));
        let last = health.last_mut().unwrap();
        last.active = Some(0.001);
        let html = panels(&health, Some(0.2), "r");
        assert!(html.contains("<b>starved</b>: hardly any term is active; mine harder"), "{html}");
        assert_eq!(html.matches("<figure").count(), 2);
        assert_eq!(panels(&[], None, "r"), "");
    }

    #[test]
    fn numbers_that_are_not_finite_are_crosses() {
        let mut health = fixture::embeddings().health;
        health[1].embedding_norm = f64::NAN;
        let html = panels(&health, None, "r");
        assert!(!html.contains("NaN") && html.contains("class=\"cross penalty\""));
    }
}
