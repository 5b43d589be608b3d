//! The table of classes.

use mentor_metrics::classification::ClassMetrics;

use crate::drawing::html::{escape, figure};
use crate::drawing::numbers::{count, percent};

/// Precision, recall and F1 of every class; a click on a heading sorts.
pub(crate) fn panel(classes: &[ClassMetrics]) -> String {
    let rows: String = classes.iter().map(row).collect();
    let table = format!(
        "<div class=\"scroll\" tabindex=\"0\"><table class=\"sortable\"><thead><tr><th scope=\"col\">class</th>\
         <th scope=\"col\">samples</th><th scope=\"col\">predicted</th><th scope=\"col\">precision</th>\
         <th scope=\"col\">recall</th><th scope=\"col\">F1</th></tr></thead><tbody>{rows}</tbody></table></div>"
    );
    let caption = "Precision is how often a prediction of the class is right, recall how many of its samples were \
                   found: low recall with high precision is a class that the model is too shy to name.";
    figure("Classes", &table, caption)
}

fn row(metrics: &ClassMetrics) -> String {
    let share = |share: f64| {
        let width = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        format!(
            "<td class=\"share\" data-sort=\"{width}\" style=\"--share:{width:.3}\">{}</td>",
            percent(share)
        )
    };
    format!(
        "<tr><th scope=\"row\" title=\"{0}\">{0}</th><td data-sort=\"{1}\">{2}</td><td data-sort=\"{3}\">{4}</td>{5}{6}{7}</tr>",
        escape(&metrics.class),
        metrics.num_samples,
        count(metrics.num_samples),
        metrics.num_predicted,
        count(metrics.num_predicted),
        share(metrics.precision),
        share(metrics.recall),
        share(metrics.f1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_shares_are_bars() {
        let metrics = ClassMetrics {
            class: "<b>cat</b>".to_owned(),
            num_samples: 1200,
            num_predicted: 0,
            precision: f64::NAN,
            recall: 0.25,
            f1: 0.0,
        };
        let html = panel(&[metrics]);
        assert!(html.contains("&lt;b&gt;cat&lt;/b&gt;") && html.contains("1,200"));
        assert!(html.contains("--share:0.250") && html.contains("not a number") && !html.contains("NaN"));
    }
}
