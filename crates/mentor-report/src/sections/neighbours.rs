//! Retrieval: its numbers, and queries with what was found for them.

use mentor_metrics::retrieval::{Metric, Retrieval};
use mentor_run::records::embeddings::{EmbeddingAnalysis, PixelBaseline, RetrievalRow, RetrievedSample};

use crate::drawing::html::{escape, figure, file_name, shorten, wide};
use crate::drawing::numbers::{count, counted, percent, percent_or_undefined, value};
use crate::drawing::sheet::Sheet;

/// Rows shown at once; the others unfold.
const SHOWN: usize = 8;
/// Neighbours of a row.
const MAX_NEIGHBOURS: usize = 10;

/// Name, mean, interval and meaning of a metric.
type Row<'a> = (&'a str, Option<f64>, Option<[f64; 2]>, &'a str);

/// The metrics with their intervals.
pub(crate) fn numbers(analysis: &EmbeddingAnalysis) -> String {
    let Retrieval { intervals, k, .. } = &analysis.retrieval;
    let found = &analysis.retrieval;
    let votes = format!("k-NN accuracy, k = {k}");
    let rows: [Row<'_>; 6] = [
        ("P@1", found.precision_at_1, intervals.precision_at_1, "the nearest is of the query's class"),
        ("R-precision", found.r_precision, intervals.r_precision, "share of the class among the R nearest"),
        ("MAP@R", found.map_at_r, intervals.map_at_r, "the same, earlier places counting more"),
        ("Recall@5", found.recall_at_5, None, "one of the class among the 5 nearest"),
        ("Recall@10", found.recall_at_10, None, "one of the class among the 10 nearest"),
        (&votes, found.knn_accuracy, None, "the nearest vote for the class"),
    ];
    let body: String = rows
        .iter()
        .map(|(name, mean, interval, meaning)| {
            let interval = interval
                .map_or(String::new(), |[low, high]| format!("{} to {}", percent(low), percent(high)));
            format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{interval}</td><td \
                 class=\"meaning\">{meaning}</td></tr>",
                escape(name),
                percent_or_undefined(*mean)
            )
        })
        .collect();
    let table = format!(
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">metric</th><th scope=\"col\">mean</th><th \
         scope=\"col\">95\u{202f}% \
         interval</th><th scope=\"col\" class=\"text\">what \
         counts</th></tr></thead><tbody>{body}</tbody></table></div>"
    );
    let lone = match found.num_lone_queries {
        0 => String::new(),
        lone => format!(
            " {} left out: no other image is of {} class.",
            counted(lone as u64, "lone query was", "lone queries were"),
            if lone == 1 { "its" } else { "their" }
        ),
    };
    let distance = match analysis.metric {
        Metric::Euclidean => "Euclidean",
        Metric::Cosine => "cosine",
    };
    let caption = if found.num_queries == 0 {
        "No sample has another of its class, so that the measures are undefined: a query needs two samples \
         of one class."
            .to_owned()
    } else {
        format!(
            "Each of {} is looked up among all the others by {distance} distance, R being the number of \
             others of its class. Intervals are of a bootstrap over the queries.{lone}",
            counted(found.num_queries as u64, "sample", "samples")
        )
    };
    let pixels = analysis.pixels.as_ref().map_or(String::new(), beside_pixels);
    figure("Retrieval", &table, &(caption + &pixels))
}

/// P@1 of pixels, and whether the embeddings are better.
fn beside_pixels(pixels: &PixelBaseline) -> String {
    let [of_pixels, own] = [pixels.precision_at_1, pixels.embeddings_precision_at_1].map(percent);
    let images = count(pixels.num_images as u64);
    match pixels.is_beaten() {
        true => format!(" By raw pixels, P@1 of {images} images is {of_pixels}; by embeddings {own}."),
        false => format!(
            " <strong>By raw pixels, P@1 of {images} images is {of_pixels}; by embeddings {own}: these \
             embeddings are no better than the pixels.</strong>"
        ),
    }
}

/// Queries, each with its nearest neighbours.
pub(crate) fn rows(analysis: &EmbeddingAnalysis, class: &dyn Fn(u32) -> String, sheet: &Sheet) -> String {
    let rows: Vec<String> = analysis.rows.iter().map(|found| row(found, class, sheet)).collect();
    let (shown, folded) = rows.split_at(rows.len().min(SHOWN));
    let mut content = format!("<ol class=\"found\">{}</ol>", shown.concat());
    if !folded.is_empty() {
        content += &format!(
            "<details><summary>{} more</summary><ol class=\"found\">{}</ol></details>",
            folded.len(),
            folded.concat()
        );
    }
    let wrong: usize = analysis.rows.iter().map(num_wrong).sum();
    let all: usize = analysis.rows.iter().map(|row| row.neighbours.len().min(MAX_NEIGHBOURS)).sum();
    let caption = format!(
        "Queries on the left, then what is nearest, with distances: <span class=\"right\">✓ blue</span> is \
         of the query's \
         class, <span class=\"wrong\">✗ orange</span> is not (here {} of {}). Look at what the wrong ones \
         have in common with their query.",
        count(wrong as u64),
        count(all as u64)
    );
    wide(&figure("Nearest neighbours", &content, &caption))
}

fn num_wrong(row: &RetrievalRow) -> usize {
    let shown = row.neighbours.iter().take(MAX_NEIGHBOURS);
    shown.filter(|found| found.label != row.query.label).count()
}

fn row(row: &RetrievalRow, class: &dyn Fn(u32) -> String, sheet: &Sheet) -> String {
    let query = class(row.query.label);
    let right = row.neighbours.iter().take(MAX_NEIGHBOURS).count() - num_wrong(row);
    let cell = |found: &RetrievedSample| {
        let name = class(found.label);
        let (verdict, sign, word) = if found.label == row.query.label {
            ("right", "✓", "right")
        } else {
            ("wrong", "✗", "wrong")
        };
        format!(
            "<div class=\"{verdict}\" title=\"{}\">{}<p><b><span aria-hidden=\"true\">{sign}</span><span \
             class=\"spoken\">{word}: </span></b> \
             {}</p><p>{}</p></div>",
            escape(&found.id),
            sheet.show(found.picture, &name),
            escape(&shorten(&name, 12)),
            value(found.distance)
        )
    };
    let neighbours: String = row.neighbours.iter().take(MAX_NEIGHBOURS).map(cell).collect();
    let samples = std::iter::once(&row.query).chain(row.neighbours.iter().take(MAX_NEIGHBOURS));
    let files: String = samples.map(|sample| file_name(&sample.id)).collect();
    format!(
        "<li><div class=\"query\" title=\"{}\">{}<p><b>{}</b></p><p>{right} right</p></div>{neighbours}\
         <details class=\"files\"><summary>file names</summary>{files}</details></li>",
        escape(&row.query.id),
        sheet.show(row.query.picture, &query),
        escape(&shorten(&query, 12))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn class(label: u32) -> String {
        format!("<{label}>")
    }

    #[test]
    fn right_and_wrong_differ_in_colour_sign_and_word() {
        let analysis = fixture::embeddings();
        let html = rows(&analysis, &class, &Sheet::new(&analysis.pictures, "r"));
        assert!(html.contains("<div class=\"right\"") && html.contains("<div class=\"wrong\""));
        assert!(
            html.contains("✓</span><span class=\"spoken\">right: ") && html.contains("&lt;1&gt;"),
            "{html}"
        );
        assert!(html.contains("(here 1 of 2)") && html.contains("<p>1 right</p>"), "{html}");
        assert!(!html.contains("data:image"), "pictures are embedded by the sheet, once");
        assert!(html.contains("<p class=\"file\">q.png</p><p class=\"file\">a.png</p>"), "{html}");
    }

    #[test]
    fn embeddings_that_do_not_beat_the_pixels_are_said_to() {
        let mut analysis = fixture::embeddings();
        let html = numbers(&analysis);
        assert!(html.contains("of 1,000 images is 50.0\u{202f}%; by embeddings 90.0\u{202f}%."), "{html}");
        let pixels = analysis.pixels.as_mut().unwrap();
        pixels.precision_at_1 = pixels.embeddings_precision_at_1;
        assert!(numbers(&analysis).contains("no better than the pixels"));
        analysis.pixels = None;
        assert!(!numbers(&analysis).contains("pixels"));
    }

    #[test]
    fn rows_beyond_the_first_unfold_and_neighbours_are_ten() {
        let mut analysis = fixture::embeddings();
        let neighbour = analysis.rows[0].neighbours[0].clone();
        analysis.rows[0].neighbours = vec![neighbour; 15];
        let row = analysis.rows[0].clone();
        analysis.rows = vec![row; SHOWN + 3];
        let html = rows(&analysis, &class, &Sheet::new(&[], "r"));
        assert!(html.contains("<summary>3 more</summary>"));
        assert_eq!(html.matches("<div class=\"right\"").count(), MAX_NEIGHBOURS * (SHOWN + 3));
    }

    #[test]
    fn the_metrics_have_intervals_and_lone_queries_are_said() {
        let mut analysis = fixture::embeddings();
        let html = numbers(&analysis);
        assert!(html.contains("90.0\u{202f}%</td><td>88.0\u{202f}% to 92.0\u{202f}%"), "{html}");
        assert!(html.contains("2\u{a0}lone queries were left out"), "{html}");
        analysis.retrieval.num_lone_queries = 0;
        analysis.retrieval.map_at_r = Some(f64::NAN);
        let html = numbers(&analysis);
        assert!(!html.contains("lone") && !html.contains("NaN"));
        analysis.retrieval = Retrieval { num_queries: 0, map_at_r: None, ..analysis.retrieval };
        let html = numbers(&analysis);
        assert!(
            html.contains("<td>undefined</td>") && html.contains("needs two samples of one class"),
            "{html}"
        );
    }
}
