//! The table of classes.

use mentor_metrics::classification::ClassMetrics;

use crate::drawing::html::{escape, figure};
use crate::drawing::numbers::{count, percent_or_undefined};

/// Rows shown: a page with tens of thousands of them does not scroll.
const MAX_ROWS: usize = 500;

/// Precision, recall and F1 of every class; a click on a heading sorts.
pub(crate) fn panel(classes: &[ClassMetrics]) -> String {
    let mut shown: Vec<&ClassMetrics> = classes.iter().collect();
    if shown.len() > MAX_ROWS {
        // Stable, so that equal ones stay in class order; those without a number come last.
        shown.sort_by(|a, b| a.f1.unwrap_or(f64::INFINITY).total_cmp(&b.f1.unwrap_or(f64::INFINITY)));
        shown.truncate(MAX_ROWS);
    }
    let rows: String = shown.iter().map(|class| row(class)).collect();
    let table = format!(
        "<div class=\"scroll\" tabindex=\"0\"><table class=\"sortable\"><thead><tr><th \
         scope=\"col\">class</th>\
         <th scope=\"col\">samples</th><th scope=\"col\">predicted</th><th scope=\"col\">precision</th>\
         <th scope=\"col\">recall</th><th \
         scope=\"col\">F1</th></tr></thead><tbody>{rows}</tbody></table></div>"
    );
    let left_out = match classes.len() - shown.len() {
        0 => String::new(),
        _ => format!(
            " Of {} classes the {MAX_ROWS} with the lowest F1 are shown; <code>analysis.json</code> has all \
             of them.",
            count(classes.len() as u64)
        ),
    };
    let caption = format!(
        "Precision is how often a prediction of the class is right, recall how many of its samples were \
         found: low recall with high precision is a class that the model predicts too seldom.{left_out}"
    );
    figure("Classes", &table, &caption)
}

fn row(metrics: &ClassMetrics) -> String {
    let share = |share: Option<f64>| {
        let width = share.filter(|share| share.is_finite()).map_or(0.0, |share| share.clamp(0.0, 1.0));
        format!(
            "<td class=\"share\" data-sort=\"{width}\" style=\"--share:{width:.3}\">{}</td>",
            percent_or_undefined(share)
        )
    };
    // Files of earlier versions have 0 where nothing is defined.
    let (has_samples, is_predicted) = (metrics.num_samples > 0, metrics.num_predicted > 0);
    format!(
        "<tr><th scope=\"row\" title=\"{0}\">{0}</th><td data-sort=\"{1}\">{2}</td><td \
         data-sort=\"{3}\">{4}</td>{5}{6}{7}</tr>",
        escape(&metrics.class),
        metrics.num_samples,
        count(metrics.num_samples),
        metrics.num_predicted,
        count(metrics.num_predicted),
        share(metrics.precision.filter(|_| is_predicted)),
        share(metrics.recall.filter(|_| has_samples)),
        share(metrics.f1.filter(|_| has_samples || is_predicted))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, num_samples: u64, num_predicted: u64, shares: [Option<f64>; 3]) -> ClassMetrics {
        let [precision, recall, f1] = shares;
        ClassMetrics { class: name.to_owned(), num_samples, num_predicted, precision, recall, f1 }
    }

    #[test]
    fn names_are_escaped_and_shares_are_bars() {
        let html = panel(&[class("<b>cat</b>", 1200, 7, [Some(f64::NAN), Some(0.25), Some(0.0)])]);
        assert!(html.contains("&lt;b&gt;cat&lt;/b&gt;") && html.contains("1,200"));
        assert!(html.contains("--share:0.250") && html.contains("not a number") && !html.contains("NaN"));
    }

    #[test]
    fn what_is_undefined_is_said_also_of_files_that_had_0() {
        for share in [None, Some(0.0)] {
            let html =
                panel(&[class("a", 0, 0, [share; 3]), class("b", 3, 0, [share, Some(0.0), Some(0.0)])]);
            assert_eq!(
                (html.matches("undefined").count(), html.matches("0.0\u{202f}%").count()),
                (4, 2),
                "{html}"
            );
        }
    }

    #[test]
    fn of_many_classes_those_with_the_lowest_f1_are_shown() {
        let of =
            |at: usize| class(&format!("c{at}"), 1, 1, [Some(1.0), Some(1.0), Some(1.0 - at as f64 / 2e4)]);
        let html = panel(&(0..20_000).map(of).collect::<Vec<_>>());
        assert_eq!(html.matches("<tr>").count(), 1 + MAX_ROWS);
        assert!(html.contains("Of 20,000 classes") && html.contains(">c19999<") && !html.contains(">c0<"));
    }
}
