//! The document: head, comparison, and a section for each run.

use std::path::Path;

use crate::drawing::html::escape;
use crate::run::RunReport;
use crate::sections::{
    calibration, classes, compare, config, confusion, curves, embeddings, fidelity, hardest, header,
    landscape, optimum, path, self_training, weights,
};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The whole document.
pub(super) fn document(runs: &[RunReport]) -> String {
    let names = names(&runs.iter().map(|run| run.path.as_path()).collect::<Vec<_>>());
    let title = match names.as_slice() {
        [] => "no runs".to_owned(),
        [name] => name.clone(),
        names => format!("{} runs compared", names.len()),
    };
    let mut body = String::new();
    if runs.len() > 1 {
        body += &format!(
            "<header><p class=\"kind\">mentor report</p><h1>{}</h1>{}</header>",
            escape(&title),
            contents(&names)
        );
        body += &format!("<section id=\"runs\"><h2>Side by side</h2>{}", compare::table(runs, &names));
        body += &format!("<div class=\"grid\">{}</div></section>", curves::overlay(runs, &names));
    }
    for (index, (run, name)) in runs.iter().zip(&names).enumerate() {
        let id = format!("r{}", index + 1);
        let key = if runs.len() > 1 { Some(curves::run_class(index)) } else { None };
        body += &section(run, name, &id, key.as_deref());
    }
    let end = format!(
        "<footer>Written by mentor {}. This file needs no network.</footer><script>\n{SCRIPT}</script>",
        env!("CARGO_PKG_VERSION")
    );
    html(&title, &format!("<main>{body}</main>{end}"))
}

/// The head of one run alone.
pub(super) fn head(run: &RunReport) -> String {
    let name = &names(&[run.path.as_path()])[0];
    html(name, &format!("<main><article>{}</article></main>", heading(run, name, None)))
}

fn html(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"generator\" content=\"mentor\">\
         <title>{} · mentor</title><style>\n{STYLE}</style></head>\n<body>{body}</body></html>\n",
        escape(title)
    )
}

/// Links to the runs of a comparison.
fn contents(names: &[String]) -> String {
    let items: String = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let class = curves::run_class(index);
            format!(
                "<li><i class=\"key {class}\" aria-hidden=\"true\"></i><a href=\"#r{}\">{}</a></li>",
                index + 1,
                escape(name)
            )
        })
        .collect();
    format!("<nav aria-label=\"Runs\"><ul class=\"legend\">{items}</ul></nav>")
}

/// What a run is, below its name. Alone it has the page's heading; among others, its own.
fn heading(run: &RunReport, name: &str, key: Option<&str>) -> String {
    let head = match key {
        None => format!("<p class=\"kind\">mentor report</p><h1>{}</h1>", escape(name)),
        Some(class) => {
            format!(
                "<h2 class=\"run\"><i class=\"key {class}\" aria-hidden=\"true\"></i>{}</h2>",
                escape(name)
            )
        }
    };
    format!("<header>{head}{}</header>", header::panel(run))
}

/// One run.
fn section(run: &RunReport, name: &str, id: &str, key: Option<&str>) -> String {
    let level = if key.is_some() { "h3" } else { "h2" };
    let mut html = format!("<article id=\"{id}\">{}", heading(run, name, key));
    let mut part = |title: &str, note: &str, panels: String| {
        // Below the heading of a run the figures are one level deeper.
        let panels =
            if key.is_some() { panels.replace("<h3>", "<h4>").replace("</h3>", "</h4>") } else { panels };
        if !panels.is_empty() {
            let note =
                if note.is_empty() { String::new() } else { format!(" <small>{}</small>", escape(note)) };
            html += &format!(
                "<section><{level} class=\"part\">{title}{note}</{level}><div \
                 class=\"grid\">{panels}</div></section>"
            );
        }
    };
    if let Some(found) = &run.self_training {
        part("Self-training", "", self_training::panels(run, found, id));
    }
    if let Some(found) = &run.penalty_path {
        part("Choice of the penalty", "", path::panels(found, id));
    }
    part("Learning curves", "", curves::section(run, id));
    part("Way to the optimum", "", optimum::panels(run, id));
    if let Some(analysis) = &run.embeddings {
        let on = format!(
            "on {} {} images, {} values each",
            crate::drawing::numbers::count(analysis.map.num_samples as u64),
            split_name(&analysis.split),
            analysis.dim
        );
        part("Embeddings", &on, embeddings::section(analysis, id));
    }
    if let Some(distillation) = &run.distillation {
        let on = format!(
            "on {} {} images",
            crate::drawing::numbers::count(distillation.num_samples as u64),
            distillation.split
        );
        part("Student and teachers", &on, fidelity::panels(run, distillation));
    }
    if let Some(found) = &run.embedding_fidelity {
        let on =
            format!("on {} {} images", crate::drawing::numbers::count(found.num_samples as u64), found.split);
        part("Student and teachers", &on, fidelity::embeddings(found));
    }
    if let Some(analysis) = &run.analysis {
        let evaluation = &analysis.evaluation;
        let split = split_name(&evaluation.split);
        let on =
            format!("on {} {split} images", crate::drawing::numbers::count(evaluation.num_samples as u64));
        let loss = run.config.loss.name.as_deref().unwrap_or("softmax");
        let mut predictions = confusion::panel(run, &evaluation.confusion, id);
        predictions += &classes::panel(&evaluation.per_class);
        predictions += &calibration::panel(evaluation, loss, run.temperature, id);
        if !analysis.hardest.is_empty() {
            predictions += &hardest::panel(run, &analysis.hardest);
        }
        part("Predictions", &on, predictions);
        let mut panels = String::new();
        if !analysis.weight_images.is_empty() {
            panels += &weights::rows(run, &analysis.weight_images);
        }
        panels += &weights::histogram(&analysis.histogram, config::penalty(&run.config), id);
        part("Weights", "", panels);
        let along_weight =
            analysis.along_weight.as_ref().map(|landscape| landscape::along_weight(landscape, id));
        let along_line = analysis.along_line.as_ref().map(|landscape| landscape::along_line(landscape, id));
        part("Gradient descent", "", along_weight.into_iter().chain(along_line).collect());
    }
    html + "</article>"
}

/// A split as a reader calls it.
fn split_name(split: &str) -> &str {
    match split {
        "val" => "validation",
        "train" => "training",
        other => other,
    }
}

/// The shortest endings of the paths that tell the runs apart; the last component alone where that does.
fn names(paths: &[&Path]) -> Vec<String> {
    let components: Vec<Vec<String>> = paths
        .iter()
        .map(|path| {
            // `.` and `..` name nothing; where the path cannot be resolved, it is shown as it is.
            let resolved = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
            resolved.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
        })
        .collect();
    let ending = |parts: &[String], length: usize| parts[parts.len().saturating_sub(length)..].join("/");
    let longest = components.iter().map(Vec::len).max().unwrap_or(0);
    for length in 1..=longest {
        let names: Vec<String> = components.iter().map(|parts| ending(parts, length)).collect();
        let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
        if distinct.len() == names.len() {
            return names;
        }
    }
    // The same run twice.
    components.iter().map(|parts| ending(parts, 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_short_as_they_can_be() {
        let names = |paths: &[&str]| names(&paths.iter().map(Path::new).collect::<Vec<_>>());
        assert_eq!(names(&["runs/a", "runs/b/"]), ["a", "b"]);
        assert_eq!(names(&["monday/a", "friday/a"]), ["monday/a", "friday/a"]);
        assert_eq!(names(&["x/a", "x/a"]), ["a", "a"]);
    }
}
