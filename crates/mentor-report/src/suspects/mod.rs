//! The page of `mentor check-labels`: suspects with their pictures, and a label to choose for each.

use mentor_run::records::Picture;

use crate::drawing::html::{escape, shorten};
use crate::drawing::picture::photo;

const STYLE: &str = include_str!("suspects.css");
const SCRIPT: &str = include_str!("suspects.js");

/// A suspect on the page.
#[derive(Clone, Debug)]
pub struct ShownSuspect {
    /// How the file of corrections names it.
    pub id: String,
    /// Its picture.
    pub picture: Picture,
    /// Its label, as an index of the classes.
    pub given: u32,
    /// What the label probably should be.
    pub suggested: u32,
    /// From 0 to 1.
    pub score: f64,
    /// `label`, `duplicate` or `outlier`.
    pub kind: &'static str,
}

/// One HTML document that needs no network. What is chosen on it is saved as `path,label`, the form of
/// `mentor train --corrections`.
///
/// # Panics
///
/// If a suspect names a class that is not in `classes`.
pub fn suspects_page(data: &str, classes: &[String], suspects: &[ShownSuspect]) -> String {
    let cards: String = suspects.iter().map(|suspect| card(classes, suspect)).collect();
    let title = escape(&shorten(data, 80));
    let empty = if suspects.is_empty() { "<p>Nothing is suspect.</p>" } else { "" };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Suspects of {title} · mentor</title><style>\n{STYLE}</style></head>\n<body><main>\
         <h1>Suspects of {title}</h1>\n\
         <p>The most suspect first. Choose a label where the given one is wrong, then save the corrections \
         and give them to <code>mentor train --corrections</code>.</p>{empty}\n\
         <div class=\"bar\"><button id=\"save\">Save corrections</button>\
         <output id=\"count\">none yet</output></div>\n\
         <ol class=\"cards\">{cards}</ol></main>\n<script>\n{SCRIPT}</script></body></html>\n"
    )
}

fn card(classes: &[String], suspect: &ShownSuspect) -> String {
    let ShownSuspect { id, picture, given, suggested, score, kind } = suspect;
    let name = |class: u32| escape(&classes[class as usize]);
    let said = match *kind {
        "outlier" => "far from all others".to_owned(),
        "duplicate" => format!("nearly equal to one of {}", name(*suggested)),
        _ => format!("rather {}", name(*suggested)),
    };
    let quick = match given == suggested {
        true => String::new(),
        false => format!("<button type=\"button\" value=\"{0}\">{0}</button>", name(*suggested)),
    };
    let options: String = classes
        .iter()
        .enumerate()
        .map(|(class, name)| {
            let name = escape(name);
            let selected = if class == *given as usize { " selected" } else { "" };
            format!("<option value=\"{name}\"{selected}>{name}</option>")
        })
        .collect();
    let picture = photo(picture).unwrap_or_default();
    format!(
        "<li class=\"{kind}\" data-path=\"{path}\" data-given=\"{given}\"><img src=\"{picture}\" alt=\"\">\
         <p><b>{given}</b>: {said} <small>{score:.2}</small></p><p class=\"file\">{path}</p>\
         <p>{quick}<select aria-label=\"label of {path}\">{options}</select></p></li>\n",
        path = escape(id),
        given = name(*given),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspect(id: &str, given: u32, suggested: u32, kind: &'static str) -> ShownSuspect {
        let picture = Picture { channels: 1, height: 1, width: 1, pixels: "/w==".to_owned() };
        ShownSuspect { id: id.to_owned(), picture, given, suggested, score: 0.75, kind }
    }

    #[test]
    fn each_suspect_has_its_picture_labels_and_reason_and_names_are_escaped() {
        let classes = ["cat".to_owned(), "<dog>".to_owned()];
        let suspects = [suspect("a\"b.png", 0, 1, "label"), suspect("c.png", 1, 1, "outlier")];
        let page = suspects_page("photos", &classes, &suspects);
        assert_eq!(page.matches("<li class=").count(), 2);
        assert_eq!(page.matches("data:image/png").count(), 2);
        assert!(page.contains("rather &lt;dog&gt;") && page.contains("far from all others"));
        assert!(page.contains("data-path=\"a&quot;b.png\"") && !page.contains("<dog>"));
        assert!(page.contains("<option value=\"cat\" selected>"));
        assert!(suspects_page("photos", &classes, &[]).contains("Nothing is suspect"));
        assert!(!page.contains("http://") && !page.contains("https://"));
    }
}
