//! Several runs side by side: a table of key numbers and of what differs in the configuration.

use super::calibration::FEW_IN_ALL;
use super::config;
use super::curves::run_class;
use super::embeddings::QUALITY;
use crate::drawing::html::escape;
use crate::drawing::numbers::{count, duration, percent, value};
use crate::run::RunReport;

/// A column: its name, each run's number, how it is shown, and whether less, more or neither is better.
struct Column {
    name: &'static str,
    numbers: Vec<Option<f64>>,
    show: fn(f64) -> String,
    better: Option<std::cmp::Ordering>,
}

/// The table of runs; links lead to their sections.
pub(crate) fn table(runs: &[RunReport], names: &[String]) -> String {
    let columns: Vec<Column> =
        columns(runs).into_iter().filter(|column| column.numbers.iter().any(Option::is_some)).collect();
    let configs: Vec<_> = runs.iter().map(|run| &run.config).collect();
    let differences = config::differences(&configs);
    let mut head = String::from("<th scope=\"col\">run</th>");
    for column in &columns {
        head += &format!("<th scope=\"col\">{}</th>", column.name);
    }
    for (path, _) in &differences {
        // The break lets long paths wrap at their dots.
        head += &format!("<th scope=\"col\" class=\"setting\">{}</th>", escape(path).replace('.', ".<wbr>"));
    }
    let mut body = String::new();
    for (index, (run, name)) in runs.iter().zip(names).enumerate() {
        let state = if run.summary.is_some() { "" } else { " <small>not complete</small>" };
        body += &format!(
            "<tr><th scope=\"row\"><i class=\"key {}\" aria-hidden=\"true\"></i><a \
             href=\"#r{}\">{}</a>{state}</th>",
            run_class(index),
            index + 1,
            escape(name)
        );
        for column in &columns {
            let number = column.numbers.get(index).copied().flatten();
            let sort = number
                .filter(|number| number.is_finite())
                .map_or_else(String::new, |number| number.to_string());
            let shown = number.map_or_else(|| "–".to_owned(), column.show);
            let shown = if column.is_best(number) {
                format!("<b title=\"best of these runs\">{shown}</b>")
            } else {
                shown
            };
            body += &format!("<td data-sort=\"{sort}\">{shown}</td>");
        }
        for (_, values) in &differences {
            body += &format!(
                "<td class=\"setting\">{}</td>",
                values.get(index).map_or_else(String::new, |text| escape(text))
            );
        }
        body += "</tr>";
    }
    let same = if differences.is_empty() {
        "All settings are the same in these runs."
    } else {
        "Bold is the best of its column; the last columns are the settings in which the runs differ."
    };
    format!(
        "<figure class=\"panel wide\"><div class=\"scroll\" tabindex=\"0\"><table class=\"sortable \
         runs\"><thead><tr>{head}</tr></thead>\
         <tbody>{body}</tbody></table></div><figcaption>{same}</figcaption></figure>"
    )
}

impl Column {
    fn is_best(&self, number: Option<f64>) -> bool {
        let (Some(better), Some(number)) = (self.better, number) else { return false };
        let others = self.numbers.iter().flatten();
        // Runs that are all alike have no best one.
        number.is_finite()
            && others.clone().all(|other| number.total_cmp(other) != better.reverse() || !other.is_finite())
            && others.clone().any(|other| number != *other)
    }
}

fn columns(runs: &[RunReport]) -> Vec<Column> {
    use std::cmp::Ordering::{Greater, Less};
    let column = |name, better, show, number: &dyn Fn(&RunReport) -> Option<f64>| Column {
        name,
        numbers: runs.iter().map(number).collect(),
        show,
        better,
    };
    let whole: fn(f64) -> String = |number| count(number as u64);
    let last = |run: &RunReport| run.history.epochs.last().cloned();
    // Values of different objectives do not compare.
    let lower_loss = config::same_objective(runs).then_some(Less);
    let evaluations =
        || runs.iter().filter_map(|run| run.analysis.as_ref()).map(|analysis| &analysis.evaluation);
    let lower_ece = evaluations().all(|evaluation| evaluation.num_samples >= FEW_IN_ALL).then_some(Less);
    let [map_at_r, precision_at_1] =
        QUALITY.map(|(name, measure)| column(name, Some(Greater), percent, &|run| run.measure(measure)));
    vec![
        column("validation accuracy", Some(Greater), percent, &|run| match &run.summary {
            Some(summary) => summary.val_accuracy,
            None => last(run)?.val_accuracy,
        }),
        map_at_r,
        precision_at_1,
        column("validation loss", lower_loss, value, &|run| match &run.summary {
            Some(summary) => summary.val_loss,
            None => last(run)?.val_loss,
        }),
        column("training loss", None, value, &|run| match &run.summary {
            Some(summary) => Some(summary.train_loss),
            None => Some(last(run)?.train_loss),
        }),
        column("ECE", lower_ece, percent, &|run| Some(run.analysis.as_ref()?.evaluation.ece)),
        column("parameters", None, whole, &|run| Some(run.summary.as_ref()?.num_params as f64)),
        column("zero weights", None, whole, &|run| match &run.summary {
            Some(summary) => Some(summary.num_zero_weights as f64),
            None => Some(last(run)?.num_zero_weights as f64),
        }),
        column("updates", None, whole, &|run| match &run.summary {
            Some(summary) => Some(summary.steps as f64),
            None => Some(last(run)?.step as f64),
        }),
        column("time", None, duration, &|run| Some(run.summary.as_ref()?.wall_secs)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_better_run_is_bold_and_what_differs_is_a_column() {
        let (first, mut second) = (fixture::complete("a"), fixture::complete("b"));
        second.summary.as_mut().unwrap().val_accuracy = Some(0.99);
        second.config.optimizer.learning_rate = Some(0.5);
        let html = table(&[first, second], &["a".to_owned(), "<b>".to_owned()]);
        assert!(html.contains("<b title=\"best of these runs\">99.0\u{202f}%</b>"), "{html}");
        assert_eq!(html.matches("best of these runs").count(), 1);
        assert!(
            html.contains("optimizer.<wbr>learning_rate") && html.contains("<td class=\"setting\">0.5</td>")
        );
        assert!(html.contains("href=\"#r2\">&lt;b&gt;</a>"));
    }

    #[test]
    fn losses_are_ranked_only_where_they_compare() {
        let best = |l2| {
            let (first, mut second) = (fixture::complete("a"), fixture::complete("b"));
            second.summary.as_mut().unwrap().val_loss = Some(0.5);
            second.config.penalty.l2 = Some(l2);
            let html = table(&[first, second], &["a".to_owned(), "b".to_owned()]);
            html.contains("<b title=\"best of these runs\">0.1798</b>")
        };
        assert!(best(1e-3) && !best(0.1));
    }

    #[test]
    fn retrieval_is_compared_where_a_run_has_it() {
        let names = ["a".to_owned(), "b".to_owned()];
        let (mut first, mut second) = (fixture::complete("a"), fixture::incomplete("b"));
        assert!(!table(&[fixture::complete("a"), fixture::incomplete("b")], &names).contains("MAP@R"));
        first.summary.as_mut().unwrap().measures.insert("val_map_at_r".to_owned(), 0.75);
        second.history.epochs[1].measures.insert("val_map_at_r".to_owned(), 0.5);
        let html = table(&[first, second], &names);
        assert!(html.contains("validation MAP@R") && !html.contains("validation P@1"), "{html}");
        assert!(html.contains("<b title=\"best of these runs\">75.0\u{202f}%</b>") && html.contains(">50.0"));
    }

    #[test]
    fn an_incomplete_run_is_compared_by_its_last_epoch() {
        let html =
            table(&[fixture::complete("a"), fixture::incomplete("b")], &["a".to_owned(), "b".to_owned()]);
        assert!(html.contains("<small>not complete</small>"));
        assert!(html.contains("All settings are the same"));
    }
}
