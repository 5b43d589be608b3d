//! Counts of what models do.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of one model, since it was loaded first.
#[derive(Debug, Default)]
pub(crate) struct ModelMetrics {
    pub(crate) pictures: AtomicU64,
    pub(crate) passes: AtomicU64,
    pub(crate) micros: AtomicU64,
    pub(crate) failures: AtomicU64,
}

impl ModelMetrics {
    /// Appends a line for each.
    pub(crate) fn render<'a>(models: impl Iterator<Item = (&'a str, &'a Self)> + Clone, text: &mut String) {
        type Count = fn(&ModelMetrics) -> &AtomicU64;
        let rows: [(&str, &str, f64, Count); 4] = [
            ("mentor_model_pictures_total", "Pictures that went through the network.", 1.0, |m| &m.pictures),
            ("mentor_model_passes_total", "Passes, each of one or more pictures.", 1.0, |m| &m.passes),
            ("mentor_model_seconds_total", "Time in passes.", 1e-6, |m| &m.micros),
            ("mentor_model_failures_total", "Passes that failed.", 1.0, |m| &m.failures),
        ];
        for (name, help, unit, count) in rows {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
            for (model, counts) in models.clone() {
                let value = count(counts).load(Ordering::Relaxed) as f64 * unit;
                let _ = writeln!(text, "{name}{{model=\"{}\"}} {value}", escaped(model));
            }
        }
    }
}

/// A label's value as Prometheus wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
